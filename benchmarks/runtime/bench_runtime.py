"""The runtime against pthreads, Rust's std and C++ in short: compare.py with fewer runs, and how its goals stand.

A goal is a ratio or a difference within this one run. On a busy machine they say little: the load is printed with them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.runtime import compare

ROUNDS = 2
RUNS = "4"

Best = dict[str, dict[str, float]]


def goals(best: Best) -> list[tuple[str, float | None, float | None]]:
    """What is to hold: its words, what was measured, and the most it may be (ns); None where one side was not built."""

    def of(case: str, implementation: str = compare.OURS) -> float | None:
        return best.get(case, {}).get(implementation)

    def scaled(value: float | None, factor: float = 1.0, more: float = 0.0) -> float | None:
        return value * factor + more if value is not None else None

    return [
        ("spawn + join <= pthread + 1 us", of("spawn_join"), scaled(of("spawn_join", "pthread"), more=1000)),
        ("scope of 8 <= 0.9 x Rust's", of("scope_8"), scaled(of("scope_8", "rust"), 0.9)),
        ("park round trip <= Rust's", of("park_round_trip"), of("park_round_trip", "rust")),
        ("uncontended lock <= Rust's", of("lock_uncontended"), of("lock_uncontended", "rust")),
        ("local get <= pthread_getspecific", of("local_get"), of("local_get", "pthread")),
    ]


def show_goals(best: Best) -> None:
    for words, measured, most in goals(best):
        if measured is None or most is None:
            print(f"  {words:36} not measured: the other side was not built")
        else:
            print(f"  {words:36} {'met' if measured <= most else 'MISSED':8} {measured:12.2f} of {most:12.2f} ns")


def main() -> int:
    os.environ["BENCH_RUNS"] = RUNS
    commands = compare.build(compare.ROOT / "build/bench")
    print(
        f"ns per operation, best of {ROUNDS} rounds of {RUNS} runs; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )
    for title, pinned in (("pinned to one CPU", True), ("not pinned", False)):
        best = compare.measure(commands, ROUNDS, pinned)
        compare.show(title, best)
        show_goals(best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
