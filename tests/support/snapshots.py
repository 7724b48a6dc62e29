"""Captures a running process the way the session does, for tests of snapshots."""

from __future__ import annotations

from tinspect.backends.live import open_live
from tinspect.backends.signal_stack_sources import NotAsked
from tinspect.backends.snapshot_plan import snapshot_plan, touched_pages
from tinspect.backends.stopping import StopOptions
from tinspect.libc.detect import detect_libc
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import SymbolStore, SymbolTable
from tinspect.target.plan import CapturePlan
from tinspect.target.target import Snapshot


def capture(pid: int, *, heap: bool = False, full: bool = False) -> Snapshot:
    """A Snapshot with all that a snapshot file needs."""
    backend = open_live(pid, NotAsked(), StopOptions())
    target = backend.target
    libc = detect_libc(target, SymbolTable(target.modules, SymbolStore(ImageStore(target.files))))
    plan = libc.capture_plan() if libc else CapturePlan()
    return backend.capture(plan + snapshot_plan(target, touched_pages(pid), heap=heap, full=full))
