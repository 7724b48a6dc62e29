"""All analyses in their order, each given what the earlier ones concluded: from a snapshot to the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinspect.libc.protocol import Libc
from tinspect.model.frame import CallStack
from tinspect.model.options import AttachOptions
from tinspect.model.report import LibcInfo, ProcessReport
from tinspect.model.thread import Thread
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.scan import WordScanner
from tinspect.target.target import Snapshot

NO_LIBC = LibcInfo("none")
_AT_MINSIGSTKSZ = 51  # linux/auxvec.h


@dataclass(frozen=True, slots=True)
class Tools:
    """What the analyses work with besides the snapshot. ``unwind`` gives the frames of one thread; ``scanner`` is asked for heap and globals."""

    symbols: Symbolizer
    libc: Libc | None
    unwind: Callable[[Thread], CallStack]
    scanner: WordScanner | None = None


def build_report(snapshot: Snapshot, tools: Tools, options: AttachOptions) -> ProcessReport:
    """The whole report, as far as ``options.sections`` ask for it: what a section needs is always worked out."""
