"""The snapshot's own note: what goes in comes out; what is hostile is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.errors import FormatError
from tinspect.formats.snapshot_note import NotedPages, SnapshotNote, pack_snapshot_note, parse_snapshot_note
from tinspect.formats.value_codec import decode, encode
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.mapping import Mapping
from tinspect.model.module import Module
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
    signal_stacks=((7, SignalStack(SignalStackState.ENABLED, AREA, ("SS_AUTODISARM",), Source.BPF)),),
    pause_us=12,
    gaps=(Gap("x", "y", 7), Gap("z", "w")),
)
EMPTY = SnapshotNote(1, "1", "core", None, "", (), (), ())


@pytest.mark.parametrize("note", [FULL, EMPTY, replace(FULL, pages=())])
def test_a_note_comes_back(note: SnapshotNote) -> None:
    data = pack_snapshot_note(note)
    assert parse_snapshot_note(data) == note
    assert json.loads(data)["version"] == 1


def test_the_full_note_fills_every_field() -> None:
    """So that a field added later is proved too."""
    for field in fields(SnapshotNote):
        assert getattr(FULL, field.name) != field.default


def test_numbers_too_large_for_doubles_are_text() -> None:
    document = json.loads(pack_snapshot_note(FULL))
    assert document["threads"][0]["thread_pointer"] == hex(1 << 63)
    assert document["mappings"][0]["range"] == "0x7f0000000000-0x10000000000000000"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"threads": {}},
        {"threads": [{}]},
        {"threads": [{"tid": "7"}]},
        {"threads": [{"tid": 1 << 64}]},
        {"threads": [{"tid": 1, "exactness": "certain"}]},
        {"threads": [{"tid": 1, "is_main": 1}]},
        {"mappings": [{"range": "0x2-0x1", "permissions": "r--p"}]},
        {"mappings": [{"range": "0x1-0x2", "permissions": ""}]},
        {"signal_stacks": [[1]]},
        {"pages": "all"},
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
def test_no_document_upsets_the_decoder(document: object) -> None:
    try:
        note = decode(SnapshotNote, document)
    except FormatError:
        return
    assert decode(SnapshotNote, encode(note)) == note
