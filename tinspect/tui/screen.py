"""The whole screen as lines, made from the state alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinspect.tui.drawing import Brush, Drawn, clipped, draw_content, draw_row
from tinspect.tui.help import FOOTER, help_lines
from tinspect.tui.panes.kinds import Pane
from tinspect.tui.prompts import LABELS
from tinspect.tui.state import Focus, State
from tinspect.views.ascii import ascii_line
from tinspect.views.findings import findings_words, gaps_words
from tinspect.views.layout import header_line
from tinspect.views.span import Line, Span
from tinspect.views.table import SEVERITY_ROLES, Role
from tinspect.views.threads import threads_summary
from tinspect.views.width import display_width
from tinspect.views.words import duration_words


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a screen line, ``width`` cells wide. ``chosen`` is the cursor of the part in focus, ``marked`` that of the other."""

    line: Line
    width: int
    chosen: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Screen:
    """The lines of the screen, top to bottom, each of segments from left to right. ``caret`` is where a typed line ends."""

    lines: tuple[tuple[Segment, ...], ...]
    caret: tuple[int, int] | None = None


def draw_screen(state: State, brush: Brush) -> Screen:
    """The screen of ``state``."""
    width = state.columns
    head = [Segment(line, width) for line in _head(state, brush)]
    body = _help_body(state) if state.help_top is not None else _body(state, brush)
    foot, caret = _foot(state, brush)
    lines = [*((segment,) for segment in head), *body, (Segment(foot, width),)]
    at = (min(caret, width - 1), len(lines) - 1) if caret is not None else None
    return Screen(tuple(tuple(_fitted(segment) for segment in line) for line in lines[-state.lines :]), at)


def _fitted(segment: Segment) -> Segment:
    """The segment in exactly its width."""
    line = clipped(segment.line, segment.width)
    missing = segment.width - sum(display_width(span.text) for span in line)
    return Segment((*line, Span(" " * missing)) if missing else line, segment.width, segment.chosen, segment.marked)


# --- the lines above ---------------------------------------------------------------------------------------------------


def _head(state: State, brush: Brush) -> tuple[Line, Line]:
    lines = _target_line(state), _refresh_line(state)
    return lines if brush.unicode else (ascii_line(lines[0]), ascii_line(lines[1]))


def _target_line(state: State) -> Line:
    if state.moment is None:
        return (Span("tinspect", Role.TITLE), Span(f"  {state.refreshing.step or 'starting'} …", Role.DIM))
    report = state.moment.report
    worst = min((finding.severity for finding in report.findings), key=list(SEVERITY_ROLES).index, default=None)
    who = f"pid {report.target.pid}" if report.target.pid is not None else "core"
    name = report.target.executable.rsplit("/", 1)[-1] or "?"
    spans = [
        Span(f"{who} {name}", Role.TITLE),
        Span(f"  {threads_summary(report)}  "),
        Span(f"findings: {findings_words(report)}", SEVERITY_ROLES[worst] if worst else Role.GOOD),
    ]
    if report.incomplete:
        spans.append(Span(f"  not learnt: {gaps_words(report)}", Role.WARNING))
    return tuple(spans)


def _refresh_line(state: State) -> Line:
    refreshing, moment = state.refreshing, state.moment
    if moment is None:
        return ()
    spans = [Span(f"{moment.clock} ", Role.DIM), *_pause_spans(state)]
    if refreshing.still:
        spans.append(Span(f"; {refreshing.still}", Role.WARNING if refreshing.trouble else Role.DIM))
    elif refreshing.paused:
        spans.append(Span("; refresh is paused", Role.WARNING))
    else:
        spans.append(Span(f"; every {refreshing.interval:g} s", Role.DIM))
    if refreshing.running:
        spans.append(Span("  ●", Role.GOOD))
    if state.held is not None:
        spans.append(Span(f"  held {state.held.clock}", Role.CHANGED))
    if refreshing.trouble:
        spans.append(Span(f"  {refreshing.trouble}", Role.ERROR))
    return tuple(spans)


def _pause_spans(state: State) -> Iterator[Span]:
    moment = state.moment
    if moment is None:
        return
    target = moment.report.target
    if target.kind == "passive":
        yield Span("looked at without stopping it", Role.GOOD)
    elif target.pause_us is not None:
        yield Span(f"stood still for {duration_words(target.pause_us)}", Role.NOTE)
    else:
        yield Span({"core": "core dump"}.get(target.kind, target.kind), Role.NOTE)
    yield Span(f", report made in {duration_words(moment.cost_us)}", Role.DIM)


# --- list and pane -----------------------------------------------------------------------------------------------------


def _body(state: State, brush: Brush) -> Iterator[tuple[Segment, ...]]:
    areas = state.areas
    listing = [Segment(_titles(state, brush, areas.titles.width), areas.titles.width), *_list_segments(state, brush)]
    pane = [Segment(_tabs_line(state, areas.tabs.width, brush), areas.tabs.width), *_pane_segments(state, brush)]
    if areas.tabs.top == areas.titles.top:
        bar = Segment((Span("│" if brush.unicode else "|", Role.DIM),), 1)
        yield from ((left, bar, right) for left, right in zip(listing, pane, strict=True))
    else:
        yield from ((segment,) for segment in (*listing, *pane))


