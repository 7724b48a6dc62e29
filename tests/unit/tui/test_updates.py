from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.reports import crowd, renamed, sample_report, thread_report
from tinspect.errors import UsageError
from tinspect.model.report import ProcessReport
from tinspect.model.stack import StackUse
from tinspect.tui import follow, prompts, updates
from tinspect.tui.columns import sparkline
from tinspect.tui.moment import HISTORY, make_moment
from tinspect.tui.panes.content import RowEntry, entry_text
from tinspect.tui.panes.kinds import Pane
from tinspect.tui.state import Focus, PromptKind, State


def shown(report: ProcessReport, **changes: Any) -> State:
    return updates.refreshed(replace(State(), **changes), make_moment(report))


def after(state: State, report: ProcessReport) -> State:
    return updates.refreshed(state, make_moment(report, state.moment))


def tids(state: State) -> list[int]:
    return [item.first.thread.tid for item in state.listing.items]


def without(report: ProcessReport, *gone: int) -> ProcessReport:
    return replace(report, threads=tuple(entry for entry in report.threads if entry.thread.tid not in gone))


def row_texts(state: State) -> list[str]:
    return [entry_text(entry) for entry in state.content.entries if isinstance(entry, RowEntry)]


def test_the_selection_stays_on_its_thread_and_line() -> None:
    state = updates.select_row(shown(crowd(100)), 40)
    assert state.tid == 139
    line = state.at - state.top
    state = after(state, without(crowd(100), *range(110, 120)))
    assert state.tid == 139
    assert (state.at, state.at - state.top) == (30, line)


def test_when_the_selected_thread_ends_the_cursor_stays_in_place() -> None:
    state = after(updates.select_row(shown(crowd(20)), 5), without(crowd(20), 104))
    assert (state.at, state.tid) == (5, 105)
    state = after(updates.moved_to_end(state, last=True), without(crowd(20), 104, 119))
    assert state.tid == 118
    state = after(state, replace(crowd(0), threads=()))
    assert state.tid is None
    assert after(state, crowd(3)).tid == 1


def test_moving_never_leaves_the_list_or_the_screen() -> None:
    state = shown(crowd(100))
    for step in (-1, 3, 1000, -5, -1000):
        state = updates.moved(state, step)
        assert 0 <= state.at < 101
        assert state.top <= state.at < state.top + state.areas.rows.height
    assert updates.moved_to_end(state, last=True).tid == 199
    state = updates.resized(updates.moved_to_end(state, last=True), 200, 60)
    assert state.top <= state.at < state.top + state.areas.rows.height


def with_use(tid: int, used: int | None) -> ProcessReport:
    base = crowd(3)
    entries = tuple(
        replace(entry, use=StackUse(used, None)) if entry.thread.tid == tid else entry for entry in base.threads
    )
    return replace(base, threads=entries)


def test_sorting_by_a_column_and_back() -> None:
    state = updates.sorted_by(shown(with_use(101, 1 << 20)), "used")
    assert tids(state)[0] == 101
    assert tids(updates.sort_turned(state))[-1] == 101
    assert tids(updates.sorted_by(shown(with_use(101, None)), "used"))[-1] == 101
    assert tids(updates.sort_turned(updates.sorted_by(shown(with_use(101, None)), "used")))[-1] == 101
    state = shown(crowd(3))
    for _ in range(20):
        state = updates.sort_moved(state, 1)
        if state.sort is None:
            break
    assert state.sort is None
    assert tids(state) == [1, 100, 101, 102]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("4243", [4243]), ("HANDLER", [4244]), ("running", [4242]), ("deep futex_wait", [4243]), ("nobody", [])],
)
def test_the_filter_takes_tid_name_state_and_function(words: str, expected: list[int]) -> None:
    state = prompts.prompted(shown(sample_report()), PromptKind.FILTER)
    for letter in words:
        state = prompts.typed(state, letter)
    assert tids(state) == expected
    assert tids(prompts.left(state)) == [4242, 4243, 4244, 4245]
    kept, asked = prompts.entered(state)
    assert (tids(kept), asked) == (expected, None)
    assert len(tids(prompts.left(kept))) == 4


def test_alike_stacks_share_a_row_until_it_is_opened() -> None:
    state = updates.grouped(shown(crowd(50)))
    sizes = [len(item.members) for item in state.listing.items]
    assert sum(sizes) == 51
    assert max(sizes) == 49
    state = updates.select_row(state, sizes.index(49))
    opened = follow.followed(state)
    assert len(opened.listing.items) == 51
    assert opened.tid == state.tid
    assert len(follow.followed(opened).listing.items) == len(sizes)


def test_a_reference_is_followed_into_the_others_frame_and_back() -> None:
    state = updates.shown(updates.select_row(shown(sample_report()), 1), Pane.REFS)
    assert state.tid == 4243
    state = updates.focused(state, Focus.PANE)
    assert "counter" in row_texts(state)[0]
    there = follow.followed(state)
    assert (there.tid, there.pane, there.focus) == (4242, Pane.FRAMES, Focus.PANE)
    assert there.content.key_at(there.cursor) == "frame:1"
    back = follow.returned(there)
    assert (back.tid, back.pane, back.cursor) == (4243, Pane.REFS, state.cursor)
    assert back.trail == ()
    assert follow.returned(back).message is not None


