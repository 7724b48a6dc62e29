"""Programs that stand still: built, started, and waited for until every thread sleeps."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.waiting import PATIENCE_S, wait_until_still

PROGRAMS = Path(__file__).parents[1] / "programs"


def build(source: str, target: Path, *flags: str, compiler: str = "gcc") -> Path:
    """tests/programs/SOURCE compiled to ``target``."""
    subprocess.run(
        [compiler, "-o", str(target), str(PROGRAMS / source), *flags, "-pthread"], check=True, timeout=PATIENCE_S
    )
    return target


class StandingProcess:
    """A started program that printed "KIND TID" lines and "ready". ``tids`` holds them."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.tids: dict[str, int] = {"main": self.pid}
        self.lines: list[list[str]] = []
        try:
            self._read()
            wait_until_still(self.pid)
        except BaseException:
            self.__exit__()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
            fields = line.split()
            self.lines.append(fields)
            if len(fields) == 2 and fields[1].isdecimal():
                self.tids[fields[0]] = int(fields[1])
        raise AssertionError("the program ended before it was ready")

    def __enter__(self) -> StandingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
