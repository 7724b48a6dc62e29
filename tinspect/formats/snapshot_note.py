"""The note "tinspect" in a snapshot: what cores lose, as JSON (docs/internals/snapshot-format.md)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from tinspect.errors import FormatError
from tinspect.formats.value_codec import decode, encode
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.mapping import Mapping
from tinspect.model.module import Module
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Thread

NOTE_NAME: Final = b"tinspect"
NOTE_TYPE: Final = 0x54490001  # "TI": readers that go by the type alone must not take it for another
VERSION: Final = 1
_PERMISSIONS = re.compile("[r-][w-][x-][ps]")


@dataclass(frozen=True, slots=True)
class NotedPages:
    """Pages in one state: "present", "swapped" or "guard"."""

    range: AddressRange
    flag: str


@dataclass(frozen=True, slots=True)
class SnapshotNote:
    """The facts of a snapshot beside registers and memory. Threads come without registers: those are in NT_PRSTATUS.

    ``kind`` is how the process was looked at ("live", "passive", "gdb"). ``pages`` is None where the states of pages could not be
    had.
    """

    version: int
    tool: str
    kind: str
    pid: int | None
    executable: str
    threads: tuple[Thread, ...]
    mappings: tuple[Mapping, ...]
    modules: tuple[Module, ...]
    stack_limit: int | None = None
    caught_signals: int | None = None
    namespace_pid: int | None = None
    pages: tuple[NotedPages, ...] | None = None
    guard_flags_known: bool = False
    signal_stacks: tuple[tuple[int, SignalStack], ...] = ()
    pause_us: int | None = None
    gaps: tuple[Gap, ...] = ()


def pack_snapshot_note(note: SnapshotNote) -> bytes:
    """The payload of the note."""
    return json.dumps(encode(note), separators=(",", ":")).encode()


def parse_snapshot_note(data: bytes) -> SnapshotNote:
    """The facts in a payload. Raises FormatError when it is damaged or of a later version."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("the snapshot's own note is no JSON.") from error
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise FormatError(f"the snapshot's own note is of version {version}.", "Read it with a newer tinspect.")
    note = decode(SnapshotNote, document)
    if any(not _PERMISSIONS.fullmatch(mapping.permissions) for mapping in note.mappings):
        raise FormatError("the snapshot's own note has a mapping with impossible permissions.")
    return note
