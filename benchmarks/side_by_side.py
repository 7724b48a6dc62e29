"""Whole commands timed in turns, side by side, and shown as ratios to the first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TINSPECT = (sys.executable, "-m", "tinspect")


_UNLIKE_USE = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run of a command: seconds on the clock, seconds of processor time, peak memory in MiB."""

    wall: float
    cpu: float
    peak: int


def measured(command: Sequence[str]) -> Cost:
    """Runs the command once, its output read by nobody. Raises RuntimeError when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10)


def _environment() -> dict[str, str]:
    """As an installed program has it: bytecode is kept from one run to the next, and output is buffered."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNLIKE_USE}
    return {**kept, "PYTHONPATH": str(ROOT)}


def compare(title: str, commands: Mapping[str, Sequence[str]], turns: int = 3) -> None:
    """The best of some turns for each command, taken in turn, and how each compares with the first."""
    best: dict[str, Cost] = {}
    for _ in range(turns):
        for name, command in commands.items():
            cost = measured(command)
            known = best.get(name, cost)
            best[name] = Cost(min(known.wall, cost.wall), min(known.cpu, cost.cpu), min(known.peak, cost.peak))
    print(title)
    first = best[next(iter(best))]
    for name, cost in best.items():
        ratios = f"wall x{cost.wall / first.wall:5.2f}  cpu x{cost.cpu / first.cpu:5.2f}  memory x{cost.peak / first.peak:5.2f}"
        print(f"  {name:38} {cost.wall:7.3f} s  {cost.cpu:7.3f} s cpu  {cost.peak:5} MiB   {ratios}", flush=True)


@contextmanager
def idle_threads(count: int) -> Iterator[int]:
    """A process of ``count`` threads that wait; its pid."""
    program = ROOT / "build" / "benchmarks" / "idle_threads"
    program.parent.mkdir(parents=True, exist_ok=True)
    source = ROOT / "benchmarks" / "native" / "idle_threads.c"
    subprocess.run(["cc", "-O2", "-pthread", "-o", str(program), str(source)], check=True)
    with subprocess.Popen([program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process.pid
        finally:
            process.kill()
