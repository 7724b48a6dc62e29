"""Runs a command under supervision in a process of its own, because supervision takes over signals; tells what it saw as JSON lines
on stderr. usage: run_command.py [--on N] [--after S] [--children] [--fail] [--killed] -- COMMAND"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from tinspect.backends.launch import ArrestedBackend, run_command
from tinspect.backends.live import open_live
from tinspect.backends.signal_stack_sources import NotAsked
from tinspect.backends.stopping import StopOptions
from tinspect.backends.supervisor import Arrest
from tinspect.model.options import AttachOptions
from tinspect.model.report import ThreadReport
from tinspect.session import Inspector


def tell(**facts: object) -> None:
    sys.stderr.write(json.dumps(facts) + "\n")
    sys.stderr.flush()


def describe(entry: ThreadReport) -> dict[str, object]:
    frames = entry.call_stack.frames if entry.call_stack is not None else ()
    return {
        "frames": [frame.function for frame in frames],
        "running_on": entry.use.running_on.value if entry.use is not None else None,
        "used": entry.use.used if entry.use is not None else None,
    }


def attend(arrest: Arrest) -> None:
    with Inspector(lambda _: ArrestedBackend(open_live(arrest.pid, NotAsked(), StopOptions()), arrest)) as inspector:
        report = inspector.report(AttachOptions())
    tell(
        pid=arrest.pid,
        tid=arrest.tid,
        signal=arrest.signal.number if arrest.signal else None,
        code=arrest.signal.code if arrest.signal else None,
        fatal=arrest.fatal,
        verdict=report.crash.verdict if report.crash else None,
        message=report.crash.message if report.crash else None,
        threads={entry.thread.tid: entry.function for entry in report.threads},
        struck=next((describe(entry) for entry in report.threads if entry.thread.tid == arrest.tid), None),
        gaps=[gap.what for gap in report.incomplete],
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--on", type=int, action="append", default=[])
    parser.add_argument("--after", type=float)
    parser.add_argument("--children", action="store_true")
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--killed", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    def failing(arrest: Arrest) -> None:
        if options.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("attend failed")

    return run_command(
        options.command,
        failing if options.fail or options.killed else attend,
        signals=frozenset(options.on),
        after=options.after,
        children=options.children,
    )


if __name__ == "__main__":
    Path(f"/proc/{os.getpid()}/comm").write_text("supervisor")
    sys.exit(main())
