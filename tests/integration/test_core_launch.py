"""Programs run under supervision: the death is seen and stays what it was; everything else passes through."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.core_maker import ROOT, build, find_core
from tests.support.reports import report_of_core
from tests.support.waiting import PATIENCE_S

RUN = [sys.executable, str(ROOT / "tests/support/run_command.py")]


def start(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    command = [*RUN, *map(str, arguments)]
    return subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def finish(process: subprocess.Popen[str], said: str = "") -> tuple[int, str, list[dict[str, Any]]]:
    """Exit status, standard output, and what the supervisor saw."""
    output, errors = process.communicate(said, timeout=PATIENCE_S)
    lines = [line for line in errors.splitlines() if line]
    assert all(line.startswith("{") for line in lines), errors
    return process.returncode, output, [json.loads(line) for line in lines]


def run(*arguments: object, cwd: Path | None = None, said: str = "") -> tuple[int, str, list[dict[str, Any]]]:
    return finish(start(*arguments, cwd=cwd), said)


@pytest.mark.parametrize(
    ("way", "number", "code", "verdict"),
    [
        ("null", signal.SIGSEGV, 1, "null-dereference"),
        ("overflow", signal.SIGSEGV, 2, "stack-overflow"),
        ("abort", signal.SIGABRT, -6, "abort"),
        ("divide", signal.SIGFPE, 1, "arithmetic-error"),
        ("handled", signal.SIGABRT, -6, "stack-overflow"),
    ],
)
def test_a_death_is_reported_and_is_the_same_death(
    tmp_path: Path, way: str, number: int, code: int, verdict: str
) -> None:
    status, output, [seen] = run("--", build("core_crash"), way, 2, cwd=tmp_path, said="\n")
    assert status == 128 + number
    told = [line.split() for line in output.splitlines()]
    [pid] = [int(words[1]) for words in told if words[0] == "main"]
    [tid] = [int(words[1]) for words in told if words[0] == "crash"]
    assert (seen["pid"], seen["tid"], seen["signal"], seen["code"]) == (pid, tid, number, code)
    assert (seen["fatal"], seen["verdict"]) == (True, verdict)
    assert set(map(int, seen["threads"])) == {pid, tid, *(int(words[1]) for words in told if words[0] == "thread")}
    # The kernel's own core tells the signal as it was at first.
    crash = report_of_core(find_core(tmp_path, pid)).crash
    assert crash
    assert (crash.tid, crash.signal, crash.code, crash.verdict) == (tid, number, code, verdict)


@pytest.mark.parametrize("way", ["overflow", "main:overflow"])
def test_a_stack_that_ran_over_is_followed_to_its_first_frame(way: str) -> None:
    limited = ("sh", "-c", 'ulimit -s 8192; exec "$@"', "sh")
    _, output, [seen] = run("--", *limited, build("core_crash"), way, 2, said="\n")
    [(low, high)] = [
        (int(line[2], 16), int(line[3], 16)) for line in map(str.split, output.splitlines()) if line[0] == "crash"
    ]
    assert seen["struck"]["running_on"] == "stack"
    assert seen["struck"]["used"] == high - low
    assert seen["struck"]["frames"].count("recurse") > (high - low) // 1024
    assert seen["struck"]["frames"][-1] == ("_start" if way.startswith("main:") else "clone3")
    assert "stack" not in seen["gaps"]


@pytest.mark.parametrize("repeat", range(5))
def test_threads_that_fault_together_are_one_death(repeat: int) -> None:
    status, _, [seen] = run("--", build("core_busy"), "together")
    assert status == 128 + signal.SIGSEGV
    assert len(seen["threads"]) == 5
    assert seen["verdict"] == "null-dereference"


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)])
def test_the_exit_status_is_the_commands_own(script: str, status: int) -> None:
    assert run("--", "sh", "-c", script) == (status, "", [])


def test_input_and_output_pass_through() -> None:
    assert run("--", "tr", "a-z", "A-Z", said="hello\n") == (0, "HELLO\n", [])


def test_the_child_has_the_signals_its_parent_had() -> None:
    script = "grep -E 'SigBlk|SigIgn' /proc/self/status"
    plain = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert run("--", "sh", "-c", script) == (0, plain, [])


def test_signals_its_parent_ignored_stay_ignored() -> None:
    script = "grep SigIgn /proc/self/status"
    ignoring = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh"]
    plain, seen = (
        subprocess.run([*ignoring, *command, "sh", "-c", script], capture_output=True, text=True, check=True).stdout
        for command in ([], [*RUN, "--"])
    )
    assert seen == plain


def test_a_handled_signal_passes_and_one_asked_for_is_reported_with_its_value_kept() -> None:
    for options, count in (((), 0), (("--on", int(signal.SIGUSR1)), 1)):
        process = start(*options, "--", build("core_busy"), "signals")
        assert process.stdout
        pid = int(process.stdout.readline().split()[1])
        subprocess.run(["/bin/kill", "-q", "77", "-USR1", str(pid)], check=True)
        status, output, seen = finish(process)
        assert (status, output) == (5, "value 77\n")
        assert [(one["signal"], one["fatal"]) for one in seen] == [(signal.SIGUSR1, False)] * count


def test_a_signal_to_the_supervisor_goes_on_to_the_program() -> None:
    process = start("--", "sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.01; done")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    status, output, seen = finish(process)
    assert (status, output, seen) == (3, "got\n", [])


def test_a_report_after_some_time_disturbs_nothing() -> None:
    for seconds in (0.2, 1, 5, 25):  # no clock can promise that the program has come to its call by then
        process = start("--after", seconds, "--", build("core_busy"), "epoll")
        assert process.stderr
        seen = json.loads(process.stderr.readline())
        assert finish(process, "\n") == (0, "1 0\n", [])  # an event, not EINTR
        assert (seen["signal"], seen["fatal"]) == (None, False)
        if list(seen["threads"].values()) == ["epoll_wait"]:
            return
    raise AssertionError(f"the program never came to its call: {seen}")


def test_children_are_followed_on_demand(tmp_path: Path) -> None:
    assert run("--", build("core_busy"), "fork", cwd=tmp_path) == (9, "", [])
    status, _, [seen] = run("--children", "--", build("core_busy"), "fork", cwd=tmp_path)
    assert status == 9
    assert seen["verdict"] == "abort"


def test_a_command_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    process = start("--", "no-such-command-at-all")
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert "There is no command no-such-command-at-all." in errors
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    process = start("--", script)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 126
    assert f"{script} cannot be run" in errors


def test_the_program_goes_on_when_the_look_fails(tmp_path: Path) -> None:
    process = start("--fail", "--", build("core_crash"), "null", 1, cwd=tmp_path)
    output, errors = process.communicate("\n", timeout=PATIENCE_S)
    assert "attend failed" in errors
    pid = int(output.split()[1])
    assert find_core(tmp_path, pid).exists()


def test_the_program_dies_its_own_death_when_the_supervisor_is_killed_meanwhile(tmp_path: Path) -> None:
    process = start("--killed", "--", build("core_crash"), "null", 1, cwd=tmp_path)
    # The pipe ends with the program, which inherited it, not with the supervisor.
    output, _ = process.communicate("\n", timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL
    crash = report_of_core(find_core(tmp_path, int(output.split()[1]))).crash
    assert crash
    assert (crash.verdict, crash.address) == ("null-dereference", 0x18)


# One process on purpose: a shell that has just called vfork() for a command of its own cannot be stopped until that has executed, and
# the stopped child never does.
_WAITS = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGCONT, lambda *_: print("resumed", flush=True))
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_control_z_stops_the_job_and_control_c_ends_the_program() -> None:
    """A shell's view: the job stops, goes on in the foreground, and ends by the command's own death."""
    job = shlex.join([*RUN, "--", sys.executable, "-c", _WAITS])
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execvp("bash", ["bash", "-c", f"set -m; {job}; echo stopped $?; fg; echo status $?"])
    try:
        assert b"ready\r\n" in _read_until(terminal, b"ready\r\n")
        os.write(terminal, b"\x1a")
        assert f"stopped {128 + signal.SIGSTOP}".encode() in _read_until(terminal, b"resumed\r\n")
        os.write(terminal, b"\x03")
        said = _read_until(terminal, b"status 130")
        assert b"status 130" in said
        assert b'"signal": 2' in said
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


# No call waits for a pending signal and leaves it pending: the program looks again and again, and the sleep only keeps it from spinning.
_LATE = """
import os, signal, time
from tinspect.backends.supervisor import FORWARDED, take_late_signals
signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
print("ready", flush=True)
while signal.SIGINT not in signal.sigpending():
    time.sleep(0.001)
