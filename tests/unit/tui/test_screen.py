from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.reports import TARGET, any_report, crowd, renamed, sample_report, thread_report
from tinspect.errors import TinspectError, UsageError
from tinspect.model.address import AddressRange
from tinspect.model.report import ProcessReport
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, GuardRegion, RunningOn, StackUse
from tinspect.tui import mouse, updates
from tinspect.tui.columns import Scene, list_layout, list_row, thread_group
from tinspect.tui.drawing import Brush, Memory
from tinspect.tui.export import export_text, write_export
from tinspect.tui.geometry import areas
from tinspect.tui.moment import make_moment
from tinspect.tui.panes.kinds import PROCESS_PANES, Pane
from tinspect.tui.panes.process import Whole, process_content
from tinspect.tui.screen import draw_screen, tabs
from tinspect.tui.state import Focus, State
from tinspect.views.width import display_width


def brush(unicode: bool = True) -> Brush:
    return Brush(Memory(), unicode)


def texts(state: State, unicode: bool = True) -> list[str]:
    screen = draw_screen(state, brush(unicode))
    return ["".join(span.text for segment in line for span in segment.line) for line in screen.lines]


def shown(report: ProcessReport, columns: int = 80, lines: int = 24) -> State:
    return updates.refreshed(State(columns=columns, lines=lines), make_moment(report))


def with_pane(state: State, pane: Pane) -> State:
    state = updates.shown(state, pane)
    if pane in PROCESS_PANES and state.moment is not None:
        content = process_content(pane, Whole(state.moment, state.earlier, state.held, state.answer))
        state = updates.with_ready(state, pane, content, state.basis)
    return state


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (150, 10), (40, 8), (20, 3), (500, 200)])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_screen_is_exactly_as_large_as_the_terminal(size: tuple[int, int], unicode: bool) -> None:
    for report in (sample_report(), renamed(sample_report(), "線程\x1b[2J\u202e"), crowd(300)):
        state = shown(report, *size)
        for pane in Pane:
            for focus in Focus:
                lines = texts(replace(with_pane(state, pane), focus=focus), unicode)
                assert len(lines) == min(size[1], max(size[1], 7))
                assert {display_width(line) for line in lines} == {size[0]}
                assert all(line.isprintable() for line in lines)
                assert unicode or all(line.isascii() for line in lines)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_report, st.sampled_from(tuple(Pane)))
def test_any_report_at_all_can_be_shown(report: ProcessReport, pane: Pane) -> None:
    state = with_pane(updates.grouped(after_twice(report)), pane)
    assert {display_width(line) for line in texts(state)} == {80}


def after_twice(report: ProcessReport) -> State:
    state = shown(report)
    return updates.refreshed(state, make_moment(report, state.moment))


def test_parts_fill_the_screen_without_overlap() -> None:
    for columns, lines in ((80, 24), (149, 40), (150, 40), (300, 100)):
        parts = areas(columns, lines)
        seen = [
            [place in part for part in (parts.titles, parts.rows, parts.tabs, parts.pane)].count(True)
            for place in ((column, line) for column in range(columns) for line in range(2, lines - 1))
        ]
        assert max(seen) == 1
        assert seen.count(0) == (lines - 3 if columns >= 150 else 0)


def test_a_thread_that_may_run_anywhere_is_not_said_to_run_elsewhere() -> None:
    guard = GuardRegion(GuardKind.MPROTECT, AddressRange(0x1000, 0x2000), Source.MAPS)
    for running_on, words in ((RunningOn.UNKNOWN, "?"), (RunningOn.ALTSTACK, "elsewhere")):
        entry = thread_report(5, guard=guard, use=StackUse(None, None, running_on=running_on))
        moment = make_moment(ProcessReport(TARGET, (entry,)))
        layout = list_layout(Scene(moment), 400, grouped=False)
        row = list_row(Scene(moment), layout, thread_group(moment, entry))
        assert row.cells[layout.keys.index("guard")].text == words


