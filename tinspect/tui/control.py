"""Puts the screen into prompt_toolkit: lines in, mouse events out."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.controls import UIContent, UIControl
from prompt_toolkit.mouse_events import MouseButton, MouseEvent, MouseEventType

from tinspect.tui.screen import Screen, Segment
from tinspect.tui.style import style_of


class ScreenControl(UIControl):
    """Draws what ``draw`` gives for a size; tells ``clicked`` and ``wheeled`` of the mouse, in columns and lines from 0."""

    def __init__(
        self,
        draw: Callable[[int, int], Screen],
        clicked: Callable[[int, int], None],
        wheeled: Callable[[int, int, int], None],
    ) -> None:
        self._draw = draw
        self._clicked = clicked
        self._wheeled = wheeled

    def create_content(self, width: int, height: int) -> UIContent:
        """One line of fragments for each line of the screen."""
        screen = self._draw(width, height)
        caret = Point(*screen.caret) if screen.caret else Point(0, 0)
        return UIContent(
            lambda at: [fragment for segment in screen.lines[at] for fragment in _fragments(segment)],
            line_count=len(screen.lines),
            cursor_position=caret,
            show_cursor=screen.caret is not None,
        )

    def is_focusable(self) -> bool:
        """It takes all keys."""
        return True

    def mouse_handler(self, mouse_event: MouseEvent) -> None:
        """Clicks and the wheel."""
        x, y = mouse_event.position.x, mouse_event.position.y
        kind = mouse_event.event_type
        if kind is MouseEventType.SCROLL_UP:
            self._wheeled(x, y, -3)
        elif kind is MouseEventType.SCROLL_DOWN:
            self._wheeled(x, y, 3)
        elif kind is MouseEventType.MOUSE_UP and mouse_event.button in (MouseButton.LEFT, MouseButton.UNKNOWN):
            self._clicked(x, y)


def _fragments(segment: Segment) -> StyleAndTextTuples:
    return [(style_of(span.role, chosen=segment.chosen, marked=segment.marked), span.text) for span in segment.line]
