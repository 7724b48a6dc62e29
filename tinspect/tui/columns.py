"""The columns of the thread list: what each shows of a thread, in which order they give way when the line is short.

Cells are made for the rows on the screen alone; sorting makes those of one column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tinspect.model.report import ThreadReport
from tinspect.model.stack import GuardKind, RunningOn
from tinspect.tui.moment import Moment, used_bytes
from tinspect.views.grouping import ThreadGroup
from tinspect.views.layout import Fitted, fit_columns
from tinspect.views.stacks import bar_cell
from tinspect.views.table import NOTHING, SEVERITY_ROLES, UNKNOWN, Align, Cell, Column, Role, Row, Table, sort_key
from tinspect.views.threads import RUNNING_ON_CELLS, is_elsewhere, place_cell, running_on, waits_cell
from tinspect.views.words import duration_words, size_cell, size_words

SPARK = 12
"""Refreshes that the history column shows."""

_LEVELS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Scene:
    """What cells are made from: the moment, and the earlier one that changes are told against (or None); ``is_held`` when its user keeps
    that one to compare with."""

    moment: Moment
    earlier: Moment | None = None
    is_held: bool = False


def _tid(_: Scene, group: ThreadGroup) -> Cell:
    cell = group.tid_cell()
    return Cell(cell.text, SEVERITY_ROLES[group.severity], cell.sort) if group.severity else cell


def _name(_: Scene, group: ThreadGroup) -> Cell:
    return group.name_cell()


def _state(_: Scene, group: ThreadGroup) -> Cell:
    state = group.first.thread.state
    return UNKNOWN if state == "unknown" else Cell(state, Role.GOOD if state == "running" else Role.PLAIN)


def _bar(_: Scene, group: ThreadGroup) -> Cell:
    cell = bar_cell(group.members)
    guard = group.first.guard
    known = guard is not None and guard.kind is not GuardKind.UNKNOWN
    guarded = guard.kind is not GuardKind.NONE if guard and known else None
    return replace(cell, bar=replace(cell.bar, guarded=guarded)) if cell.bar else cell


def _used(_: Scene, group: ThreadGroup) -> Cell:
    return group.largest(used_bytes)


def _change(scene: Scene, group: ThreadGroup) -> Cell:
    """How much more the stack uses than at the earlier moment."""
    differences = [
        now - then
        for member in group.members
        if scene.earlier
        and (old := scene.earlier.threads.get(member.thread.tid))
        and (now := used_bytes(member)) is not None
        and (then := used_bytes(old)) is not None
    ]
    change = max(differences, key=abs, default=0)
    return Cell(f"{'+' if change > 0 else '−'}{size_words(abs(change))}", Role.NOTE, sort=change) if change else NOTHING


def _peak(_: Scene, group: ThreadGroup) -> Cell:
    return group.largest(lambda member: member.use.peak if member.use else None)


def _size(_: Scene, group: ThreadGroup) -> Cell:
    return group.largest(lambda member: member.stack.range.size if member.stack else None)


def _guard(_: Scene, group: ThreadGroup) -> Cell:
    """How far the nearest stack pointer is from its guard."""
    guards = [member.guard for member in group.members if member.guard]
    if guards and all(guard.kind is GuardKind.NONE for guard in guards):
        return Cell("none", Role.WARNING, sort=-1)
    distances = [guard.distance for guard in guards if guard.distance is not None]
    if not distances:
        return Cell("elsewhere", Role.DIM) if is_elsewhere(group.first) else UNKNOWN
    nearest = min(distances)
    return size_cell(nearest, Role.ERROR if nearest < 0 else Role.WARNING if nearest < 4096 else Role.SIZE)


def _history(scene: Scene, group: ThreadGroup) -> Cell:
    return Cell(sparkline(scene.moment.history.get(group.first.thread.tid, ()), SPARK), Role.USED)


def _at(_: Scene, group: ThreadGroup) -> Cell:
    return place_cell(group.first)


def _waits(scene: Scene, group: ThreadGroup) -> Cell:
    return waits_cell(group.first.waits_for, scene.moment.names)


def _on(_: Scene, group: ThreadGroup) -> Cell:
    on = running_on(group.first)
    return NOTHING if on is RunningOn.STACK else RUNNING_ON_CELLS[on]


def _cpu(_: Scene, group: ThreadGroup) -> Cell:
    times = [member.thread.cpu_time_us for member in group.members if member.thread.cpu_time_us is not None]
    return Cell(duration_words(sum(times)), sort=sum(times)) if any(times) else Cell("", sort=0 if times else None)


_Make = Callable[[Scene, ThreadGroup], Cell]

# A size has 8 cells at most, and its unit lines up.
_COLUMNS: tuple[tuple[Column, _Make], ...] = (
    (Column("tid", "TID", Align.RIGHT), _tid),
    (Column("name", "NAME", min_width=10), _name),
    (Column("state", "STATE", priority=6), _state),
    (Column("bar", "STACK", priority=1, min_width=8, width=20), _bar),
    (Column("used", "USED", Align.RIGHT, width=8), _used),
    (Column("change", "MORE", Align.RIGHT, priority=3, width=9), _change),
    (Column("peak", "PEAK", Align.RIGHT, priority=2, width=8), _peak),
    (Column("size", "SIZE", Align.RIGHT, priority=5, width=8), _size),
    (Column("guard", "TO GUARD", Align.RIGHT, priority=3, width=9), _guard),
    (Column("history", "HISTORY", priority=7, width=SPARK), _history),
    (Column("at", "AT", priority=1, min_width=16), _at),
    (Column("on", "ON", priority=5, width=8), _on),
    (Column("waits", "WAITS FOR", priority=8, min_width=14), _waits),
    (Column("cpu", "CPU", Align.RIGHT, priority=9, width=8), _cpu),
)
_MAKERS = {column.key: make for column, make in _COLUMNS}


@dataclass(frozen=True, slots=True)
class ListLayout:
    """The list's columns laid out for one width."""

    table: Table
    fitted: Fitted

    @property
    def keys(self) -> tuple[str, ...]:
        """The shown columns."""
        return tuple(self.table.columns[position].key for position in self.fitted.positions)


