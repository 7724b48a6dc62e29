"""The whole report against gdb's backtraces, and what references cost beside unwinding.

Run: python -m benchmarks.bench_refs [THREADS...].
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.support.standing_process import StandingProcess, build
from tinspect import session
from tinspect.analyses.assemble import build_context, build_report
from tinspect.model.options import AttachOptions, Section

MOST_FOR_GDB = 2000  # it takes minutes for more
WITHOUT_REFS = AttachOptions(sections=frozenset(Section) - {Section.REFS, Section.FINDINGS})


def timed(action: Callable[[], object], runs: int = 3, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of ``runs`` runs."""
    times = []
    for _ in range(runs):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


def parts(pid: int) -> tuple[float, float]:
    """CPU seconds for unwinding, and for the references."""
    with session.attach(pid) as inspector:
        snapshot, tools = inspector.capture(AttachOptions())

        def analyse(options: AttachOptions) -> float:
            return timed(lambda: build_report(snapshot, tools, options), clock=time.process_time)

        unwind = timed(lambda: build_context(snapshot, tools), clock=time.process_time)
        return unwind, analyse(AttachOptions()) - analyse(WITHOUT_REFS)


def gdb_backtraces(pid: int) -> None:
    command = ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", "thread apply all bt"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        program = build("waiting_threads.c", Path(directory) / "waiting_threads", "-O2")
        print(
            f"{'threads':>8} {'report s':>9} {'heap s':>8} {'unwind s':>9} {'refs s':>8} {'gdb s':>8} {'report/gdb':>11}"
        )
        for count in [int(argument) for argument in sys.argv[1:]] or [1000, 10000]:
            with StandingProcess([program, str(count)]) as standing:
                pid = standing.pid
                report = timed(partial(session.attach_report, pid, AttachOptions()))
                heap = timed(partial(session.attach_report, pid, AttachOptions(heap=True)))
                unwind, refs = parts(pid)
                gdb = timed(partial(gdb_backtraces, pid), 1) if count <= MOST_FOR_GDB else float("nan")
            print(
                f"{count:8} {report:9.3f} {heap:8.3f} {unwind:9.3f} {refs:8.3f} {gdb:8.3f} {report / gdb:11.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
