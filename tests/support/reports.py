"""Reports of snapshots and cores, made by the session as any face would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinspect.model.options import AttachOptions
from tinspect.model.report import ProcessReport
from tinspect.session import Inspector, core_report
from tinspect.target.plan import CapturePlan
from tinspect.target.scan import ReaderScanner
from tinspect.target.target import Snapshot


@dataclass(frozen=True)
class Standing:
    """A Backend whose capture was made already."""

    target: Snapshot

    @property
    def scanner(self) -> ReaderScanner:
        return ReaderScanner(self.target.memory)

    def capture(self, plan: CapturePlan) -> Snapshot:
        return self.target

    def close(self) -> None:
        return


def is_pieced_together(value: int) -> bool:
    """Whether a word looks like a small int that was stored into half of a slot in which a pointer had been.

    In code without debug information nobody can tell it from an address, and where the loader happens to put a stack across a
    multiple of 4 GiB it is one.
    """
    return value & 0xFFFF_FFFF < 1 << 16


def report_of_snapshot(snapshot: Snapshot) -> ProcessReport:
    with Inspector(lambda _: Standing(snapshot)) as inspector:
        return inspector.report(AttachOptions())


def report_of_core(core: Path, executable: Path | None = None, sysroot: Path | None = None) -> ProcessReport:
    return core_report(
        core, str(executable) if executable else None, AttachOptions(), str(sysroot) if sysroot else None
    )
