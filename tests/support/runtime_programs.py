"""The runtime's libraries, its demo program, and test programs linked with them, built once for all test processes."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / "build/native"
HEADERS = ROOT / "tinspect/native/include"


@cache
def build_runtime() -> Path:
    """The folder with libtinspect.a, libtinspect.so and tinspect-demo, up to date."""
    LIBRARIES.mkdir(parents=True, exist_ok=True)
    with (LIBRARIES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["make", "-s", "-f", "tinspect/native/scope/build.mk", f"OUT={LIBRARIES}", "all", "demo"]
        subprocess.run(command, cwd=ROOT, check=True, timeout=100)
    return LIBRARIES


def link_program(source: Path, target: Path) -> Path:
    """``source`` as a program that holds the runtime."""
    library = build_runtime() / "libtinspect.a"
    flags = ["-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-fexceptions", "-pthread", f"-I{HEADERS}"]
    subprocess.run(["cc", *flags, str(source), str(library), "-o", str(target)], check=True, timeout=60)
    return target


class Speaker:
    """A running program and what it said of itself."""

    def __init__(self, process: subprocess.Popen[str], truth: dict[str, Any]) -> None:
        self.process = process
        self.pid = process.pid
        self.truth = truth


@contextmanager
def speaking(program: Path, *arguments: str, cwd: Path | None = None, cores: bool = False) -> Iterator[Speaker]:
    """Runs a program that prints one line of JSON when it is ready, and lives until its stdin closes. Ends it in any case."""
    prefix = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"] if cores else []
    with subprocess.Popen(
        [*prefix, str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd
    ) as process:
        try:
            assert process.stdout is not None
            yield Speaker(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()