def list_layout(scene: Scene, width: int, grouped: bool) -> ListLayout:
    """The columns for ``width`` cells. They depend on all threads, not on the shown ones, so that scrolling moves nothing."""
    unused = {key for key in ("on", "waits") if not scene.moment.widths[key]}
    if not scene.is_held:
        unused.add("change")
    if scene.moment.number == 1 and scene.moment.report.target.kind not in {"live", "passive"}:
        unused.add("history")
    columns = tuple(_sized(column, scene.moment, grouped) for column, _ in _COLUMNS if column.key not in unused)
    table = Table("threads", "", columns, ())
    return ListLayout(table, fit_columns(table, width))


def _sized(column: Column, moment: Moment, grouped: bool) -> Column:
    known = moment.widths.get(column.key)
    if known is None:
        return column
    if column.key == "tid" and grouped:
        known = 2 * known + 3 + len(str(len(moment.threads)))
    return replace(column, width=max(known, 1))


def list_row(scene: Scene, layout: ListLayout, group: ThreadGroup) -> Row:
    """The row of one thread or group, with what changed since the earlier moment marked."""
    row = group.row(_cells(scene, layout, group))
    if scene.earlier is None:
        return row
    old = tuple(entry for tid in group.tids if (entry := scene.earlier.threads.get(tid)))
    if not old:
        return replace(row, is_new=True)
    if len(old) < len(group.members):
        return row
    before = _cells(Scene(scene.earlier, scene.earlier), layout, ThreadGroup(old, group.severity))
    changed = frozenset(
        column.key
        for column, cell, was in zip(layout.table.columns, row.cells, before, strict=True)
        if cell.text != was.text and column.key not in {"history", "change", "tid"}
    )
    return replace(row, changed=changed)


def _cells(scene: Scene, layout: ListLayout, group: ThreadGroup) -> tuple[Cell, ...]:
    shown = frozenset(layout.fitted.positions)
    return tuple(
        _MAKERS[column.key](scene, group) if position in shown else NOTHING
        for position, column in enumerate(layout.table.columns)
    )


def sort_value(scene: Scene, key: str, group: ThreadGroup) -> tuple[int, float, str]:
    """The place of a group in the order of the column ``key``."""
    return sort_key(_MAKERS[key](scene, group))


def thread_group(moment: Moment, entry: ThreadReport) -> ThreadGroup:
    """One thread as a row of its own."""
    return ThreadGroup((entry,), moment.severities.get(entry.thread.tid))


def sparkline(values: tuple[int | None, ...], width: int) -> str:
    """The last ``width`` values, oldest left, between the least and the greatest of them; a blank where one is not known."""
    shown = values[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(_LEVELS) - 1) or 1
    return "".join(" " if value is None else _LEVELS[round((value - low) / step)] for value in shown)