def test_what_a_thread_uses_and_its_guard_are_drawn() -> None:
    line = next(line for line in texts(shown(sample_report(), 100, 30)) if " deep " in line)
    assert "█" * 10 in line
    assert "▌" in line
    assert "!" in next(line for line in texts(shown(sample_report(), 100, 30)) if " handler " in line)


def test_changes_are_marked_in_list_and_pane() -> None:
    state = shown(sample_report())
    entry = sample_report().threads[0]
    changed = replace(entry, thread=replace(entry.thread, state="stopped", name="other"))
    state = updates.refreshed(state, make_moment(replace(sample_report(), threads=(changed,)), state.moment))
    spans = [span for line in draw_screen(state, brush()).lines for part in line for span in part.line]
    assert any(span.text.startswith("other") and span.role == "changed" for span in spans)


def test_the_chosen_tab_is_always_to_be_seen() -> None:
    for width in (20, 80, 96, 200):
        for pane in Pane:
            found = tabs(pane, width)
            assert pane in [tab.pane for tab in found]
            assert all(tab.end <= width for tab in found)


def test_the_mouse_selects_sorts_and_follows() -> None:
    state = shown(sample_report())
    titles, rows, tab_line, pane = state.areas.titles, state.areas.rows, state.areas.tabs, state.areas.pane
    assert mouse.clicked(state, 5, rows.top + 2, brush()).tid == 4244
    assert mouse.clicked(state, 1, rows.top + rows.height - 1, brush()).tid == 4242
    sort = mouse.clicked(state, texts(state)[titles.top].index("USED"), titles.top, brush()).sort
    assert sort is not None
    assert (sort.key, sort.descending) == ("used", True)
    refs = mouse.clicked(updates.select_row(state, 1), texts(state)[tab_line.top].index("refs"), tab_line.top, brush())
    assert refs.pane is Pane.REFS
    line = next(at for at, text in enumerate(texts(refs)) if "counter" in text or "declared" in text)
    once = mouse.clicked(refs, 3, line, brush())
    assert (once.focus, once.tid) == (Focus.PANE, 4243)
    assert mouse.clicked(once, 3, line, brush()).tid == 4242
    assert mouse.wheeled(state, 3, rows.top, 3).tid == 4245
    assert mouse.wheeled(state, 3, pane.top, 3).focus is Focus.PANE


def test_help_is_shown_and_scrolls() -> None:
    state = updates.help_shown(shown(crowd(3)))
    assert any("a row up" in line for line in texts(state))
    assert not any("Ctrl-Z" in line for line in texts(state))
    assert any("Ctrl-Z" in line for line in texts(updates.help_moved(state, 1000)))
    assert updates.help_shown(state).help_top is None


@pytest.mark.parametrize("pane", list(Pane))
def test_a_pane_is_exported_in_every_format(pane: Pane) -> None:
    state = replace(with_pane(shown(renamed(sample_report(), "<&>\x1b]")), pane), focus=Focus.PANE)
    assert "\x1b" not in export_text(state, "txt")
    told = json.loads(export_text(state, "json"))
    assert told["pane"] == pane.value
    drawing = export_text(state, "svg")
    ElementTree.fromstring(drawing)
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "")


def test_the_list_is_exported_whole() -> None:
    text = export_text(shown(crowd(300)), "txt")
    assert text.count("worker-") == 300
    rows = json.loads(export_text(shown(crowd(300)), "json"))["tables"][0]["rows"]
    assert [row["tid"] for row in rows] == ["1", *(str(tid) for tid in range(100, 400))]


def test_a_bad_file_name_is_refused(tmp_path: object) -> None:
    with pytest.raises(UsageError):
        write_export(shown(crowd(1)), "list.pdf")
    with pytest.raises(TinspectError):
        write_export(shown(crowd(1)), f"{tmp_path}/nowhere/list.txt")
    assert "Written" in write_export(shown(crowd(1)), f"{tmp_path}/list.html")
