"""The note "tinspect" in a snapshot: what cores lose, as JSON (docs/internals/snapshot-format.md)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from tinspect.errors import FormatError
from tinspect.formats.json_codec import (
    ADDRESS,
    BOOLEAN,
    INTEGER,
    Array,
    Codec,
    Nullable,
    Scalar,
    plain,
    ranged,
    word,
)
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.mapping import Mapping
from tinspect.model.module import Module
from tinspect.model.signals import SignalHandler
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack, SignalStackState
from tinspect.model.thread import Exactness, SignalStop, SyscallState, Thread

NOTE_OWNER: Final = "tinspect"
NOTE_TYPE: Final = 0x54490001  # "TI": readers that go by the type alone must not take it for another
VERSION: Final = 1

_PERMISSIONS = re.compile("[r-][w-][x-][ps]")


@dataclass(frozen=True, slots=True)
class NotedPages:
    """Pages in one state: "present", "swapped", "guard" or "maybe_guard"."""

    range: AddressRange
    flag: str


@dataclass(frozen=True, slots=True)
class NotedSignalStack:
    """The alternate signal stack of the thread ``tid``."""

    tid: int
    stack: SignalStack


@dataclass(frozen=True, slots=True)
class SnapshotNote:
    """The facts of a snapshot beside registers and memory. Threads come without registers: those are in NT_PRSTATUS.

    ``kind`` is how the process was looked at ("live", "passive", "gdb"). ``pages`` is None where the states of pages could not be had.
    """

    version: int
    tool: str
    kind: str
    pid: int | None
    executable: str
    threads: tuple[Thread, ...]
    mappings: tuple[Mapping, ...]
    modules: tuple[Module, ...]
    stack_limit: int | None
    caught_signals: int | None
    namespace_pid: int | None
    pages: tuple[NotedPages, ...] | None
    guard_flags_known: bool
    signal_stacks: tuple[NotedSignalStack, ...]
    pause_us: int | None
    gaps: tuple[Gap, ...]
    signal_handlers: tuple[SignalHandler, ...] | None = None


def _as_is(text: str) -> str:
    return text


# Unlike the report's text this keeps every byte: names must come back as they were captured, and views make them printable.
_TEXT: Codec[str] = Scalar(_as_is, lambda data: data if isinstance(data, str) else None, {"type": "string"}, "a string")
_NUMBER: Codec[Any] = Nullable(INTEGER)

_THREAD = plain(
    Thread,
    tid=INTEGER,
    name=_TEXT,
    state=_TEXT,
    is_main=BOOLEAN,
    namespace_tid=_NUMBER,
    thread_pointer=Nullable(ADDRESS),
    exactness=word(Exactness),
    syscall=Nullable(plain(SyscallState, number=INTEGER, arguments=Array(ADDRESS))),
    signal=Nullable(plain(SignalStop, number=INTEGER, code=_NUMBER, address=Nullable(ADDRESS))),
    cpu_time_us=_NUMBER,
    seccomp=_NUMBER,
    blocked_signals=Nullable(ADDRESS),
)
_MAPPING = ranged(Mapping, permissions=_TEXT, offset=ADDRESS, device=_TEXT, inode=INTEGER, name=_TEXT, deleted=BOOLEAN)
_MODULE = ranged(
    Module,
    name=_TEXT,
    path=_TEXT,
    load_bias=ADDRESS,
    build_id=_TEXT,
    is_main=BOOLEAN,
    is_vdso=BOOLEAN,
    deleted=BOOLEAN,
    tls_module_id=_NUMBER,
)
_SIGNAL_STACK = ranged(
    SignalStack, optional=True, state=word(SignalStackState), flags=Array(_TEXT), source=word(Source)
)
_SIGNAL_HANDLER = plain(
    SignalHandler, signal=INTEGER, name=_TEXT, handler=ADDRESS, flags=Array(_TEXT), source=word(Source)
)
_NOTE = plain(
    SnapshotNote,
    version=INTEGER,
    tool=_TEXT,
    kind=_TEXT,
    pid=_NUMBER,
    executable=_TEXT,
    threads=Array(_THREAD),
    mappings=Array(_MAPPING),
    modules=Array(_MODULE),
    stack_limit=_NUMBER,
    caught_signals=Nullable(ADDRESS),
    namespace_pid=_NUMBER,
    pages=Nullable(Array(ranged(NotedPages, flag=_TEXT))),
    guard_flags_known=BOOLEAN,
    signal_stacks=Array(plain(NotedSignalStack, tid=INTEGER, stack=_SIGNAL_STACK)),
    pause_us=_NUMBER,
    gaps=Array(plain(Gap, what=_TEXT, why=_TEXT, tid=_NUMBER)),
    # Snapshots of before have none.
    signal_handlers=Nullable(Array(_SIGNAL_HANDLER)),
)


def pack_snapshot_note(note: SnapshotNote) -> bytes:
    """The payload of the note."""
    return json.dumps(_NOTE.encode(note), separators=(",", ":")).encode()


def parse_snapshot_note(data: bytes) -> SnapshotNote:
    """The facts in a payload. Raises FormatError when it is damaged or of a later version."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("the snapshot's own note is no JSON.") from error
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise FormatError(f"the snapshot's own note is of version {version}.", "Read it with a newer tinspect.")
    note = _NOTE.decode(document, "note")
    if any(not _PERMISSIONS.fullmatch(mapping.permissions) for mapping in note.mappings):
        raise FormatError("the snapshot's own note has a mapping with impossible permissions.")
    return note