def _titles(state: State, brush: Brush, width: int) -> Line:
    if state.scene is None:
        return ()
    layout = brush.memory.layout(state.scene, width, state.grouped)
    line = header_line(layout.table, layout.fitted)
    if state.sort is None:
        return line
    title = next((column.title for column in layout.table.columns if column.key == state.sort.key), None)
    return tuple(Span(span.text, Role.TITLE) if span.text == title else span for span in line)


def _list_segments(state: State, brush: Brush) -> Iterator[Segment]:
    rows = state.areas.rows
    drawn = draw_list(state, brush)
    for line, at in zip(drawn.lines, drawn.positions, strict=True):
        is_cursor = at is not None and at == state.at and bool(state.listing.items)
        yield Segment(line, rows.width, is_cursor and state.focus is Focus.LIST, is_cursor)


def draw_list(state: State, brush: Brush) -> Drawn:
    """The visible rows of the list."""
    rows, scene = state.areas.rows, state.scene
    if scene is None:
        return Drawn(((),) * rows.height, (None,) * rows.height)
    layout = brush.memory.layout(scene, rows.width, state.grouped)
    visible = state.listing.items[state.top : state.top + rows.height]
    lines = [
        draw_row(layout.table, layout.fitted, brush.memory.row(scene, layout, item), brush.unicode)[0]
        for item in visible
    ]
    if not visible and state.filter:
        lines.append((Span(f"  no thread fits “{state.filter}”: Esc shows all", Role.DIM),))
    missing = rows.height - len(lines)
    positions = [state.top + at if at < len(visible) else None for at in range(rows.height)]
    return Drawn((*lines, *[()] * missing), tuple(positions))


def _pane_segments(state: State, brush: Brush) -> Iterator[Segment]:
    drawn = draw_pane(state, brush)
    for line, at in zip(drawn.lines, drawn.positions, strict=True):
        is_cursor = at is not None and at == pane_cursor(state)
        yield Segment(line, state.areas.pane.width, is_cursor and state.focus is Focus.PANE, is_cursor)


def pane_cursor(state: State) -> int | None:
    """The entry the pane's cursor stands on; None when the pane is not in focus, which then shows no cursor."""
    return state.cursor if state.focus is Focus.PANE else None


def draw_pane(state: State, brush: Brush) -> Drawn:
    """The visible lines of the pane."""
    area = state.areas.pane
    return draw_content(state.content, brush, area.width, area.height, state.pane_top, pane_cursor(state), state.tid)


@dataclass(frozen=True, slots=True)
class Tab:
    """The name of a pane, from column ``start`` of its line on."""

    pane: Pane
    start: int

    @property
    def end(self) -> int:
        """The column after it."""
        return self.start + len(self.pane) + 2


def tabs(chosen: Pane, width: int) -> tuple[Tab, ...]:
    """The tabs that fit, the chosen one among them."""
    panes = tuple(Pane)
    for first in range(len(panes)):
        made, column = [], 1
        for pane in panes[first:]:
            if column + len(pane) + 3 > width:
                break
            made.append(Tab(pane, column))
            column += len(pane) + 2
        if any(tab.pane is chosen for tab in made):
            return tuple(made)
    return ()


def _tabs_line(state: State, width: int, brush: Brush) -> Line:
    shown = tabs(state.pane, width)
    more = "‹" if shown and shown[0].pane is not Pane.FRAMES else " "
    spans = [Span(more, Role.DIM)]
    for tab in shown:
        is_chosen = tab.pane is state.pane
        spans.append(Span(f"[{tab.pane}]" if is_chosen else f" {tab.pane} ", Role.TITLE if is_chosen else Role.DIM))
    if shown and shown[-1].pane is not Pane.WHATIS:
        spans.append(Span("›", Role.DIM))
    return _plain(spans, brush)


# --- the line below, and help ------------------------------------------------------------------------------------------


def _foot(state: State, brush: Brush) -> tuple[Line, int | None]:
    if state.prompt is not None:
        label = LABELS[state.prompt.kind]
        matches = f"   {len(state.listing.items):,} rows" if state.prompt.kind.value == "filter" else ""
        words = (Span(label, Role.NOTE), Span(state.prompt.text), Span(" "), Span(matches, Role.DIM))
        return _plain(words, brush), display_width(label) + display_width(state.prompt.text)
    if state.message is not None:
        return _plain((Span(state.message.text, state.message.role),), brush), None
    narrowed = (Span(f"filter: {state.filter}  ", Role.NOTE),) if state.filter else ()
    return _plain((*narrowed, Span(FOOTER, Role.DIM)), brush), None


def _plain(line: Iterable[Span], brush: Brush) -> Line:
    return tuple(line) if brush.unicode else ascii_line(tuple(line))


def _help_body(state: State) -> Iterator[tuple[Segment, ...]]:
    height = max(state.lines - 3, 1)
    lines = help_lines()
    top = max(min(state.help_top or 0, len(lines) - height), 0)
    shown = lines[top : top + height]
    for line in (*shown, *[()] * (height - len(shown))):
        yield (Segment(line, state.columns),)
