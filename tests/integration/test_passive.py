"""Looking without stopping: the target notices nothing, and nothing that is said of it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.native.conftest import StartProgram
from tests.support.capturing import start_blocking_calls
from tests.support.libcs import BUILDS, running
from tests.support.waiting import wait_until_still
from tinspect import session
from tinspect.formats.report_json import to_json
from tinspect.model.options import AltstackMode, AttachOptions

Json = dict[str, Any]
PASSIVE = AttachOptions(passive=True)
INJECTED = AttachOptions(altstack=AltstackMode.INJECT)

# Registers that no thread in a system call relies on, or that the kernel does not keep: they may differ between two looks.
UNKEPT = {"rax", "orig_rax", "gs_base", "ds", "es", "fs", "gs", "rcx", "r11"}


def report_of(pid: int, options: AttachOptions) -> Json:
    encoded: Json = to_json(session.attach_report(pid, options))
    return encoded


def without_registers(report: Json) -> Json:
    """The report less what must differ: how it was made, and what the stop itself changes."""
    target = {name: value for name, value in report["target"].items() if name not in {"kind", "pause_us"}}
    threads = []
    for thread in report["threads"]:
        kept = {name: value for name, value in thread["registers"].items() if name not in UNKEPT}
        threads.append({**thread, "registers": kept, "exactness": None, "cpu_time_us": None})
    return {**report, "target": target, "threads": threads}


def test_a_blocked_process_looks_the_same_stopped_and_passive() -> None:
    with running(BUILDS[0], "zoo") as (pid, _):
        seen = report_of(pid, PASSIVE)
        stopped = report_of(pid, AttachOptions())
    assert {thread["exactness"] for thread in seen["threads"]} == {"unmoved"}
    assert seen["target"]["pause_us"] == 0
    assert without_registers(seen) == without_registers(stopped)


@pytest.mark.parametrize("options", [PASSIVE, AttachOptions(), INJECTED], ids=["passive", "stopped", "injected"])
def test_a_hundred_reports_interrupt_no_call(start_program: StartProgram, options: AttachOptions) -> None:
    program, _ = start_blocking_calls(start_program)
    with session.attach(program.pid) as inspector:
        for _ in range(100):
            assert inspector.report(options).threads
    program.tell("count")
    counts = {line[1]: line[2:] for line in program.hear_until("done") if line[0] == "eintr"}
    assert counts
    assert all(words == ["0", "0"] for words in counts.values()), counts


def test_a_busy_thread_is_named_and_nothing_is_made_up_of_it(start_program: StartProgram) -> None:
    program = start_program("self_check")
    program.hear_until("ready")
    for _ in range(20):
        report = report_of(program.pid, PASSIVE)
        torn = {thread["tid"] for thread in report["threads"] if thread["exactness"] == "torn"}
        named = {gap["tid"] for gap in report["incomplete"] if gap["what"] == "registers"}
        assert torn == named
        for thread in report["threads"]:
            if thread["tid"] in torn:
                assert thread["pc"] is None
                assert thread["frames"] in ([], None)
                assert thread["stack"]["used"] is None
            else:
                low, high = int(thread["stack"]["low"], 16), int(thread["stack"]["high"], 16)
                assert low <= int(thread["sp"], 16) <= high
    program.tell("alive")
    assert program.hear() == ["alive"]


def test_busy_threads_alone_are_stopped_when_asked_to(start_program: StartProgram) -> None:
    program = start_program("self_check")
    program.hear_until("ready")
    report = session.attach_report(program.pid, AttachOptions(passive=True, stop_busy=True))
    assert all(entry.thread.registers is not None for entry in report.threads)
    assert {entry.thread.exactness.value for entry in report.threads} <= {"unmoved", "stopped"}
    program.tell("alive")
    assert program.hear() == ["alive"]


def test_a_thousand_blocked_threads_are_each_exact(tmp_path: Path) -> None:
    """Compared with a stop, thread by thread; the program is C, so that a thousand threads are cheap."""
    import subprocess

    source = tmp_path / "many.c"
    source.write_text(
        "#include <pthread.h>\n#include <stdio.h>\n#include <unistd.h>\n"
        "static pthread_barrier_t b; static void *run(void *p) { pthread_barrier_wait(&b); for (;;) pause(); return p; }\n"
        "int main(void) { pthread_t t; pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536);\n"
        "pthread_barrier_init(&b, 0, 1001); for (int i = 0; i < 1000; i++) pthread_create(&t, &a, run, 0);\n"
        'pthread_barrier_wait(&b); puts("{\\"kind\\": \\"ready\\"}"); fflush(stdout); getchar(); }\n'
    )
    program = tmp_path / "many"
    subprocess.run(["gcc", "-pthread", "-O1", "-o", str(program), str(source)], check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["kind"] == "ready"
            wait_until_still(process.pid)
            seen = report_of(process.pid, PASSIVE)
            stopped = report_of(process.pid, AttachOptions())
        finally:
            process.kill()
    assert len(seen["threads"]) == 1001
    assert without_registers(seen)["threads"] == without_registers(stopped)["threads"]
