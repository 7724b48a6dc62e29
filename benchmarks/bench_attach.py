"""The whole command against gdb: `tinspect attach PID` and `--passive` against `info threads` and `thread apply all bt`.

Aim: at most half of gdb at 1,000 threads, a tenth at 10,000; cost linear in threads.
"""

from __future__ import annotations

import sys

from benchmarks.side_by_side import TINSPECT, compare, idle_threads


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [10, 1_000, 10_000]
    for count in counts:
        with idle_threads(count) as pid:
            gdb = ("gdb", "-nx", "-batch", "-p", str(pid))
            commands = {
                "gdb info threads": (*gdb, "-ex", "info threads"),
                "gdb thread apply all bt": (*gdb, "-ex", "thread apply all bt"),
                "tinspect attach --only threads,stacks": (*TINSPECT, "attach", str(pid), "--only", "threads,stacks"),
                "tinspect attach": (*TINSPECT, "attach", str(pid)),
                "tinspect attach --json": (*TINSPECT, "attach", str(pid), "--json"),
                "tinspect attach --passive": (*TINSPECT, "attach", str(pid), "--passive"),
            }
            compare(f"{count} threads", commands, turns=2 if count > 1_000 else 3)


if __name__ == "__main__":
    main()
