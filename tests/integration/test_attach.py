"""`tinspect attach` as its user runs it: refusals, exit statuses, hostile names, threads that come and go."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.conftest import Program, build_program
from tests.support.core_maker import gcore
from tests.support.libcs import BUILDS, running
from tests.support.waiting import PATIENCE_S
from tinspect import session
from tinspect.errors import LayoutUnknown
from tinspect.formats.report_json import to_json
from tinspect.model.options import AttachOptions

TINSPECT = [sys.executable, "-m", "tinspect"]
PR_SET_PTRACER_ANY = -1


def tinspect(*arguments: str, timeout: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TINSPECT, *arguments], capture_output=True, text=True, timeout=timeout, check=False)


def start(name: str) -> Program:
    return Program(build_program(name), (), ())


@pytest.fixture
def self_check() -> Iterator[Program]:
    program = start("self_check")
    program.hear_until("ready")
    yield program
    program.end()


def test_a_complete_report_ends_with_0() -> None:
    with running(BUILDS[0], "zoo") as (pid, _):
        done = tinspect(
            "attach", str(pid), "--altstack", "bpf" if os.geteuid() == 0 else "off", "--only", "threads,stacks"
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(pid) in done.stdout


def test_a_libc_that_cannot_be_understood_is_unknown_and_not_none(
    self_check: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: object) -> None:
        raise LayoutUnknown("glibc's struct pthread is not described.")

    monkeypatch.setattr(session, "detect_libc", give_up)
    report = to_json(session.attach_report(self_check.pid, AttachOptions(passive=True)))
    assert isinstance(report["target"], dict)
    assert report["target"]["libc"] == {"name": None, "version": None, "layout_source": None}


def test_refusals_name_the_cause_and_the_next_step(self_check: Program) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it: a zombie
    cases = {
        "4194304": "There is no process 4194304.",
        "2": "2 is a kernel thread",
        str(ended.pid): "a zombie",
        str(os.getpid()): None,  # this test: may be looked at
    }
    for pid, sentence in cases.items():
        if pid == "2" and not Path("/proc/2/comm").exists():
            continue  # a pid namespace shows no kernel threads
        done = tinspect("attach", pid, "--only", "threads")
        if sentence is None:
            assert done.returncode in (0, 1)
            continue
        assert done.returncode == 2, pid
        assert sentence in done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
    ended.wait()


ABSENT = 4194304  # the largest id there is, plus one


@pytest.fixture(scope="module")
def zoo_and_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    with running(BUILDS[0], "zoo") as (pid, _):
        yield pid, gcore(pid, tmp_path_factory.mktemp("core"))


@pytest.mark.parametrize("way", ["", "--passive", "core"])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_a_thread_that_is_not_there_is_no_report(
    zoo_and_core: tuple[int, Path], way: str, form: tuple[str, ...]
) -> None:
    pid, core = zoo_and_core
    target = ["core", str(core)] if way == "core" else ["attach", str(pid), *([way] if way else [])]
    done = tinspect(*target, "--tid", str(ABSENT), *form)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert f"has no thread {ABSENT}." in done.stderr
    assert "see the threads it has" in done.stderr or f"ls /proc/{pid}/task" in done.stderr


@pytest.mark.parametrize("way", ["", "--passive", "core"])
def test_of_several_threads_those_that_are_not_there_are_gaps(zoo_and_core: tuple[int, Path], way: str) -> None:
    pid, core = zoo_and_core
    target = ["core", str(core)] if way == "core" else ["attach", str(pid), *([way] if way else [])]
    done = tinspect(*target, "--tid", f"{ABSENT},{pid}", "--json", "--only", "threads")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert [thread["tid"] for thread in report["threads"]] == [pid]
    assert [gap["why"].split(".")[0] for gap in report["incomplete"] if gap["tid"] == ABSENT] == [
        "the target has no such thread"
    ]


def test_a_process_that_is_traced_already_is_named_with_its_tracer(self_check: Program) -> None:
    ready, told = os.pipe()
    tracer = os.fork()
    if tracer == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        seized = libc.ptrace(0x4206, self_check.pid, None, None)  # PTRACE_SEIZE
        os.write(told, b"1" if seized == 0 else b"0")
        signal.pause()
        os._exit(0)
    try:
        assert os.read(ready, 1) == b"1"
        done = tinspect("attach", str(self_check.pid))
        assert done.returncode == 2
        assert f"already traced by process {tracer}" in done.stderr
        assert "--passive" in done.stderr
    finally:
        os.kill(tracer, signal.SIGKILL)
        os.waitpid(tracer, 0)
        os.close(ready)
        os.close(told)


def test_wrong_usage_ends_with_64() -> None:
    for arguments in (["attach"], ["attach", "x"], ["attach", "1", "--only", "nonsense"], ["nonsense"]):
        assert tinspect(*arguments).returncode == 64, arguments


HOSTILE = (b"\x1b[31mred", b"[bold]markup", b"\xff\xfe\xfd", b"a\nb", b"\xe2\x80\xaegnp.exe")


def test_hostile_names_reach_neither_terminal_nor_json_raw(tmp_path: Path) -> None:
    source = tmp_path / "named.c"
    names = ",".join('"' + "".join(f"\\x{byte:02x}" for byte in name) + '"' for name in HOSTILE)
    source.write_text(
        "#include <pthread.h>\n#include <stdio.h>\n#include <sys/prctl.h>\n#include <unistd.h>\n"
        f"static const char *names[] = {{{names}}};\nstatic pthread_barrier_t b;\n"
        "static void *run(void *n) { prctl(PR_SET_NAME, n); pthread_barrier_wait(&b); for (;;) pause(); return n; }\n"
        f"int main(void) {{ pthread_t t; pthread_barrier_init(&b, 0, {len(HOSTILE) + 1});\n"
        f"for (int i = 0; i < {len(HOSTILE)}; i++) pthread_create(&t, 0, run, (void *)names[i]);\n"
        'pthread_barrier_wait(&b); puts("ready"); fflush(stdout); getchar(); }\n'
    )
    program = tmp_path / "named"
    subprocess.run(["gcc", "-pthread", "-w", "-o", str(program), str(source)], check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            command = [*TINSPECT, "attach", str(process.pid)]
            shown = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False).stdout
            command.append("--json")
            as_json = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False).stdout
        finally:
            process.kill()
    for output in (shown, as_json):
        assert b"\x1b" not in output
        assert b"\xff" not in output
        assert "\u202e".encode() not in output
        output.decode()
    reported = {thread["name"] for thread in json.loads(as_json)["threads"]}
    assert any("x1b" in name and "red" in name for name in reported)
    assert "[bold]markup" in reported
    assert b"[bold]markup" in shown


def test_threads_that_live_throughout_are_always_found() -> None:
    program = Program(build_program("thread_churn"), ("20",), ())
    try:
        stayers = {int(line[1]) for line in program.hear_until("ready") if line[0] == "thread"}
        assert stayers
        for mode in ([], ["--passive"]) * 5:
            done = tinspect("attach", str(program.pid), "--json", "--only", "threads", *mode)
            assert done.returncode in (0, 1), done.stderr
            assert stayers <= {thread["tid"] for thread in json.loads(done.stdout)["threads"]}
    finally:
        program.end()


def test_killing_tinspect_at_any_moment_leaves_the_target_as_it_was(self_check: Program) -> None:
    """The moments are spread over the whole run of the command; the native suite aims at the stop itself."""
    for step in range(12):
        process = subprocess.Popen(
            [*TINSPECT, "attach", str(self_check.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=0.02 + 0.05 * step)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self_check.tell("alive")
        assert self_check.hear() == ["alive"]


def test_the_target_s_death_is_one_clear_sentence() -> None:
    program = start("self_check")
    program.hear_until("ready")
    pid = program.pid
    program.process.kill()
    done = tinspect("attach", str(pid))
    program.end()
    assert done.returncode == 2
    assert done.stderr.count("\n") <= 2
    assert "Traceback" not in done.stderr
