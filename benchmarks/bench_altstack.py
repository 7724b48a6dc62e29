"""Alternate stacks of many threads: by the BPF task iterator, and by injection.

Run: python -m benchmarks.bench_altstack [THREADS...] (1,000 and 10,000). The ways take turns; the best run counts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tinspect.formats.gadgets import SyscallGadgets, find_gadgets
from tinspect.native import _inspect

ROOT = Path(__file__).resolve().parents[1]
TURNS = 5
Threads = list[tuple[int, int, int]]


def start_target(count: int) -> tuple[subprocess.Popen[str], Threads]:
    """A program with `count` threads, half of them with an alternate stack; what it says of the threads' stacks."""
    program = "build/programs/altstack_truth"
    subprocess.run(["make", "-s", "-f", "tests/programs/programs.mk", program], cwd=ROOT, check=True)
    command = [str(ROOT / program), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    threads: Threads = []
    assert process.stdout
    for line in process.stdout:
        words = line.split()
        if words == ["ready"]:
            break
        threads.append((int(words[2]), int(words[7], 16), int(words[8], 16)))
    return process, threads


def find_libc_gadgets(pid: int) -> SyscallGadgets:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = re.match(r"(\w+)-(\w+) r-xp .*/(libc\.so|libc-|ld-musl)", line)
        if match:
            low, high = (int(bound, 16) for bound in match.groups()[:2])
            gadgets = find_gadgets(_inspect.read_memory(pid, low, high - low), low)
            if gadgets:
                return gadgets
    raise SystemExit("no libc with gadgets found")


def choose_ways(pid: int, threads: Threads) -> dict[str, Callable[[], object]]:
    offsets = dict(_inspect.btf_offsets())
    gadgets = find_libc_gadgets(pid)
    return {
        "BPF, alternate stacks": lambda: _inspect.bpf_tasks(pid, offsets, False),
        "BPF, registers as well": lambda: _inspect.bpf_tasks(pid, offsets, True),
        "injection": lambda: _inspect.inject_sigaltstack(pid, threads, gadgets),
    }


def main() -> None:
    start = time.perf_counter()
    _inspect.btf_offsets()
    print(f"offsets from BTF, once for a kernel: {(time.perf_counter() - start) * 1e3:.1f} ms")
    for count in [int(argument) for argument in sys.argv[1:]] or [1000, 10000]:
        process, threads = start_target(count)
        try:
            ways = choose_ways(process.pid, threads)
            times = dict.fromkeys(ways, float("inf"))
            for _ in range(TURNS):
                for name, way in ways.items():
                    start = time.perf_counter()
                    way()
                    times[name] = min(times[name], time.perf_counter() - start)
        finally:
            process.kill()
            process.wait()
        print(f"{len(threads)} threads")
        for name, seconds in times.items():
            ratio = seconds / times["BPF, alternate stacks"]
            each = seconds * 1e6 / len(threads)
            print(f"  {name:24} {seconds * 1e3:8.2f} ms  {each:6.2f} µs a thread  {ratio:6.1f} times BPF")


if __name__ == "__main__":
    main()
