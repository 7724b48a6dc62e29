"""Starts the programs of tests/programs, which tell the truth about themselves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.building import alone_in

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """A running test program: what it says, line by line, and what it is told."""

    def __init__(self, path: Path, arguments: tuple[str, ...], prefix: tuple[str, ...]) -> None:
        command = [*prefix, str(path), *arguments]
        # The sanitizer that the tests may be run under is none of the program's.
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=environment)
        self.pid = self.process.pid

    def hear(self) -> list[str]:
        """The words of its next line; empty when it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline().split()

    def hear_until(self, last: str) -> list[list[str]]:
        """All lines before the one that reads `last`."""
        lines = []
        while (line := self.hear()) != [last]:
            assert line, f"the program ended with status {self.process.wait()}"
            assert line[0] != "failed", " ".join(line)
            lines.append(line)
        return lines

    def tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()


StartProgram = Callable[..., Program]


def build_program(name: str) -> Path:
    target = ROOT / "build/programs" / name
    with alone_in(target.parent):
        command = ["make", "-s", "-f", "tests/programs/programs.mk", str(target.relative_to(ROOT))]
        subprocess.run(command, cwd=ROOT, check=True)
    return target


@pytest.fixture
def start_program() -> Iterator[StartProgram]:
    """Start tests/programs/NAME.c, built when it is not up to date; ended with the test."""
    running: list[Program] = []

    def start(name: str, *arguments: str, prefix: tuple[str, ...] = ()) -> Program:
        running.append(Program(build_program(name), arguments, prefix))
        return running[-1]

    yield start
    for program in running:
        program.end()
