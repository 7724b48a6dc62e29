"""What is under the mouse, and what a click on it does."""

from __future__ import annotations

from tinspect.tui.columns import ListLayout, list_layout
from tinspect.tui.drawing import Brush
from tinspect.tui.follow import followed
from tinspect.tui.screen import draw_list, draw_pane, tabs
from tinspect.tui.state import Focus, State
from tinspect.tui.updates import focused, scrolled, select_entry, select_row, shown, sorted_by
from tinspect.views.layout import GAP


def clicked(state: State, column: int, line: int, brush: Brush) -> State:
    """A click: selects; on what is selected already it follows; on a column's title it sorts; on a tab it shows the pane."""
    areas, place = state.areas, (column, line)
    if state.help_top is not None or state.scene is None:
        return state
    if place in areas.rows:
        at = draw_list(state, brush).positions[line - areas.rows.top]
        if at is None:
            return focused(state, Focus.LIST)
        again = at == state.at and state.focus is Focus.LIST
        return followed(state) if again and state.grouped else select_row(focused(state, Focus.LIST), at)
    if place in areas.pane:
        at = draw_pane(state, brush).positions[line - areas.pane.top]
        again = at == state.cursor and state.focus is Focus.PANE
        return focused(state, Focus.PANE) if at is None else followed(state) if again else select_entry(state, at)
    if place in areas.tabs:
        for tab in tabs(state.pane, areas.tabs.width):
            if tab.start <= column - areas.tabs.left < tab.end:
                return shown(state, tab.pane)
    if place in areas.titles:
        key = column_at(list_layout(state.scene, areas.titles.width, state.grouped), column - areas.titles.left)
        return sorted_by(state, key) if key else state
    return state


def wheeled(state: State, column: int, line: int, step: int) -> State:
    """The wheel moves in the part it turns over."""
    return scrolled(state, step, Focus.PANE if (column, line) in state.areas.pane else Focus.LIST)


def column_at(layout: ListLayout, offset: int) -> str | None:
    """The column of the list at ``offset`` cells from its left edge."""
    left = 0
    for key, width in zip(layout.keys, layout.fitted.widths, strict=True):
        if left <= offset < left + width:
            return key
        left += width + GAP
    return None
