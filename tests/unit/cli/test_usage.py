"""The program as a process: usage, --help, --version, signals, pipes, pager."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_S
from tinspect._version import VERSION
from tinspect.cli.parser import COMMANDS

ROOT = Path(__file__).parents[3]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tinspect", *arguments],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tinspect {VERSION}\n", "")


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(closing: str) -> None:
    """What is opened then must not take their numbers, nor the words for a stream that is not there end in a traceback."""
    script = f'"$0" -m tinspect completion bash {closing}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [command.NAME for command in COMMANDS])
def test_help_of_every_command(command: str) -> None:
    done = run(command, "--help", COLUMNS="80")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: tinspect {command}")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "arguments are required: COMMAND"),
        (("frobnicate",), "invalid choice: 'frobnicate'"),
        (("attach",), "arguments are required: PID"),
        (("attach", "0"), "'0' is not a process id"),
        (("attach", "-5"), "PID"),
        (("attach", "12abc"), "'12abc' is not a process id"),
        (("attach", "9" * 5000), "is not a process id"),
        (("attach", "1", "--onl", "stacks"), "--onl"),
        (("attach", "1", "--only", "stack"), "there is no section 'stack'"),
        (("attach", "1", "--only", ""), "there is no section ''"),
        (("attach", "1", "--tid", "x"), "'x' is not a thread id"),
        (("attach", "1", "--watch", "0"), "'0' is not a positive number of seconds"),
        (("attach", "1", "--watch", "nan"), "'nan' is not a positive number of seconds"),
        (("attach", "1", "--altstack", "magic"), "magic"),
        (("attach", "1", "--stop-busy"), "--stop-busy says what --passive may stop"),
        (("attach", "1", "--passive", "--altstack", "inject"), "injection needs a stop"),
        (("whatis", "1"), "ADDR"),
        (("snapshot", "1"), "-o"),
        (("run", "--on", "SIGFROB", "--", "true"), "'SIGFROB' is not a signal"),
        (("completion", "fish"), "fish"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 64
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


_WITH_FAKES = """
import sys, time
from tests.unit.cli.fake import FakeServices
from tests.unit.reports import crowd
from tinspect.cli.main import run_command_line
services = FakeServices()
services.fake.reports = [crowd(3000)]
{extra}
sys.exit(run_command_line(sys.argv[1:], services))
"""


def start(*arguments: str, extra: str = "", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WITH_FAKES.format(extra=extra), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with start("attach", "1", "--every-thread") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_S) == 141


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_after_the_target_was_released(number: signal.Signals, status: int) -> None:
    """The session's own clean-up runs: the fake's says so."""
    extra = """
def held(pid, options, progress):
    try:
        print("holding", flush=True)
        for _ in range(20000):
            time.sleep(0.01)  # not in one: a signal that comes just before a sleep is handled after it
    finally:
        print("released", flush=True)
services.fake.attach_report = held
"""
    with start("attach", "1", extra=extra) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "holding\n"
        process.send_signal(number)
        assert process.stdout.read() == "released\n"
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_S) == status
