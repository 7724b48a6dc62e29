"""Cores and snapshots: the report against gdb and eu-stack on the same core, a 4 GiB sparse core, snapshot against gcore.

Run: python -m benchmarks.bench_core [THREADS]. Commands run in turns, each in a process of its own; the best run counts.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.side_by_side import TINSPECT, compare
from tests.support.core_maker import gcore, start_crash
from tests.support.snapshots import capture
from tinspect.backends.snapshot_file import write_snapshot


def readers(core: Path, executable: Path) -> dict[str, Sequence[str]]:
    """The report, and what others say about the same core."""
    gdb = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", str(executable), str(core)]
    commands: dict[str, Sequence[str]] = {
        "gdb: thread apply all bt": [*gdb, "-ex", "thread apply all bt"],
        "tinspect core": [*TINSPECT, "core", str(core), str(executable)],
        "tinspect core --frames": [*TINSPECT, "core", str(core), str(executable), "--frames"],
        "tinspect core --only threads": [*TINSPECT, "core", str(core), str(executable), "--only", "threads"],
    }
    if shutil.which("eu-stack"):
        commands["eu-stack"] = ["eu-stack", "--core", str(core), "-e", str(executable)]
    return commands


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare_writers(folder: Path, threads: int) -> None:
    """A snapshot against gcore's core of the same process."""
    program = start_crash(folder, "wait", threads)
    try:
        snapshot = capture(program.pid)
        plain, packed = folder / "snapshot", folder / "snapshot.zst"
        seconds = timed(lambda: write_snapshot(snapshot, plain))
        write_snapshot(snapshot, packed, compress="zstd")
        core: list[Path] = []
        gcore_seconds = timed(lambda: core.append(gcore(program.pid, folder)))
    finally:
        program.end()
    print(f"snapshot against gcore, {threads} threads")
    print(
        f"  snapshot  pause {(snapshot.pause_us or 0) / 1e6:8.4f} s  written in {seconds:.3f} s  {_size(plain)}; zstd {_size(packed)}"
    )
    print(f"  gcore     pause {gcore_seconds:8.4f} s (attached all along)          {_size(core[0])}")


def _size(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size / 2**20:9.2f} MiB, {found.st_blocks / 2048:9.2f} MiB on disk"


def main() -> None:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="bench_core.") as name:
        folder = Path(name)
        program = start_crash(folder, "abort", threads)
        core = program.die()
        program.end()
        compare(f"a kernel core of {threads} threads, {_size(core)}", readers(core, program.executable))
        program = start_crash(folder, "abort", 4, gibibytes=4)
        core = program.die()
        program.end()
        compare(f"a sparse core of 4 GiB, {_size(core)}", readers(core, program.executable))
        core.unlink()
        for count in (10, threads):
            compare_writers(folder, count)


if __name__ == "__main__":
    main()
