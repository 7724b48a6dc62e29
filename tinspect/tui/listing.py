"""The rows of the list: filtered, ordered, grouped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinspect.tui.columns import Scene, sort_value, thread_group
from tinspect.tui.moment import Moment
from tinspect.tui.state import Listing, Sort, State
from tinspect.views.grouping import ThreadGroup


def make_listing(state: State) -> Listing:
    """The listing of the state's moment. Every word of the filter has to be found in a thread: in its tid, name, state or functions."""
    if state.moment is None or state.scene is None:
        return Listing()
    items = tuple(_sorted(state.scene, state.sort, _groups(state.moment, state)))
    return Listing(items, {tid: at for at, item in enumerate(items) for tid in item.tids})


def _groups(moment: Moment, state: State) -> Iterator[ThreadGroup]:
    words = state.filter.lower().split()
    if not state.grouped:
        for entry in moment.report.threads:
            if not words or _fits(moment.words[entry.thread.tid], words):
                yield thread_group(moment, entry)
        return
    for group in moment.groups:
        members = tuple(entry for entry in group.members if not words or _fits(moment.words[entry.thread.tid], words))
        if len(members) > 1 and state.opened.isdisjoint(group.tids):
            yield ThreadGroup(members, group.severity)
        else:
            yield from (thread_group(moment, entry) for entry in members)


def _fits(text: str, words: Iterable[str]) -> bool:
    return all(word in text for word in words)


def _sorted(scene: Scene, sort: Sort | None, groups: Iterable[ThreadGroup]) -> Iterable[ThreadGroup]:
    """In the order of a column; equal ones stay in the report's order, and what is unknown comes last either way."""
    if sort is None:
        return groups
    keyed = [(sort_value(scene, sort.key, group), group) for group in groups]
    known = [pair for pair in keyed if pair[0][0] < 2]
    unknown = [group for key, group in keyed if key[0] >= 2]
    known.sort(key=lambda pair: pair[0], reverse=sort.descending)
    return [*(group for _, group in known), *unknown]
