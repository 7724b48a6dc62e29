"""What each section says of the sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.reports import TARGET, crowd, sample_report, thread_report
from tinspect.model.address import AddressRange
from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.gap import Gap
from tinspect.model.lock import Lock
from tinspect.model.options import Section
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.scope import Scope
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, GuardRegion, StackUse
from tinspect.model.whatis import AddressKind, WhatIs
from tinspect.views.crash import crash_tables
from tinspect.views.doctor import doctor_table
from tinspect.views.findings import findings_table, incomplete_table
from tinspect.views.frames import frames_table, frames_tables
from tinspect.views.grouping import thread_groups
from tinspect.views.guards import guards_table
from tinspect.views.layout import table_lines
from tinspect.views.locks import locks_tables
from tinspect.views.map_text import draw_map_line, map_text_lines, stack_uses
from tinspect.views.matrix import matrix_table, reference_matrix
from tinspect.views.options import ViewOptions
from tinspect.views.refs import list_table
from tinspect.views.report import report_tables
from tinspect.views.scopes import scopes_table
from tinspect.views.span import plain_text
from tinspect.views.stacks import stacks_table
from tinspect.views.summary import summary_lines
from tinspect.views.svg import stacks_drawing
from tinspect.views.table import Bar, Role, Table
from tinspect.views.threads import threads_table
from tinspect.views.tls import tls_tables
from tinspect.views.whatis import whatis_facts_table, whatis_table


def texts(table: Table, column: str) -> list[str]:
    position = table.column(column)
    assert position is not None
    return [row.cells[position].text for row in table.rows]


def test_threads() -> None:
    table = threads_table(sample_report())
    assert texts(table, "name") == ["demo (main)", "deep", "handler", ""]
    assert texts(table, "at") == ["futex_wait+0x12"] * 3 + ["?"]
    assert texts(table, "waits") == [
        "join 0x7f1200000000 of 4243 deep",
        "futex(0x7f12, FUTEX_WAIT_PRIVATE, 2, NULL)",
        "mutex 0x555520000000 held by 4242 demo",
        "",
    ]
    assert texts(table, "state")[3] == "?"


def test_stacks() -> None:
    table = stacks_table(sample_report())
    assert texts(table, "size") == ["8 MiB", "8 MiB", "8 MiB", "?"]
    assert texts(table, "used") == ["4 KiB", "8.0 MiB", "?", "?"]
    assert texts(table, "on") == ["own", "own", "altstack", "?"]
    position = table.column("bar")
    assert position is not None
    assert table.rows[0].cells[position].bar == Bar(4 / 8192, 132 / 8192)


def test_guards() -> None:
    assert texts(guards_table(sample_report()), "verdict") == ["clear", "in the guard", "no guard", "?"]
    near = thread_report(5, guard=GuardRegion(GuardKind.MADVISE, AddressRange(0, 4096), Source.PAGEMAP, 4095))
    assert texts(guards_table(ProcessReport(TARGET, (near,))), "verdict") == ["within a page"]


def test_alike_threads_share_a_row() -> None:
    report = crowd(100)
    table = threads_table(report)
    assert texts(table, "tid") == ["1", "100…199 ×99", "105"]
    assert texts(table, "name") == ["main (main)", "worker-*", "worker-5"]
    assert [len(row.tids) for row in table.rows] == [1, 99, 1]
    assert len(threads_table(report, ViewOptions(group_over=0)).rows) == 101
    assert len(thread_groups(crowd(20), ViewOptions())) == 21


def test_references_are_folded_and_sorted_by_badness() -> None:
    table = list_table(sample_report())
    assert texts(table, "verdict") == ["thread is gone", "frame is gone", "declared"]
    assert texts(table, "to") == ["gone", "4243 deep", "4242 demo"]
    assert texts(table, "target") == ["cached stack", "stack", "counter in main [scope 7]"]
    assert table.notes == ("1 pointer that libc itself keeps is folded away.",)
    assert len(list_table(sample_report(), ViewOptions(libc_references=True)).rows) == 4


def test_matrix() -> None:
    table = matrix_table(sample_report(), reference_matrix(sample_report()))
    assert [column.title for column in table.columns] == ["FROM \\ TO", "4242", "4243", "gone"]
    assert texts(table, "from") == ["4243 deep", "4244 handler", "global"]
    assert [[cell.text for cell in row.cells[1:]] for row in table.rows] == [
        ["1", "·", "·"],
        ["·", "·", "1"],
        ["·", "1", "·"],
    ]
    assert table.rows[1].cells[3].role is Role.ERROR
    assert table.rows[0].cells[1].role is Role.GOOD


def test_scopes_are_a_tree() -> None:
    assert texts(scopes_table(sample_report()), "tree") == [
        "scope 7 “outer” of 4242 demo",
        "├─ loan to any thread of the scope",
        "├─ loan to thread 4244",
        "├─ 4243 deep",
        "└─ 4244 handler",
        "   scope 8 of 4243 deep",
        "   └─ 9999",
        "scope 9 “lost”, owner unknown",
    ]


def test_a_thread_that_the_report_leaves_out_is_not_said_to_have_ended() -> None:
    report = sample_report()
    alone = replace(report, threads=report.threads[:1])  # as with --tid
    assert texts(scopes_table(alone), "state")[3:5] == ["?", "?"]


def test_a_lock_is_free_only_where_that_is_known() -> None:
    def shown(**facts: Any) -> str:
        lock = Lock(0x5000, "mutex", Source.REGISTRY, **facts)
        return texts(locks_tables(ProcessReport(TARGET, (), locks=(lock,)))[1], "owner")[0]

    assert shown(owner_tid=7, held=True) == "7"
    assert shown(held=True) == "?"
    assert shown(held=False) == "free"
    assert shown() == ""  # an rwlock does not tell who reads under it


def test_a_stack_whose_use_is_not_known_is_not_drawn_as_free() -> None:
    def signs(entry: ThreadReport) -> set[str]:
        report = ProcessReport(TARGET, (entry,))
        lines = (draw_map_line(line, stack_uses(report), 90)[1:-2] for line in map_text_lines(report))
        return set("".join(span.text for line in lines for span in line)) - {" ", "▌", "="}

    known, unknown = thread_report(5), thread_report(6, use=StackUse(None, None))
    assert signs(unknown) == {"?"}
    assert signs(known) <= set("·▒█")
    drawing = stacks_drawing(ProcessReport(TARGET, (known, unknown)), ViewOptions())
    assert (drawing.count('class="outline"'), drawing.count('class="free"')) == (1, 1)


def test_scopes_that_go_in_a_circle_or_very_deep_are_shown_once() -> None:
    def chain(*parents: int | None) -> ProcessReport:
        scopes = tuple(
            Scope(index, 1, parent, "", "body", 0, False, False, (), ()) for index, parent in enumerate(parents)
        )
        return ProcessReport(TARGET, (), scopes=scopes)

    assert len(scopes_table(chain(1, 2, 0)).rows) == 3
    assert len(scopes_table(chain(0, 0)).rows) == 2
    deep = scopes_table(chain(None, *range(20_000)))
    assert len(deep.rows) == 20_001
    assert max(len(text) for text in texts(deep, "tree")) < 120


def test_tls() -> None:
    keys, values, variables, blocks, destructors = tls_tables(sample_report())
    assert keys.title == "Thread-specific keys: 3 of 1,024"
    assert texts(keys, "destructor") == ["0x555500005000", "none", "0x7f3000000000"]
    assert texts(keys, "mapped") == ["", "", "not mapped"]
    assert texts(keys, "threads") == ["3", "0", "0"]
    assert len(values.rows) == 3
    assert texts(variables, "value")[:2] == ["1", "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 …"]
    assert texts(blocks, "low")[1] == "not allocated"
    assert texts(destructors, "symbol")[0] == "drop_in_place"


def test_values_of_many_threads_share_rows() -> None:
    values = tls_tables(crowd(100))[1]
    assert texts(values, "tid") == ["1…199 ×101"]
    assert texts(values, "value") == ["101 places"]
    assert texts(values, "what") == ["heap chunk of bytes"]


def test_a_gap_of_many_threads_is_one_line_and_counts_once() -> None:
    gaps = tuple(Gap("sigaltstack", "a core tells nothing.", tid) for tid in range(100, 1100))
    report = replace(sample_report(), incomplete=(*gaps, Gap("names", "Cores keep no names.")))
    table = incomplete_table(report)
    assert texts(table, "what") == ["sigaltstack", "names"]
    assert texts(table, "tid") == ["100–1099 ×1000", ""]
    assert table.title == "Not learnt: 2 gaps"
    assert "not learnt: 2 gaps" in plain_text(summary_lines(report))


def test_findings_and_gaps() -> None:
    findings = findings_table(sample_report())
    assert findings.title == "Findings: 1 error, 1 note"
    assert texts(findings, "severity") == ["error", "note"]
    gaps = incomplete_table(sample_report())
    assert texts(gaps, "tid") == ["4245", ""]
    assert report_tables(sample_report())[-1].name == "incomplete"
    assert all(table.name != "incomplete" for table in report_tables(replace(sample_report(), incomplete=())))


def test_crash() -> None:
    verdict, frames, code = crash_tables(sample_report())
    assert texts(verdict, "value")[2] == "SIGSEGV (11), SEGV_ACCERR at 0x000000001ff0"
    assert texts(frames, "function") == ["futex_wait+0x12", "spin (inlined)", "worker+0x34", "?"]
    assert texts(code, "mark") == ["→"]
    assert crash_tables(replace(sample_report(), crash=None)) == ()


def test_a_signal_without_a_verdict_of_its_own_is_a_sentence_alone() -> None:
    report = sample_report()
    assert report.crash
    unnamed = replace(report.crash, verdict="unknown", message="Thread 7 got SIGUSR1: sent by kill.")
    verdict, *_ = crash_tables(replace(report, crash=unnamed))
    assert texts(verdict, "value")[0] == "Thread 7 got SIGUSR1: sent by kill."


def test_lines_of_source_have_a_column_where_they_are_known() -> None:
    frame = Frame(0, 0x1000, 0x7000, 0x7010, FrameSource.REGISTERS, "work", 4)
    assert frames_table(CallStack(7, (frame,))).column("place") is None
    assert texts(frames_table(CallStack(7, (replace(frame, file="a.c", line=3),))), "place") == ["a.c:3"]
    assert report_tables(sample_report(), (Section.STACKS,))[0].name == "crash"


def test_alike_call_stacks_share_a_table() -> None:
    (table,) = frames_tables(crowd(100))
    assert table.title == "Call stack of 1…199 ×101 *"
    assert set(texts(table, "sp")) == {""}


def test_whatis() -> None:
    answer = WhatIs(
        0x7F11_FFFF_F010, AddressKind.STACK, "In frame 3 of thread 4242 demo: counter in main.", Source.UNWIND,
        AddressRange(0x7F11_FFFF_0000, 0x7F12_0000_0000), 16, 4242, "demo", 3, "main", "counter", details=("It is lent to scope 7.",),
    )  # fmt: skip
    assert texts(whatis_table((answer,)), "kind") == ["stack"]
    facts = whatis_facts_table(answer)
    assert texts(facts, "value") == [
        "0x7f11fffff010", "4242 demo", "3 main", "counter", "0x7f11ffff0000–0x7f1200000000, 64 KiB", "0x10", "It is lent to scope 7.",
    ]  # fmt: skip


def test_doctor() -> None:
    table = doctor_table((DoctorCheck("bpf", CheckState.MISSING, "CAP_BPF is missing.", "Run as root."),))
    assert texts(table, "detail") == ["CAP_BPF is missing. → Run as root."]


def test_summary() -> None:
    assert plain_text(summary_lines(sample_report())) == (
        "pid 4242  /usr/bin/demo  x86_64; glibc 2.36, layout by dwarf\n"
        "4 threads: 2 sleeping, 1 running, 1 unknown\n"
        "findings: 1 error, 1 note; not learnt: 2 gaps; stood still for 812 µs\n"
    )


def test_summary_claims_nothing_that_nobody_looked_for() -> None:
    report = replace(sample_report(), findings=(), incomplete=())
    assert "findings: none" in plain_text(summary_lines(report))
    assert "findings" not in plain_text(summary_lines(report, frozenset({Section.STACKS})))
    assert "findings: 1 error" in plain_text(summary_lines(sample_report(), frozenset({Section.STACKS})))
    passive = replace(report, target=replace(report.target, kind="passive", pause_us=0))
    assert "stood still" not in plain_text(summary_lines(passive))


def test_summary_of_a_core_that_keeps_no_states() -> None:
    report = sample_report()
    threads = tuple(replace(entry, thread=replace(entry.thread, state="unknown")) for entry in report.threads)
    assert plain_text(summary_lines(replace(report, threads=threads))).splitlines()[1] == "4 threads"


def test_ten_thousand_threads_take_no_time() -> None:
    report = crowd(10_000)
    lines = [line for table in report_tables(report) for line in table_lines(table, 80)]
    assert len(lines) < 70
