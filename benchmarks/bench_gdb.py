"""Inside gdb: what loading the commands costs, and `tinspect threads` and `tinspect refs` against `info threads` at 1,000 threads."""

from __future__ import annotations

from pathlib import Path

from benchmarks.side_by_side import ROOT, compare, idle_threads

LOAD = ROOT / "tinspect" / "gdb_plugin" / "load.py"


def main() -> None:
    compare(
        "gdb alone",
        {
            "gdb, nothing loaded": ("gdb", "-nx", "-batch", "-ex", "python 1"),
            "gdb, commands loaded": ("gdb", "-nx", "-batch", "-ex", f"source {LOAD}"),
        },
        turns=5,
    )
    with idle_threads(1_000) as pid:
        executable = Path(f"/proc/{pid}/exe").readlink()
        gdb = ("gdb", "-nx", "-batch", "-p", str(pid), str(executable), "-ex", f"source {LOAD}")
        compare(
            "1,000 threads",
            {
                "gdb info threads": (*gdb, "-ex", "info threads"),
                "gdb thread apply all bt": (*gdb, "-ex", "thread apply all bt"),
                "tinspect threads": (*gdb, "-ex", "tinspect threads"),
                "tinspect refs": (*gdb, "-ex", "tinspect refs"),
            },
        )


if __name__ == "__main__":
    main()
