"""A ground-truth program of the libc matrix, stopped and read through libc's house: what the integration tests compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.libcs import LibcBuild, running
from tests.support.stopped_process import StoppedProcess
from tinspect.analyses.context import Context
from tinspect.libc.detect import detect_libc
from tinspect.libc.protocol import Libc, LibcThreads
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import SymbolTable, open_symbols
from tinspect.target.target import Snapshot


@dataclass(frozen=True, slots=True)
class ReadLibc:
    """What the program said (``lines``), and what was read of it. The snapshot holds what libc planned and nothing else."""

    lines: list[dict[str, Any]]
    process: StoppedProcess
    symbols: SymbolTable
    libc: Libc
    snapshot: Snapshot
    threads: LibcThreads

    def said(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind."""
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def context(self) -> Context:
        """For the analyses."""
        return Context(self.snapshot, self.symbols, self.libc, self.threads)


@contextmanager
def read_libc(build: LibcBuild, program: str, *arguments: str) -> Iterator[ReadLibc]:
    """Runs the program, stops it and reads it. Skips, with the reason, where this libc cannot be had."""
    why = build.why_missing()
    if why:
        pytest.skip(why)
    with running(build, program, *arguments) as (pid, lines), StoppedProcess(pid, build.debug_roots) as process:
        symbols = open_symbols(process.modules, ImageStore(process.files))
        libc = detect_libc(process, symbols)
        assert libc is not None
        snapshot = process.capture(libc.capture_plan())
        yield ReadLibc(lines, process, symbols, libc, snapshot, libc.read_threads(snapshot))
