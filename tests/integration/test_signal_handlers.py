"""Signal handlers as the kernel keeps them, against what sigaction(2) says in the target; and the finding that stands on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.backends import BACKENDS, ContractBackend
from tests.native.conftest import StartProgram, start_program  # noqa: F401 (a fixture)
from tests.native.test_bpf import needs_bpf
from tinspect import session
from tinspect.formats.report_json import to_json
from tinspect.formats.signal_action import signal_handler_of
from tinspect.model.options import AltstackMode, AttachOptions
from tinspect.model.report import Finding, ProcessReport
from tinspect.model.source import Source

Json = dict[str, Any]
FLAGS = {
    "SA_NOCLDSTOP": 1, "SA_NOCLDWAIT": 2, "SA_SIGINFO": 4, "SA_ONSTACK": 0x08000000, "SA_RESTART": 0x10000000,
    "SA_NODEFER": 0x40000000, "SA_RESETHAND": 0x80000000,
}  # fmt: skip


def truth_of(lines: list[list[str]]) -> dict[int, tuple[int, int]]:
    """What sigaction() said of the signals with a handler."""
    told = {int(line[1]): (int(line[2], 16), int(line[3], 16)) for line in lines if line[0] == "signal"}
    return {number: action for number, action in told.items() if action[0] > 1}


def handlers_of(report: ProcessReport) -> list[Json]:
    told: Any = to_json(report)["signal_handlers"]
    assert isinstance(told, list)
    return told


def check(handlers: list[Json], truth: dict[int, tuple[int, int]], pid: int) -> None:
    # libc keeps signals to itself that sigaction() does not show; /proc counts them.
    public = {h["signal"]: (int(h["handler"], 16), sum(FLAGS[name] for name in h["flags"])) for h in handlers}
    assert {number: action for number, action in public.items() if number not in {32, 33}} == truth
    caught = int(next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in x).split()[1], 16)
    assert sum(1 << number - 1 for number in public) == caught
    symbols = {h["signal"]: h["symbol"] for h in handlers}
    assert (symbols[11], symbols[10]) == ("handle_fault", "handle_plainly")
    assert {h["source"] for h in handlers} == {"bpf"}
    assert next(h["name"] for h in handlers if h["signal"] == 11) == "SIGSEGV"


@needs_bpf
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_handlers_are_what_sigaction_says(start_program: StartProgram, backend: ContractBackend) -> None:  # noqa: F811
    program = start_program("handlers_truth", "onstack")
    truth = truth_of(program.hear_until("ready"))
    report = backend.report(program.pid)
    if "signal_handlers" in backend.lacks:
        assert report["signal_handlers"] is None
    else:
        check(report["signal_handlers"], truth, program.pid)


@pytest.mark.parametrize("mode", [AltstackMode.OFF, AltstackMode.INJECT])
def test_they_are_null_where_nobody_asked_the_kernel(start_program: StartProgram, mode: AltstackMode) -> None:  # noqa: F811
    program = start_program("handlers_truth", "onstack")
    program.hear_until("ready")
    report = session.attach_report(program.pid, AttachOptions(altstack=mode))
    assert to_json(report)["signal_handlers"] is None
    assert missing(report) == []


@needs_bpf
def test_handlers_that_change_all_the_time_are_never_half_of_each(start_program: StartProgram) -> None:  # noqa: F811
    program = start_program("handlers_truth", "onstack")
    truth = truth_of(program.hear_until("ready"))
    address = truth[10][0]
    program.tell("change")
    for _ in range(30):
        with session.attach(program.pid) as inspector:
            snapshot, _ = inspector.capture(AttachOptions(passive=True))
        if snapshot.signal_handlers is None:
            assert any(gap.what == "signal_handlers" and "changed" in gap.why for gap in snapshot.gaps)
            continue
        seen = [handler for handler in snapshot.signal_handlers if handler.signal == 10]
        assert not seen or (seen[0].handler, seen[0].flags) in [(address, ()), (address, ("SA_ONSTACK", "SA_RESTART"))]


def missing(report: ProcessReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.code == "altstack-missing"]


@needs_bpf
def test_threads_without_an_alternate_stack_for_a_handler_that_wants_one(start_program: StartProgram) -> None:  # noqa: F811
    program = start_program("handlers_truth", "onstack")
    lines = program.hear_until("ready")
    without = sorted(int(line[2]) for line in lines if line[:2] == ["thread", "without"])
    (finding,) = missing(session.attach_report(program.pid, AttachOptions()))
    assert finding.severity.value == "note"
    assert finding.message.startswith(
        "SIGBUS and SIGSEGV are handled on the alternate stack (SA_ONSTACK), but 2 threads"
    )
    assert f"({without[0]}, {without[1]})" in finding.message


@needs_bpf
@pytest.mark.parametrize("place", ["plain", "default"])
def test_other_handlers_are_no_finding(start_program: StartProgram, place: str) -> None:  # noqa: F811
    """Without SA_ONSTACK nobody meant an alternate stack to be there; and SIGUSR2's is no matter of life and death."""
    program = start_program("handlers_truth", place)
    program.hear_until("ready")
    assert missing(session.attach_report(program.pid, AttachOptions())) == []


@needs_bpf
def test_the_process_section_shows_them(start_program: StartProgram) -> None:  # noqa: F811
    program = start_program("handlers_truth", "onstack")
    told = truth_of(program.hear_until("ready"))
    count = len(handlers_of(session.attach_report(program.pid, AttachOptions())))
    assert count >= len(told)
    command = [sys.executable, "-m", "tinspect", "attach", str(program.pid), "--only", "process", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"Signal handlers: {count}" in done.stdout
    assert "SIGUSR2" in done.stdout
    assert "handle_fault" in done.stdout


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (0x04000000, ()),
        (0x0C000004, ("SA_SIGINFO", "SA_ONSTACK")),
        (0x20000000, ("0x20000000",)),
        (0xFFFFFFFF_00000001, ("SA_NOCLDSTOP", "0xffffffff00000000")),
    ],
)
def test_flags_by_name(flags: int, names: tuple[str, ...]) -> None:
    handler = signal_handler_of(11, 0x1000, flags, Source.BPF)
    assert handler is not None
    assert handler.flags == names


def test_default_and_ignored_are_no_handlers() -> None:
    assert signal_handler_of(13, 0, 0, Source.BPF) is None
    assert signal_handler_of(13, 1, 0x10000000, Source.BPF) is None
