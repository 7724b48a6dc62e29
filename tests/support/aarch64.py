"""Programs for aarch64, made by Debian's cross compiler and run by QEMU's user emulation, which writes the program's own core."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "aarch64"
SYSROOT = Path("/usr/aarch64-linux-gnu")
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
_FUTEX = {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine, "")
RUN = (EMULATOR, "-L", str(SYSROOT))


def why_missing() -> str:
    """What has to be installed; "" when all is there."""
    missing = [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]
    if missing:
        return f"needs {' and '.join(missing)} (Debian: gcc-aarch64-linux-gnu, qemu-user)"
    return "" if (SYSROOT / "include/stdio.h").exists() else "needs aarch64's C library (Debian: libc6-dev-arm64-cross)"


needs_aarch64 = pytest.mark.skipif(bool(why_missing()), reason=why_missing())


def environment() -> dict[str, str]:
    """Ours without what would reach into the program: sanitizers, tinspect's own settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "LD_PRELOAD" and not name.startswith(("TINSPECT_", "QEMU_"))
    }


@cache
def build_program(name: str, *flags: str) -> Path:
    """tests/programs/NAME.c for aarch64; flags make another one of it."""
    folder = BUILT / ("_".join(flag.strip("-").replace("=", "_") for flag in flags) or "plain")
    folder.mkdir(parents=True, exist_ok=True)
    target, source = folder / name, ROOT / f"tests/programs/{name}.c"
    inputs = (source, *source.parent.glob("*.h"))
    if not target.exists() or any(target.stat().st_mtime < path.stat().st_mtime for path in inputs):
        # Several test processes may build at once: each writes beside and moves into place.
        beside = target.with_name(f"{name}.{os.getpid()}")
        options = ["-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-pthread"]
        subprocess.run([COMPILER, *options, *flags, str(source), "-o", str(beside)], check=True, timeout=60)
        beside.rename(target)
    return target


@cache
def build_runtime(*targets: str) -> Path:
    """The folder of the runtime's libraries, test programs or demo for aarch64, as ``targets`` of tests/native/build.mk."""
    folder = ROOT / "build/native-tests/aarch64"
    folder.mkdir(parents=True, exist_ok=True)
    tools = [f"CC={COMPILER}", "AR=aarch64-linux-gnu-ar", "TEST_SOURCES_CXX=", f"OUT={folder}"]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["make", "-s", "-j2", "-f", "tests/native/build.mk", *tools, *targets]
        subprocess.run(command, cwd=ROOT, check=True, timeout=200, capture_output=True)
    return folder


@dataclass(frozen=True)
class Emulated:
    """A program that runs under QEMU, and the lines it said so far. The process is the emulator."""

    process: subprocess.Popen[str]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class DeadProgram:
    """A program that ran under QEMU until it died: the lines it said, and its core."""

    executable: Path
    lines: tuple[str, ...]
    core: Path


@contextmanager
def running(folder: Path, executable: Path, arguments: Sequence[str], last: str) -> Iterator[Emulated]:
    """Runs a program in ``folder`` and hears it up to the line that begins with ``last``; ends it in any case."""
    command = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *RUN, str(executable), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=folder, env=environment()
    ) as process:
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith(last):
                    break
            else:
                raise AssertionError(f"{executable} ended with {process.wait(30)}")
            yield Emulated(process, tuple(lines))
        finally:
            process.kill()


def await_futex(pid: int, tid: int, operation: int, value: int | None = None) -> None:
    """Returns once the thread waits for a futex by that operation, and with that expected value. A guest thread is a thread of the
    emulator, under the same tid; the kernel tells what it waits in (proc(5), /proc/PID/task/TID/syscall)."""
    place = Path(f"/proc/{pid}/task/{tid}/syscall")
    while True:
        words = place.read_text().split()
        if words[0] == _FUTEX and int(words[2], 16) == operation and value in (None, int(words[3], 16)):
            return
        os.sched_yield()


def run_to_death(
    folder: Path,
    executable: Path,
    arguments: Sequence[str],
    last: str,
    deadly: int = 0,
    before: Callable[[Emulated], None] = lambda _: None,
) -> DeadProgram:
    """Runs a program, then lets it go on to its death, or kills it with the signal ``deadly``; ``before`` that it waits for what the
    program does not say. QEMU (linux-user/elfload.c) writes qemu_NAME_DATE_PID.core where RLIMIT_CORE allows it."""
    with running(folder, executable, arguments, last) as emulated:
        process = emulated.process
        before(emulated)
        if deadly:
            process.send_signal(deadly)
        else:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        status = process.wait(60)
    assert status < 0, f"{executable} ended with {status}, not by a signal"
    for own in folder.glob("core*"):
        own.unlink()  # of the emulator itself
    [core] = folder.glob("qemu_*.core")
    return DeadProgram(executable, emulated.lines, core)
