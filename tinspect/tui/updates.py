"""How the state changes: pure functions from a state to the next. Nothing here draws, waits or touches a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinspect.model.crash import Instruction
from tinspect.model.whatis import WhatIs
from tinspect.tui.columns import list_layout
from tinspect.tui.drawing import is_selectable
from tinspect.tui.listing import make_listing
from tinspect.tui.moment import Moment
from tinspect.tui.panes.content import Content
from tinspect.tui.panes.kinds import THREAD_PANES, Pane
from tinspect.tui.panes.thread import Subject, thread_content
from tinspect.tui.state import Basis, Focus, Message, Sort, State
from tinspect.views.table import Role


def resized(state: State, columns: int, lines: int) -> State:
    """The screen has another size."""
    if (columns, lines) == (state.columns, state.lines):
        return state
    return _scrolled(replace(state, columns=columns, lines=lines))


def refreshed(state: State, moment: Moment) -> State:
    """A new moment: the selected thread stays selected, on the same line of the screen; if it has ended, the cursor stays in place."""
    line = state.at - state.top
    at = state.at
    state = replace(state, moment=moment, previous=state.moment, ready={})
    state = replace(
        state, listing=make_listing(state), refreshing=replace(state.refreshing, running=False, step="", trouble="")
    )
    if state.tid not in state.listing.positions:
        state = _select_at(state, at)
    return with_content(_scrolled(replace(state, top=state.at - line)))


def troubled(state: State, why: str, *, ended: bool) -> State:
    """The last refresh failed; after the target's death there will be none, and the last picture stays."""
    still = "it has ended: this is the last picture" if ended else state.refreshing.still
    return replace(state, refreshing=replace(state.refreshing, running=False, step="", trouble=why, still=still))


def relisted(state: State) -> State:
    """The filter, the order or the grouping changed."""
    at = state.at
    state = replace(state, listing=make_listing(state))
    if state.tid not in state.listing.positions:
        state = _select_at(state, at)
    return with_content(_scrolled(state))


def sorted_by(state: State, key: str) -> State:
    """By that column; the same column again turns the order. Amounts come greatest first."""
    descending = key not in {"tid", "name", "state", "at", "waits", "guard"}
    if state.sort is not None and state.sort.key == key:
        descending = not state.sort.descending
    return relisted(replace(state, sort=Sort(key, descending)))


def sort_turned(state: State) -> State:
    """The order the other way round."""
    return sorted_by(state, state.sort.key) if state.sort else sorted_by(sorted_by(state, "tid"), "tid")


def sort_moved(state: State, step: int) -> State:
    """By the next or the last of the columns that are shown; before the first stands the report's own order."""
    if state.scene is None:
        return state
    keys = (None, *list_layout(state.scene, state.areas.titles.width, state.grouped).keys)
    present = state.sort.key if state.sort and state.sort.key in keys else None
    key = keys[(keys.index(present) + step) % len(keys)]
    return sorted_by(replace(state, sort=None), key) if key else relisted(replace(state, sort=None))


def with_interval(state: State, factor: float) -> State:
    """Refreshes come less or more often, between four a second and one a minute."""
    interval = min(max(state.refreshing.interval * factor, 0.25), 60.0)
    return replace(state, refreshing=replace(state.refreshing, interval=interval))


def pause_changed(state: State) -> State:
    """Refreshes on the interval stop, or go on."""
    return replace(state, refreshing=replace(state.refreshing, paused=not state.refreshing.paused))


def help_shown(state: State) -> State:
    """The help comes, or goes."""
    return replace(state, help_top=0 if state.help_top is None else None)


def help_moved(state: State, step: int) -> State:
    """The help scrolls."""
    return replace(state, help_top=max((state.help_top or 0) + step, 0))


def focus_changed(state: State) -> State:
    """The moving keys move the other part."""
    return focused(state, Focus.PANE if state.focus is Focus.LIST else Focus.LIST)


def moved(state: State, step: int) -> State:
    """The cursor of the part in focus goes ``step`` rows down (up when negative), as far as there are rows."""
    if state.focus is Focus.LIST:
        return select_row(state, state.at + step)
    return _pane_moved(state, step)


def moved_to_end(state: State, *, last: bool) -> State:
    """The cursor goes to the first or the last row."""
    count = len(state.listing.items) if state.focus is Focus.LIST else len(state.content.entries)
    return moved(state, count if last else -count)


def select_row(state: State, at: int) -> State:
    """The thread (or group) of that row of the list is selected; the nearest row when there is none."""
    return with_content(_scrolled(_select_at(state, at)))


def select_entry(state: State, at: int) -> State:
    """The cursor of the pane goes to that entry, if it may stand there."""
    if 0 <= at < len(state.content.entries) and is_selectable(state.content.entries[at]):
        return _pane_scrolled(replace(state, cursor=at, focus=Focus.PANE))
    return replace(state, focus=Focus.PANE)


def scrolled(state: State, step: int, focus: Focus) -> State:
    """The wheel: the part under the mouse moves, and becomes the one in focus."""
    return moved(replace(state, focus=focus), step)


