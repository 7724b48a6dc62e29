"""Alternate signal stacks by every way there is to learn them: they agree with the target and with one another, and harm nobody."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.native.conftest import Program, StartProgram
from tests.support.capturing import start_altstack_truth
from tests.support.core_maker import gcore
from tests.support.libcs import BUILDS, LibcBuild, running
from tinspect import session
from tinspect.formats.report_json import to_json
from tinspect.model.options import AltstackMode, AttachOptions, SnapshotOptions
from tinspect.native import _inspect

Json = dict[str, Any]
INJECT = AttachOptions(altstack=AltstackMode.INJECT)
MODES = {
    "auto": AttachOptions(),
    "bpf": AttachOptions(altstack=AltstackMode.BPF),
    "inject": INJECT,
    "off": AttachOptions(altstack=AltstackMode.OFF),
    "passive": AttachOptions(passive=True),
    "stop-busy": AttachOptions(passive=True, stop_busy=True),
}
SS_DISABLE = 2


def look(pid: int, options: AttachOptions) -> Json:
    report: Json = to_json(session.attach_report(pid, options))
    return report


def stacks_of(report: Json) -> dict[int, Json]:
    return {thread["tid"]: thread["sigaltstack"] for thread in report["threads"]}


def why_by_tid(report: Json) -> dict[int | None, str]:
    return {gap["tid"]: gap["why"] for gap in report["incomplete"] if gap["what"] == "sigaltstack"}


def check(found: Json, sp: int, size: int, flags: int) -> None:
    """What was reported of a thread against what it said: its stack_t, as sigaltstack(2) wrote it."""
    if flags & SS_DISABLE:
        assert found["state"] == "disabled"
    else:
        assert (int(found["low"], 16), int(found["high"], 16)) == (sp, sp + size)


def test_kernel_injection_and_signal_frames_agree(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program, 30)
    told = {int(line[2]): line for line in lines}
    kernel, injected, frames = (stacks_of(look(program.pid, MODES[mode])) for mode in ("bpf", "inject", "off"))
    for tid, (_, kind, _, sp, size, flags, *_) in told.items():
        own_stack = kind != "onstack"
        assert injected[tid]["source"] == ("injected" if own_stack else "sigframe"), kind
        assert frames[tid]["source"] == ("unknown" if own_stack else "sigframe"), kind
        for found in (kernel[tid], injected[tid], frames[tid]):
            if found["source"] != "unknown":
                check(found, int(sp, 16), int(size), int(flags, 16))
    if kernel[program.pid]["source"] == "unknown":
        pytest.skip("the kernel may not be asked here (BPF): injection and signal frames were compared")
    assert {found["source"] for found in kernel.values()} == {"bpf"}
    without_source = [{**found, "source": None} for found in kernel.values()]
    assert without_source == [{**injected[tid], "source": None} for tid in kernel]


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_injection_is_right_or_refused_on_every_libc(build: LibcBuild) -> None:
    if build.why_missing():
        pytest.skip(build.why_missing())
    with running(build, "zoo") as (pid, lines):
        reports = [look(pid, INJECT) for _ in range(3)]
    for report in reports:
        found, why = stacks_of(report), why_by_tid(report)
        answered = 0
        for line in lines[:-1]:
            if found[line["tid"]]["source"] == "unknown":
                assert "nothing was injected" in why.get(line["tid"], "") + why.get(None, "")
            else:
                answered += 1
                check(found[line["tid"]], line["altstack_low"], line["altstack_size"], line["altstack_flags"])
        assert answered >= len(lines) - 2  # all but the one on a stack of its own making


@pytest.mark.parametrize("mode", MODES)
def test_under_a_strict_filter_a_target_is_inspected_and_lives(start_program: StartProgram, mode: str) -> None:
    program = start_program("filtered")
    tids = {int(line[1]) for line in program.hear_until("ready")}
    for _ in range(5):
        report = look(program.pid, MODES[mode])
        assert {thread["tid"] for thread in report["threads"]} == tids
        if mode == "inject":
            why = why_by_tid(report)
            assert why.keys() == tids
            assert all("seccomp" in words for words in why.values())
    still_there(program)


def still_there(program: Program) -> None:
    program.tell("still there?")
    assert program.hear() == ["alive"]


def refuse(*_: object) -> None:
    raise PermissionError(errno.EPERM, "needs root")


def core_of(program: Program, folder: Path) -> Json:
    return dict(to_json(session.core_report(gcore(program.pid, folder), None, AttachOptions())))


def snapshot_of(program: Program, folder: Path, mode: AltstackMode) -> Json:
    session.write_snapshot(program.pid, str(folder / "snapshot"), SnapshotOptions(altstack=mode))
    return dict(to_json(session.core_report(folder / "snapshot", None, AttachOptions())))


def test_each_backend_says_of_each_thread_what_to_do_about_it(
    start_program: StartProgram,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = start_program("altstack_truth", "4")
    on_stack = {int(line[2]) for line in program.hear_until("ready") if line[1] == "onstack"}
    monkeypatch.setattr(_inspect, "bpf_tasks", refuse)
    monkeypatch.setattr(_inspect, "bpf_signal_actions", refuse)
    steps = {
        "CAP_BPF": [look(program.pid, AttachOptions()), look(program.pid, AttachOptions(passive=True, stop_busy=True))],
        "--altstack off": [look(program.pid, MODES["off"]), snapshot_of(program, tmp_path, AltstackMode.OFF)],
        "tinspect snapshot": [core_of(program, tmp_path)],
    }
    for words, reports in steps.items():
        for report in reports:
            why = why_by_tid(report)
            assert why.keys() == {thread["tid"] for thread in report["threads"]} - on_stack, words
            assert len(set(why.values())) == 1
            assert words in why.popitem()[1]


def test_what_the_backend_lacks_and_another_source_tells_is_no_gap(
    start_program: StartProgram,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = start_program("altstack_truth")
    (tid,) = [int(line[2]) for line in program.hear_until("ready") if line[1] == "onstack"]
    monkeypatch.setattr(_inspect, "bpf_tasks", refuse)
    report = look(program.pid, AttachOptions(tids=frozenset({tid})))
    assert stacks_of(report)[tid]["source"] == "sigframe"
    assert why_by_tid(report) == {}