def test_following_uncovers_a_thread_the_filter_hides() -> None:
    state = replace(updates.shown(updates.select_row(shown(sample_report()), 1), Pane.REFS), focus=Focus.PANE)
    state = updates.relisted(replace(state, filter="deep"))
    assert tids(state) == [4243]
    assert follow.followed(state).tid == 4242


def test_a_reference_to_a_thread_that_is_gone_says_so() -> None:
    state = replace(updates.shown(updates.select_row(shown(sample_report()), 1), Pane.REFS), focus=Focus.PANE)
    state = after(state, without(sample_report(), 4242))
    followed = follow.followed(state)
    assert followed.tid == 4243
    assert followed.message is not None


def test_the_panes_cursor_stays_on_its_row() -> None:
    state = updates.select_entry(updates.shown(shown(sample_report()), Pane.REGISTERS), 3)
    assert state.content.key_at(state.cursor) == "register:rip"
    assert after(state, sample_report()).content.key_at(state.cursor) == "register:rip"
    assert state.focus is Focus.PANE


def test_searching_goes_round() -> None:
    state = replace(updates.shown(shown(sample_report()), Pane.REGISTERS), focus=Focus.PANE)
    state = follow.found(state, "rsp")
    assert state.content.key_at(state.cursor) == "register:rsp"
    assert follow.found(state, "RSP").cursor == state.cursor
    assert follow.found(state, "nothing").message is not None
    assert follow.found(shown(crowd(0)), "").message is None


def test_a_held_moment_is_what_changes_are_told_against() -> None:
    first = shown(with_use(101, 4096))
    kept = updates.held(first)
    later = after(after(kept, with_use(101, 8192)), with_use(101, 8192))
    assert later.earlier is first.moment
    assert later.scene is not None
    assert later.scene.is_held
    assert updates.held(later).earlier is later.previous


def test_death_keeps_the_last_picture() -> None:
    state = shown(crowd(3))
    dead = updates.troubled(state, "Process 4242 has ended.", ended=True)
    assert dead.refreshing.still
    assert dead.listing is state.listing
    assert not updates.troubled(state, "Refused.", ended=False).refreshing.still


def test_content_of_an_older_moment_is_not_shown() -> None:
    state = updates.shown(shown(crowd(3)), Pane.MAP)
    basis, other = state.basis, shown(sample_report()).content
    later = after(state, crowd(4))
    assert updates.with_ready(later, Pane.MAP, other, basis) is later
    assert updates.with_ready(later, Pane.MAP, other, later.basis).content.entries == other.entries


def test_history_is_bounded_and_drawn() -> None:
    moment = None
    for used in range(HISTORY + 20):
        moment = make_moment(with_use(101, used), moment)
    assert moment is not None
    assert moment.history[101] == tuple(range(20, HISTORY + 20))
    assert sparkline((0, 7, None, 3), 12) == "▁█ ▄"
    assert sparkline((5, 5), 12) == "▁▁"
    assert sparkline((None,), 12) == ""


@pytest.mark.parametrize(
    ("typed", "address"), [("0x10", 16), ("10", 16), ("rip", 0x7F13_0001_0012), ("$RIP", 0x7F13_0001_0012)]
)
def test_what_is_takes_addresses_and_registers(typed: str, address: int) -> None:
    assert prompts.parse_address(shown(sample_report()), typed) == address


@pytest.mark.parametrize("typed", ["", "rxx", "0x1" + "0" * 16, "-1"])
def test_what_is_refuses_the_rest(typed: str) -> None:
    with pytest.raises(UsageError):
        prompts.parse_address(shown(sample_report()), typed)


def test_typing_is_edited() -> None:
    state = prompts.typed(prompts.prompted(shown(crowd(1)), PromptKind.FILTER), "two words")
    assert prompts.erased(state).filter == "two word"
    assert prompts.erased(state, word=True).filter == "two"
    assert prompts.erased(state, all_of_it=True).filter == ""


def test_every_pane_stands_for_every_thread() -> None:
    for report in (sample_report(), renamed(sample_report(), "\x1b[31m"), crowd(2), replace(crowd(0), threads=())):
        state = shown(report)
        for _ in report.threads:
            for pane in Pane:
                state = updates.shown(state, pane)
            state = updates.moved(state, 1)


def test_a_thread_without_registers_has_panes_too() -> None:
    bare = thread_report(7)
    bare = replace(bare, thread=replace(bare.thread, registers=None), call_stack=None, tls=None, stack=None, use=None)
    state = shown(replace(crowd(0), threads=(bare,)))
    for pane in (Pane.FRAMES, Pane.CODE, Pane.TLS):
        assert entry_text(updates.shown(state, pane).content.entries[0]).startswith("No ")
