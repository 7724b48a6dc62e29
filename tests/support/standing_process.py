"""Programs that stand still: built, started, and waited for until each announced thread sleeps in pause(2)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = Path(__file__).parents[1] / "programs"
_PAUSE = {"34"}  # x86-64; the syscall file begins with the number of the call a thread waits in


def build(source: str, target: Path, *flags: str, compiler: str = "gcc") -> Path:
    """tests/programs/SOURCE compiled to ``target``."""
    subprocess.run([compiler, "-o", str(target), str(PROGRAMS / source), *flags, "-pthread"], check=True, timeout=60)
    return target


class StandingProcess:
    """A started program that printed "KIND TID" lines and "ready". ``tids`` holds them."""

    def __init__(self, command: Sequence[str | Path], wait_in_pause: bool = True) -> None:
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.tids: dict[str, int] = {"main": self.pid}
        self.lines: list[list[str]] = []
        try:
            self._read()
            if wait_in_pause:
                self._wait(time.monotonic() + 20)
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

    def _wait(self, deadline: float) -> None:
        for tid in self.tids.values():
            path = Path(f"/proc/{self.pid}/task/{tid}/syscall")
            while path.read_text().split()[0] not in _PAUSE:
                assert time.monotonic() < deadline, f"thread {tid} does not stand still"
                time.sleep(0.002)

    def __enter__(self) -> StandingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
