"""Finds separate debug files on this machine the way gdb does (gdb manual, "Separate Debug Files"). Backends open them with it."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable
from pathlib import Path

DEBUG_DIRECTORY = "/usr/lib/debug"
_HEX = frozenset("0123456789abcdef")


def open_mapped(path: str | Path) -> memoryview | None:
    """A regular file as a read-only map; None when it is missing, unreadable, empty or not regular. Never blocks on a fifo."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return None
        return memoryview(mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def open_debug_file(build_id: str, roots: Iterable[str] = ("",)) -> memoryview | None:
    """The debug file of ``build_id`` (lower-case hex) under ROOT/usr/lib/debug/.build-id of the first root that has one, or None.

    ``roots`` are directories that stand for "/": "" for this machine, /proc/PID/root for another mount namespace, a sysroot.
    """
    if len(build_id) < 4 or not _HEX.issuperset(build_id):
        return None
    for root in roots:
        data = open_mapped(f"{root}{DEBUG_DIRECTORY}/.build-id/{build_id[:2]}/{build_id[2:]}.debug")
        if data is not None:
            return data
    return None


def open_linked_file(path: str, name: str, roots: Iterable[str] = ("",)) -> memoryview | None:
    """The file that .gnu_debuglink of the image at ``path`` calls ``name``: beside it, in .debug/, or under /usr/lib/debug; or None."""
    if not path.startswith("/") or not name or "/" in name or "\0" in name:
        return None
    directory = os.path.dirname(path)  # noqa: PTH120 - a path of the target, never resolved here
    for root in roots:
        for place in (directory, f"{directory}/.debug", f"{DEBUG_DIRECTORY}{directory}"):
            candidate = f"{root}{place}/{name}"
            data = open_mapped(candidate) if candidate != f"{root}{path}" else None
            if data is not None:
                return data
    return None
