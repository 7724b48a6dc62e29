"""Lines of a pane and of the list for a given size: only those on the screen are made."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from tinspect.tui.columns import ListLayout, Scene, list_layout, list_row
from tinspect.tui.panes.content import Content, Entry, HeaderEntry, MapEntry, RowEntry, TextEntry
from tinspect.views.ascii import ascii_line, ascii_table
from tinspect.views.grouping import ThreadGroup
from tinspect.views.layout import Fitted, fit_columns, header_line, row_lines
from tinspect.views.map_text import draw_map_line
from tinspect.views.span import Line, Span
from tinspect.views.table import Row, Table
from tinspect.views.width import display_width, prefix

_REMEMBERED = 32
_ROWS = 4096


class Memory:
    """What was lately drawn: column widths of tables, rows of the list. Measuring all rows of a long table, or summing up the members of
    great groups, again for each key would be felt."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], tuple[Table, Fitted]] = OrderedDict()
        self._scene: tuple[Scene, int, bool] | None = None
        self._layout: ListLayout | None = None
        self._rows: dict[int, tuple[ThreadGroup, Row]] = {}

    def layout(self, scene: Scene, width: int, grouped: bool) -> ListLayout:
        """The list's columns. Rows of another scene or layout are forgotten."""
        if self._layout is None or self._scene is None or not _is_same(self._scene, scene, width, grouped):
            self._scene = scene, width, grouped
            self._layout = list_layout(scene, width, grouped)
            self._rows.clear()
        return self._layout

    def row(self, scene: Scene, layout: ListLayout, item: ThreadGroup) -> Row:
        """One row of the list, laid out by ``layout`` which ``layout()`` gave."""
        found = self._rows.get(id(item))
        if found is None:
            if len(self._rows) >= _ROWS:
                self._rows.clear()
            found = self._rows[id(item)] = (item, list_row(scene, layout, item))
        return found[1]

    def fit(self, table: Table, width: int) -> Fitted:
        """The columns of ``table`` for ``width`` cells."""
        key = id(table), width
        found = self._known.get(key)
        # The table is kept with the answer, so its id cannot become another's.
        if found is None:
            found = self._known[key] = (table, fit_columns(table, width))
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found[1]


def _is_same(known: tuple[Scene, int, bool], scene: Scene, width: int, grouped: bool) -> bool:
    before = known[0]
    parts = before.moment is scene.moment, before.earlier is scene.earlier, before.is_held == scene.is_held
    return all(parts) and known[1:] == (width, grouped)


@dataclass(frozen=True, slots=True)
class Brush:
    """How to draw: what is remembered, and whether more than ASCII may be written."""

    memory: Memory
    unicode: bool = True


@dataclass(frozen=True, slots=True)
class Drawn:
    """The lines of a pane or list, and what each belongs to: the position of an entry or item, None below the last."""

    lines: tuple[Line, ...]
    positions: tuple[int | None, ...]


def draw_content(
    content: Content, brush: Brush, width: int, height: int, top: int, cursor: int | None, chosen: int | None = None
) -> Drawn:
    """``height`` lines from the entry ``top`` on, or from where the entry ``cursor`` is wholly seen."""
    top = max(min(top, len(content.entries) - 1), 0)
    if cursor is not None:
        top = min(top, cursor)
        top = max(top, _least_top(content, brush, width, height, cursor))
    lines: list[Line] = []
    positions: list[int | None] = []
    for at in range(top, len(content.entries)):
        if len(lines) >= height:
            break
        for line in _entry_lines(content.entries[at], brush, width, chosen):
            lines.append(line)
            positions.append(at)
    missing = max(height - len(lines), 0)
    return Drawn((*lines[:height], *[()] * missing), (*positions[:height], *[None] * missing))


def _least_top(content: Content, brush: Brush, width: int, height: int, cursor: int) -> int:
    """The first entry from which on the cursor's lines all fit."""
    if cursor >= len(content.entries):
        return 0
    room = height
    for at in range(cursor, -1, -1):
        room -= len(_entry_lines(content.entries[at], brush, width, None))
        if room < 0:
            return min(at + 1, cursor)
    return 0


def _entry_lines(entry: Entry, brush: Brush, width: int, chosen: int | None) -> list[Line]:
    if isinstance(entry, TextEntry):
        return [clipped(entry.line if brush.unicode else ascii_line(entry.line), width)]
    if isinstance(entry, MapEntry):
        return [draw_map_line(entry.line, entry.uses, width, chosen, brush.unicode)]
    fitted = brush.memory.fit(entry.table, width)
    if isinstance(entry, HeaderEntry):
        return [clipped(header_line(entry.table, fitted), width)]
    return [clipped(line, width) for line in draw_row(entry.table, fitted, entry.row, brush.unicode)]


def draw_row(table: Table, fitted: Fitted, row: Row, unicode: bool) -> list[Line]:
    """A row's lines; in ASCII its texts become ASCII first, so that columns still line up."""
    if unicode:
        return list(row_lines(table, fitted, row))
    small = ascii_table(replace(table, rows=(row,)))
    return list(row_lines(small, fitted, small.rows[0], unicode=False)) or [()]


def clipped(line: Line, width: int) -> Line:
    """The line in at most ``width`` cells."""
    if sum(display_width(span.text) for span in line) <= width:
        return line
    kept: list[Span] = []
    for span in line:
        text = prefix(span.text, width)
        kept.append(Span(text, span.role))
        width -= display_width(text)
        if width <= 0:
            break
    return tuple(kept)


def is_selectable(entry: Entry) -> bool:
    """Whether the cursor may stand there."""
    return isinstance(entry, (RowEntry, MapEntry))
