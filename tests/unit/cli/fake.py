"""Services that answer by hand, and streams that say they are terminals."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.reports import sample_report
from tinspect.cli.main import run_command_line
from tinspect.cli.services import Services, Session
from tinspect.errors import TargetLost, TargetNotFound, TinspectError
from tinspect.model.address import AddressRange
from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.model.options import AttachOptions, Progress, RunOptions, SnapshotOptions, SnapshotSummary
from tinspect.model.report import ProcessReport
from tinspect.model.source import Source
from tinspect.model.whatis import AddressKind, WhatIs


@dataclass
class FakeSession:
    """Answers with ``reports`` one after the other, the last one for ever; an exception among them is raised."""

    reports: Sequence[ProcessReport | BaseException] = field(default_factory=lambda: [sample_report()])
    checks: tuple[DoctorCheck, ...] = (DoctorCheck("ptrace", CheckState.OK, "allowed"),)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def _report(self) -> ProcessReport:
        reports = sum(call[0] in {"attach", "core"} for call in self.calls)
        answer = self.reports[min(reports, len(self.reports)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def attach_report(self, pid: int, options: AttachOptions, progress: Progress) -> ProcessReport:
        self.calls.append(("attach", pid, options))
        progress("reading", 1, 2)
        return self._report()

    def core_report(
        self, core: str, executable: str | None, options: AttachOptions, sysroot: str | None, progress: Progress
    ) -> ProcessReport:
        self.calls.append(("core", core, executable, options, sysroot))
        return self._report()

    def whatis(
        self,
        target: str,
        addresses: Sequence[int],
        options: AttachOptions,
        progress: Progress,
        *,
        executable: str | None = None,
        sysroot: str | None = None,
    ) -> tuple[WhatIs, ...]:
        self.calls.append(("whatis", target, tuple(addresses), executable, sysroot))
        return tuple(
            WhatIs(
                address,
                AddressKind.STACK,
                "In the stack of thread 1 \x1b[31mred.",
                Source.DESCRIPTOR,
                AddressRange(0, 4096),
                tid=1,
            )
            for address in addresses
        )

    def write_snapshot(self, pid: int, path: str, options: SnapshotOptions, progress: Progress) -> SnapshotSummary:
        self.calls.append(("snapshot", pid, path, options))
        return SnapshotSummary(path, 4096, 1 << 20, 3, 900)

    def run_command(
        self,
        command: Sequence[str],
        run: RunOptions,
        options: AttachOptions,
        deliver: Callable[[ProcessReport, str], None],
        fail: Callable[[TinspectError | OSError], None],
    ) -> int:
        self.calls.append(("run", list(command), run, options))
        deliver(sample_report(), "killed by SIGSEGV")
        fail(TargetLost("Process 7 ended while it was being looked at."))
        return 139

    def doctor(self, pid: int | None) -> tuple[DoctorCheck, ...]:
        self.calls.append(("doctor", pid))
        return self.checks


@dataclass
class FakeServices:
    """Services around a fake session."""

    fake: FakeSession = field(default_factory=FakeSession)
    directory: Path = Path("/nowhere")
    shown: list[tuple[Any, ...]] = field(default_factory=list)

    def session(self) -> Session:
        return self.fake

    def run_tui(
        self, target: str, options: AttachOptions, *, executable: str | None, sysroot: str | None, interval: float
    ) -> int:
        self.shown.append((target, executable, sysroot, interval))
        return 0

    def gdb_script(self) -> Path:
        return self.directory / "load.py"

    def demo_program(self) -> Path:
        return self.directory / "tinspect-demo"

    def native_directories(self) -> tuple[Path, Path]:
        return self.directory / "include", self.directory / "lib dir"


class FakeFile(io.StringIO):
    """A stream that takes UTF-8."""

    encoding = "utf-8"


class FakeTerminal(FakeFile):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    status: int
    output: str
    errors: str


class CommandLine:
    """Runs command lines in this process, with fake services and streams."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.services = FakeServices()
        for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "PAGER", "LESS", "TINSPECT_DEBUG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")

    @property
    def session(self) -> FakeSession:
        """The fake session, to be told what to answer and asked what it was asked."""
        return self.services.fake

    def run(self, *arguments: str, terminal: bool = False) -> Outcome:
        """``tinspect ARGUMENTS``; with ``terminal`` both streams say they are one."""
        output, errors = (FakeTerminal(), FakeTerminal()) if terminal else (FakeFile(), FakeFile())
        self._monkeypatch.setattr(sys, "stdout", output)
        self._monkeypatch.setattr(sys, "stderr", errors)
        services: Services = self.services
        status = run_command_line(arguments, services)
        return Outcome(status, output.getvalue(), errors.getvalue())


def ends_after(*reports: ProcessReport) -> list[ProcessReport | BaseException]:
    """These reports, then the end of the process."""
    return [*reports, TargetNotFound("process 4242 has ended.")]
