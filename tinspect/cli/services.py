"""What the command line needs of the rest of the program. ``tinspect.__main__`` hands it in, so that commands never import one another's
faces, nothing heavy is imported for ``--help``, and tests can hand in something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tinspect.errors import TinspectError
    from tinspect.model.doctor import DoctorCheck
    from tinspect.model.options import AttachOptions, Progress, RunOptions, SnapshotOptions, SnapshotSummary
    from tinspect.model.report import ProcessReport
    from tinspect.model.whatis import WhatIs


class Session(Protocol):
    """The functions of ``tinspect.session``. Each raises TinspectError, and has released the target however it ends."""

    def attach_report(self, pid: int, options: AttachOptions, progress: Progress) -> ProcessReport:
        """The report on a running process."""
        ...

    def core_report(
        self, core: str, executable: str | None, options: AttachOptions, sysroot: str | None, progress: Progress
    ) -> ProcessReport:
        """The report on a core dump: a path, "-" for standard input, or what coredumpctl knows."""
        ...

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
        """What each address is. ``target`` is a pid in digits, or a core."""
        ...

    def write_snapshot(self, pid: int, path: str, options: SnapshotOptions, progress: Progress) -> SnapshotSummary:
        """Writes an ELF core of a running process."""
        ...

    def run_command(
        self,
        command: Sequence[str],
        run: RunOptions,
        options: AttachOptions,
        deliver: Callable[[ProcessReport, str], None],
        fail: Callable[[TinspectError | OSError], None],
    ) -> int:
        """Runs a program; ``deliver`` gets each report and why it was made, ``fail`` why one could not be made or written. The status is
        the program's own (128 + n for signal n)."""
        ...

    def doctor(self, pid: int | None) -> tuple[DoctorCheck, ...]:
        """What this machine and these rights allow."""
        ...


class Services(Protocol):
    """Everything the commands reach for outside of ``tinspect.cli`` and the views."""

    def session(self) -> Session:
        """The composition root, imported on first use."""
        ...

    def run_tui(
        self, target: str, options: AttachOptions, *, executable: str | None, sysroot: str | None, interval: float
    ) -> int:
        """The full-screen view until its user leaves it; the exit status."""
        ...

    def gdb_script(self) -> Path:
        """The file that gdb has to source."""
        ...

    def demo_program(self) -> Path:
        """The bundled program. Raises TinspectError when it was not built."""
        ...

    def native_directories(self) -> tuple[Path, Path]:
        """Where the runtime's headers and libraries lie. Raises TinspectError when they were not built."""
        ...
