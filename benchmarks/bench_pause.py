"""How long a capture stops its target, against a bare C loop of seize, interrupt, wait, read registers, detach.

Run: python -m benchmarks.bench_pause [THREADS...] (10, 1,000 and 10,000). Both take turns over one target, which is
let go in between; the best and the middle turn are shown. The capture also copies every live stack and descriptor: the
aim is 1.5 times the bare loop plus the time these bytes take at memory speed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tinspect.native import _inspect

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/benchmarks"
TURNS = 15
DESCRIPTOR = 2368  # glibc 2.36; other sizes differ little
STACK_RULE = (0x690, 0x698, 0)  # glibc 2.36: stackblock, stackblock_size


def build(name: str) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    source = ROOT / "benchmarks/native" / f"{name}.c"
    subprocess.run(["cc", "-std=gnu11", "-O2", "-pthread", str(source), "-o", str(BUILD / name)], check=True)
    return BUILD / name


def copy_speed() -> float:
    """Bytes a nanosecond that this machine copies from memory to memory."""
    source = bytearray(os.urandom(1 << 20) * 64)
    target = bytearray(len(source))
    best = 0.0
    for _ in range(3):
        start = time.perf_counter_ns()
        target[:] = source
        best = max(best, len(source) / (time.perf_counter_ns() - start))
    return best


def read_mappings(pid: int) -> list[tuple[int, int]]:
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return [(int(low, 16), int(high, 16)) for low, high in (line.split()[0].split("-") for line in lines)]


def bare_pause(program: Path, pid: int) -> int:
    output = subprocess.run([str(program), str(pid)], check=True, capture_output=True, text=True).stdout
    return int(output.split()[0])


def capture_pause(pid: int, mappings: list[tuple[int, int]]) -> tuple[int, int]:
    rule = STACK_RULE if os.confstr("CS_GNU_LIBC_VERSION") == "glibc 2.36" else None
    result = _inspect.capture(pid, mappings=mappings, thread_relative=[(0, DESCRIPTOR)], stack_rule=rule)
    return result[0], result[1]


def compare(count: int, bare_loop: Path, idle_threads: Path, speed: float) -> None:
    process = subprocess.Popen(
        [str(idle_threads), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    pid = int(process.stdout.readline())
    mappings = read_mappings(pid)
    bare, captures, copied = [], [], 0
    try:
        for _ in range(TURNS if count < 5000 else 5):
            bare.append(bare_pause(bare_loop, pid))
            pause, copied = capture_pause(pid, mappings)
            captures.append(pause)
    finally:
        process.kill()
        process.communicate()
    print(f"{count} threads, {copied / 1e6:.2f} MB copied ({copied / speed / 1e6:.2f} ms at memory speed)")
    for name, choose in (("best", min), ("middle", statistics.median)):
        own, other = choose(captures), choose(bare)
        aim = 1.5 * other + copied / speed
        verdict = "within the aim" if own <= aim else "over the aim"
        print(
            f"  {name:7} bare loop {other / 1e6:8.2f} ms  capture {own / 1e6:8.2f} ms  "
            f"{own / other:5.2f} times  {own / aim:5.0%} of the aim, {verdict}"
        )


def main() -> None:
    bare_loop, idle_threads, speed = build("bare_loop"), build("idle_threads"), copy_speed()
    for count in [int(argument) for argument in sys.argv[1:]] or [10, 1000, 10000]:
        compare(count, bare_loop, idle_threads, speed)


if __name__ == "__main__":
    main()