os.kill(os.getpid(), signal.SIGUSR1)
print("late", *map(int, take_late_signals()), "left", *signal.sigpending(), "end", flush=True)
"""


def test_of_signals_that_come_too_late_the_terminal_s_were_the_program_s_alone() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-c", _LATE])
    try:
        _read_until(terminal, b"ready\r\n")
        os.write(terminal, b"\x03")
        assert f"late {int(signal.SIGUSR1)} left end".encode() in _read_until(terminal, b"end\r\n")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _read_until(terminal: int, last: bytes) -> bytes:
    said = b""
    while last not in said:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
    return said


def test_a_report_that_cannot_be_written_changes_nothing_for_the_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinspect", "run", "-o", "/no/such/folder/kept"]
    done = subprocess.run(
        [*command, "--", str(build("core_crash")), "null", "2"], input="\n", capture_output=True, text=True,
        timeout=PATIENCE_S, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGSEGV
    assert done.stderr.startswith("tinspect: /no/such/folder")
    assert "No such file or directory" in done.stderr


def test_a_snapshot_of_the_death_can_be_kept_instead(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = [sys.executable, "-m", "tinspect", "run", "-o", str(kept), "--", str(build("core_crash")), "null", "2"]
    done = subprocess.run(
        command, input="\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGSEGV
    [tid] = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("crash ")]
    report = report_of_core(kept)
    assert report.crash
    assert (report.crash.tid, report.crash.verdict, report.crash.address) == (tid, "null-dereference", 0x18)
    assert report.threads[0].thread.name == "crasher"
