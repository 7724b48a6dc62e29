"""The runtime's libraries, its demo program, and test programs linked with them, built once for all test processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.building import alone_in
from tests.support.waiting import PATIENCE_S, wait_until_still

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / "build/native"
HEADERS = ROOT / "tinspect/native/include"


@cache
def build_runtime() -> Path:
    """The folder with libtinspect.a, libtinspect.so and tinspect-demo, up to date."""
    with alone_in(LIBRARIES):
        command = ["make", "-s", "-f", "tinspect/native/scope/build.mk", f"OUT={LIBRARIES}", "all", "demo"]
        subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE_S)
    return LIBRARIES


def link_program(source: Path, target: Path) -> Path:
    """``source`` as a program that holds the runtime."""
    library = build_runtime() / "libtinspect.a"
    flags = ["-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-fexceptions", "-pthread", f"-I{HEADERS}"]
    subprocess.run(["cc", *flags, str(source), str(library), "-o", str(target)], check=True, timeout=PATIENCE_S)
    return target


class Speaker:
    """A running program and what it said of itself."""

    def __init__(self, process: subprocess.Popen[str], truth: dict[str, Any]) -> None:
        self.process = process
        self.pid = process.pid
        self.truth = truth


@contextmanager
def speaking(
    program: Path, *arguments: str, cwd: Path | None = None, cores: bool = False, still: bool = True
) -> Iterator[Speaker]:
    """Runs a program that prints one line of JSON when it is ready, stands ``still`` then, and lives until its stdin closes. Ends it
    in any case."""
    prefix = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"] if cores else []
    with subprocess.Popen(
        [*prefix, str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd
    ) as process:
        try:
            assert process.stdout is not None
            truth = json.loads(process.stdout.readline())
            if still:
                wait_until_still(process.pid)
            yield Speaker(process, truth)
        finally:
            process.kill()
