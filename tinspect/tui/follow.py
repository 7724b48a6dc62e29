"""Following references from thread to thread, and finding the way back."""

from __future__ import annotations

from dataclasses import replace

from tinspect.tui.panes.content import Link, MapEntry, RowEntry, entry_text
from tinspect.tui.panes.kinds import Pane
from tinspect.tui.state import Focus, Place, State
from tinspect.tui.updates import opened, relisted, selected_pc, told, with_content
from tinspect.views.table import Role

TRAIL = 100
"""Steps that are remembered."""


def link_under_cursor(state: State) -> Link | None:
    """Where the pane's selected row leads."""
    if state.cursor < len(state.content.entries):
        entry = state.content.entries[state.cursor]
        if isinstance(entry, (RowEntry, MapEntry)):
            return entry.link
    return None


def address_under_cursor(state: State) -> int | None:
    """The address of the pane's selected row; in the list the selected thread's pc."""
    if state.focus is Focus.LIST:
        return selected_pc(state)
    if state.cursor < len(state.content.entries):
        entry = state.content.entries[state.cursor]
        if isinstance(entry, (RowEntry, MapEntry)):
            return entry.address
    return None


def followed(state: State) -> State:
    """Enter: from a row of a pane to the thread and frame it points to; in the list a group opens, or the focus goes to the pane."""
    if state.focus is Focus.LIST:
        after = opened(state)
        return after if after is not state else replace(state, focus=Focus.PANE)
    link = link_under_cursor(state)
    if link is None:
        return told(state, "This row leads to no other thread.")
    if state.moment is None or link.tid not in state.moment.threads:
        return told(state, f"Thread {link.tid} is no longer there.", Role.WARNING)
    if state.tid is None:
        return state
    here = Place(state.tid, state.pane, state.content.key_at(state.cursor), state.focus)
    state = replace(state, trail=(*state.trail[1 - TRAIL :], here))
    return _gone_to(state, link.tid, Pane.FRAMES, f"frame:{link.frame}" if link.frame is not None else None, Focus.PANE)


def returned(state: State) -> State:
    """Backspace: to where the last reference was followed from."""
    if not state.trail:
        return told(state, "No reference was followed.")
    place = state.trail[-1]
    state = replace(state, trail=state.trail[:-1])
    if state.moment is None or place.tid not in state.moment.threads:
        return told(state, f"Thread {place.tid} is no longer there.", Role.WARNING)
    return _gone_to(state, place.tid, place.pane, place.key, place.focus)


def _gone_to(state: State, tid: int, pane: Pane, key: str | None, focus: Focus) -> State:
    # A filter that hides the thread would leave the cursor elsewhere.
    hides = tid not in state.listing.positions
    state = replace(state, tid=tid, pane=pane, focus=focus, cursor=0, pane_top=0, filter="" if hides else state.filter)
    state = with_content(relisted(state))
    position = state.content.position(key)
    return with_content(replace(state, cursor=position)) if position is not None else state


def found(state: State, text: str, *, step: int = 1, stay: bool = False) -> State:
    """The next row of the pane that holds ``text``, round the end; ``stay`` lets the present one count."""
    words, count = text.lower(), len(state.content.entries)
    if not words or not count:
        return state
    start = state.cursor if stay else state.cursor + step
    for distance in range(count):
        at = (start + distance * step) % count
        if words in entry_text(state.content.entries[at]).lower():
            return with_content(replace(state, cursor=at, search=text))
    return told(replace(state, search=text), f"“{text}” is not in this pane.", Role.WARNING)