def focused(state: State, focus: Focus) -> State:
    """The moving keys move that part."""
    return replace(state, focus=focus)


def shown(state: State, pane: Pane) -> State:
    """That pane comes to the front."""
    if pane is state.pane:
        return state
    return with_content(replace(state, pane=pane, cursor=0, pane_top=0, content=Content()))


def turned(state: State, step: int) -> State:
    """The next or the last pane of the tabs."""
    panes = tuple(Pane)
    return shown(state, panes[(panes.index(state.pane) + step) % len(panes)])


def grouped(state: State) -> State:
    """Alike stacks share a row, or no longer."""
    return relisted(replace(state, grouped=not state.grouped, opened=frozenset()))


def opened(state: State) -> State:
    """The selected group shows its members, or becomes one row again."""
    if not state.grouped or state.moment is None or state.tid is None:
        return state
    group = next((group for group in state.moment.groups if state.tid in group.tids), None)
    if group is None or group.is_single:
        return state
    is_open = not state.opened.isdisjoint(group.tids)
    changed = state.opened - frozenset(group.tids) if is_open else state.opened | {state.tid}
    return relisted(replace(state, opened=changed))


def held(state: State) -> State:
    """The moment on the screen is kept to compare later ones with, or let go."""
    if state.held is not None:
        return with_content(replace(state, held=None, ready={}, message=Message("The held moment is let go.")))
    if state.moment is None:
        return state
    words = f"Held the moment of {state.moment.clock}: changes are shown against it. C compares, h lets go."
    return with_content(replace(state, held=state.moment, ready={}, message=Message(words)))


def answered(state: State, answer: WhatIs) -> State:
    """What an address is was found out."""
    ready: dict[Pane, Content] = {pane: content for pane, content in state.ready.items() if pane != Pane.WHATIS}
    return shown(with_content(replace(state, answer=answer, ready=ready, focus=Focus.PANE)), Pane.WHATIS)


def with_code(state: State, pc: int, code: tuple[Instruction, ...]) -> State:
    """The code around ``pc`` was read."""
    kept: Mapping[int, tuple[Instruction, ...]] = {**state.code, pc: code}
    return with_content(replace(state, code=kept))


def with_ready(state: State, pane: Pane, content: Content, basis: Basis) -> State:
    """A pane about the process was made; what it was made from may have been replaced meanwhile."""
    if basis != state.basis:
        return state
    return with_content(replace(state, ready={**state.ready, pane: content}))


def told(state: State, text: str, role: Role = Role.NOTE) -> State:
    """The last line says something."""
    return replace(state, message=Message(text, role))


def selected_pc(state: State) -> int | None:
    """The pc of the selected thread."""
    entry = state.moment.threads.get(state.tid) if state.moment and state.tid is not None else None
    return entry.thread.registers.pc if entry and entry.thread.registers else None


def with_content(state: State) -> State:
    """The pane shows what belongs to the selected thread and the moment; its cursor stays on the same row where that still is."""
    content = _content(state)
    if content is None:
        return state
    key = state.content.key_at(state.cursor)
    found = content.position(key) if key is not None else None
    state = replace(state, content=content, cursor=state.cursor if found is None else found)
    return _pane_scrolled(_pane_moved(state, 0))


def _content(state: State) -> Content | None:
    """None while it is being made elsewhere: the old one stays as long."""
    if state.moment is None:
        return Content()
    if state.pane not in THREAD_PANES:
        return state.ready.get(state.pane)
    entry = state.moment.threads.get(state.tid) if state.tid is not None else None
    if entry is None:
        return Content()
    pc = selected_pc(state)
    code = state.code.get(pc) if pc is not None else None
    return thread_content(state.pane, Subject(state.moment, entry, state.earlier, code))


def _select_at(state: State, at: int) -> State:
    items = state.listing.items
    if not items:
        return replace(state, tid=None)
    item = items[max(min(at, len(items) - 1), 0)]
    if state.tid in item.tids:
        return state
    return replace(state, tid=item.first.thread.tid)


def _scrolled(state: State) -> State:
    """The selected row is on the screen, and no line is wasted."""
    height = state.areas.rows.height
    top = min(max(state.top, state.at - height + 1), state.at)
    return replace(state, top=max(min(top, len(state.listing.items) - height), 0))


def _pane_moved(state: State, step: int) -> State:
    """The pane's cursor goes over rows alone; where there are none, the pane scrolls."""
    entries = state.content.entries
    rows = [at for at, entry in enumerate(entries) if is_selectable(entry)]
    if not rows:
        return replace(state, cursor=max(min(state.cursor + step, len(entries) - 1), 0), pane_top=0)
    before = sum(at < state.cursor for at in rows)
    place = max(min(before + step, len(rows) - 1), 0)
    moved_state = replace(state, cursor=rows[place])
    # Above the first row stand titles: going up to it shows them too.
    return _pane_scrolled(replace(moved_state, pane_top=0) if place == 0 else moved_state)


def _pane_scrolled(state: State) -> State:
    height = state.areas.pane.height
    return replace(state, pane_top=max(min(state.pane_top, state.cursor), state.cursor - height + 1, 0))
