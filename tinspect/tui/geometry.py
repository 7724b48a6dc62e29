"""Where things stand on a screen of a given size."""

from __future__ import annotations

from dataclasses import dataclass

SIDE_BY_SIDE = 150
"""From this many columns on, the panes stand beside the list, not below it."""

HEAD = 2
"""Lines above all: the target, and how it was refreshed."""

FOOT = 1
"""Lines below all: messages, prompts, the most important keys."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of character cells; its first line and column count from 0."""

    left: int
    top: int
    width: int
    height: int

    def __contains__(self, place: tuple[int, int]) -> bool:
        column, line = place
        return self.left <= column < self.left + self.width and self.top <= line < self.top + self.height


@dataclass(frozen=True, slots=True)
class Areas:
    """The parts of the screen. ``titles`` is the line with the list's column titles, ``rows`` its rows, ``tabs`` the names of the panes."""

    titles: Rect
    rows: Rect
    tabs: Rect
    pane: Rect


def areas(columns: int, lines: int) -> Areas:
    """The parts of a screen of that size; never empty, even where it is too small to be of use."""
    room = max(lines - HEAD - FOOT, 4)
    if columns >= SIDE_BY_SIDE:
        left = columns * 52 // 100
        right = columns - left - 1
        return Areas(
            Rect(0, HEAD, left, 1),
            Rect(0, HEAD + 1, left, room - 1),
            Rect(left + 1, HEAD, right, 1),
            Rect(left + 1, HEAD + 1, right, room - 1),
        )
    above = max((room - 2) * 45 // 100, 1)
    return Areas(
        Rect(0, HEAD, columns, 1),
        Rect(0, HEAD + 1, columns, above),
        Rect(0, HEAD + 1 + above, columns, 1),
        Rect(0, HEAD + 2 + above, columns, max(room - above - 2, 1)),
    )
