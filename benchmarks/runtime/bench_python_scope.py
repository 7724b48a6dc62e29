"""Spawn and join from Python: a scope against threading.Thread and ThreadPoolExecutor, taken in turns in one run.

Prints `name/implementation ns_per_op` lines like the C programs, then the ratios.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tinspect.native.scope import scope


def nothing() -> None:
    pass


def with_scope(children: int) -> None:
    with scope() as s:
        for _ in range(children):
            s.spawn(nothing)


def with_threads(children: int) -> None:
    threads = [threading.Thread(target=nothing) for _ in range(children)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def with_executor(children: int) -> None:
    with ThreadPoolExecutor(max_workers=children) as executor:
        for _ in range(children):
            executor.submit(nothing)


IMPLEMENTATIONS: dict[str, Callable[[int], None]] = {
    "tinspect": with_scope,
    "threading": with_threads,
    "executor": with_executor,
}


def time_once(run: Callable[[int], None], children: int, rounds: int) -> float:
    """Nanoseconds for one round."""
    start = time.perf_counter_ns()
    for _ in range(rounds):
        run(children)
    return (time.perf_counter_ns() - start) / rounds


def compare(children: int, repeats: int, rounds: int) -> None:
    best = dict.fromkeys(IMPLEMENTATIONS, float("inf"))
    for _ in range(repeats):
        for name, run in IMPLEMENTATIONS.items():
            best[name] = min(best[name], time_once(run, children, rounds))
    operation = f"python_scope_{children}"
    for name, duration in best.items():
        print(f"{operation}/{name} {duration:.0f}")
    for name in ("threading", "executor"):
        print(f"ratio {operation} tinspect/{name} {best['tinspect'] / best[name]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=500)
    arguments = parser.parse_args()
    for children in (1, 8):
        compare(children, arguments.repeats, max(1, arguments.rounds // children))


if __name__ == "__main__":
    main()
