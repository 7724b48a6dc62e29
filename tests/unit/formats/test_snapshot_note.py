"""The snapshot's own note: what goes in comes out; what is hostile is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.errors import FormatError
from tinspect.formats.snapshot_note import (
    NotedPages,
    NotedSignalStack,
    SnapshotNote,
    pack_snapshot_note,
    parse_snapshot_note,
)
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.mapping import Mapping
from tinspect.model.module import Module
from tinspect.model.signals import SignalHandler
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack, SignalStackState
from tinspect.model.thread import Exactness, SignalStop, SyscallState, Thread

AREA = AddressRange(0x7F00_0000_0000, 1 << 64)
FULL = SnapshotNote(
    version=1,
    tool="1.2",
    kind="live",
    pid=7,
    executable="/bin/\udcff\n",
    threads=(
        Thread(
            7,
            "a\x1b[",
            "sleeping",
            True,
            3,
            None,
            1 << 63,
            Exactness.STOPPED,
            SyscallState(202, ((1 << 64) - 1,)),
            SignalStop(11, 2, None),
            5,
            2,
            (1 << 64) - 1,
        ),
        Thread(8),
    ),
    mappings=(Mapping(AREA, "rw-s", 4096, "fe:01", 5, "/x", True),),
    modules=(Module("x", "/x", 1 << 47, AREA, "ab12", True, False, True, 3),),
    stack_limit=-1,
    caught_signals=1,
    namespace_pid=1,
    pages=(NotedPages(AREA, "guard"),),
    guard_flags_known=True,
    signal_stacks=(
        NotedSignalStack(7, SignalStack(SignalStackState.ENABLED, AREA, ("SS_AUTODISARM",), Source.BPF)),
        NotedSignalStack(8, SignalStack(SignalStackState.DISABLED, None, (), Source.BPF)),
    ),
    pause_us=12,
    gaps=(Gap("x", "y", 7), Gap("z", "w")),
    signal_handlers=(SignalHandler(11, "SIGSEGV", 1 << 63, ("SA_ONSTACK", "0x20000000"), Source.BPF),),
)
EMPTY = SnapshotNote(1, "1", "core", None, "", (), (), (), None, None, None, None, False, (), None, ())

THREAD, MAPPING = (json.loads(pack_snapshot_note(FULL))[name][0] for name in ("threads", "mappings"))


@pytest.mark.parametrize("note", [FULL, EMPTY, replace(FULL, pages=(), signal_handlers=())])
def test_a_note_comes_back(note: SnapshotNote) -> None:
    data = pack_snapshot_note(note)
    assert parse_snapshot_note(data) == note
    assert json.loads(data)["version"] == 1


def test_a_note_of_before_tells_no_handlers() -> None:
    document = json.loads(pack_snapshot_note(FULL))
    del document["signal_handlers"]
    assert parse_snapshot_note(json.dumps(document).encode()) == replace(FULL, signal_handlers=None)


def test_addresses_are_text_for_readers_that_keep_numbers_as_doubles() -> None:
    document = json.loads(pack_snapshot_note(FULL))
    assert document["threads"][0]["thread_pointer"] == hex(1 << 63)
    assert document["mappings"][0]["high"] == "0x10000000000000000"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"threads": {}},
        {"threads": [{}]},
        {"threads": [THREAD | {"tid": "7"}]},
        {"threads": [THREAD | {"tid": 1 << 65}]},
        {"threads": [THREAD | {"exactness": "certain"}]},
        {"threads": [THREAD | {"is_main": 1}]},
        {"mappings": [MAPPING | {"low": "0x2", "high": "0x1"}]},
        {"mappings": [MAPPING | {"permissions": ""}]},
        {"signal_stacks": [{"tid": 1}]},
        {"pages": "all"},
        {"signal_handlers": [{"signal": 11, "name": "SIGSEGV", "handler": 4096, "flags": [], "source": "bpf"}]},
    ],
)
def test_what_is_wrong_is_refused(change: dict[str, object]) -> None:
    document = json.loads(pack_snapshot_note(FULL)) | change
    with pytest.raises(FormatError):
        parse_snapshot_note(json.dumps(document).encode())


def test_what_a_later_tinspect_adds_is_passed_over() -> None:
    document = json.loads(pack_snapshot_note(FULL)) | {"weather": "fair"}
    assert parse_snapshot_note(json.dumps(document).encode()) == FULL


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b"9" * 5000, b"null"])
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_snapshot_note(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([field.name for field in fields(SnapshotNote)]), inner, max_size=4)
    ),
)


@given(JSON)
def test_no_document_upsets_the_reader(document: object) -> None:
    with suppress(FormatError):
        parse_snapshot_note(json.dumps(document).encode())


@given(st.sampled_from([field.name for field in fields(SnapshotNote)]), JSON)
def test_no_field_upsets_the_reader(name: str, value: object) -> None:
    whole = json.loads(pack_snapshot_note(FULL))
    try:
        note = parse_snapshot_note(json.dumps(whole | {name: value}).encode())
    except FormatError:
        return
    assert parse_snapshot_note(pack_snapshot_note(note)) == note
