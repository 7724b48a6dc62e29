"""Makes cores: by the kernel in a folder of its own (ulimit -c, no global setting is touched), and by gdb's gcore."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.building import alone_in
from tests.support.waiting import PATIENCE_S, wait_until_still

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ToldThread:
    """What a blocked thread of core_crash.c said of itself."""

    tid: int
    pointer: int
    low: int
    high: int
    guard: int
    local: int
    name: str


@dataclass(frozen=True)
class Crasher:
    """The thread that dies."""

    tid: int
    low: int
    high: int


@dataclass
class CrashProgram:
    """core_crash.c, running: what it said, and its process."""

    process: subprocess.Popen[str]
    executable: Path
    folder: Path
    threads: dict[int, ToldThread] = field(default_factory=dict)
    crasher: Crasher = field(default_factory=lambda: Crasher(0, 0, 0))

    @property
    def pid(self) -> int:
        return self.process.pid

    def die(self) -> Path:
        """Lets it go on to its death; the kernel's core."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.wait(PATIENCE_S)
        return find_core(self.folder, self.pid)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()


def build(name: str, *flags: str, compiler: str = "cc") -> Path:
    """tests/programs/NAME.c as a program; flags make another one of it."""
    folder = ROOT / "build/programs"
    suffix = "".join(flag.strip("-").replace("=", "_") for flag in (*flags, compiler if compiler != "cc" else ""))
    target = folder / f"{name}{'_' + suffix if suffix else ''}"
    source = ROOT / f"tests/programs/{name}.c"
    with alone_in(folder):
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            command = [compiler, "-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-pthread", *flags, str(source)]
            beside = target.with_name(f"{target.name}.part")  # a build that is broken off leaves no half a program
            subprocess.run([*command, "-o", str(beside)], check=True, cwd=ROOT)
            beside.rename(target)
    return target


def start_crash(
    folder: Path,
    way: str,
    threads: int = 2,
    executable: Path | None = None,
    filter_mask: int | None = None,
    gibibytes: int = 0,
) -> CrashProgram:
    """Starts core_crash.c in ``folder``, where its core will lie, and hears what it says."""
    executable = executable or build("core_crash")

    settings = "ulimit -c unlimited; " + (
        f"echo {filter_mask} > /proc/self/coredump_filter; " if filter_mask is not None else ""
    )
    process = subprocess.Popen(
        ["sh", "-c", f'{settings}exec "$@"', "sh", str(executable), way, str(threads), str(gibibytes)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    program = CrashProgram(process, executable, folder)
    assert process.stdout
    for line in process.stdout:
        kind, *words = line.split(maxsplit=7)
        if kind == "thread":
            tid, pointer, low, high, guard, local = (int(word, 0) for word in words[:6])
            program.threads[tid] = ToldThread(tid, pointer, low, high, guard, local, words[6].rstrip("\n"))
        elif kind == "crash":
            program.crasher = Crasher(*(int(word, 0) for word in words))
        elif kind == "ready":
            wait_until_still(process.pid)
            return program
    raise AssertionError(f"{executable} ended with {process.wait()}")


def find_core(folder: Path, pid: int) -> Path:
    """The core the kernel wrote into ``folder``: "core" or "core.PID" (core(5)). Fails where core_pattern sends it elsewhere."""
    for name in ("core", f"core.{pid}"):
        if (folder / name).exists():
            return (folder / name).rename(folder / f"kernel.{pid}")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    raise AssertionError(f"the kernel wrote no core: its core_pattern is {pattern!r}")


def gcore(pid: int, folder: Path) -> Path:
    """A core of a living process by gdb's gcore."""
    target = folder / f"gcore.{pid}"
    command = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-p", str(pid), "-ex", f"gcore {target}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert target.exists(), run.stderr
    return target
