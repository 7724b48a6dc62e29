"""The notes of cores: what is packed comes back, what the kernel packed is understood, what is hostile is told."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.errors import FormatError
from tinspect.formats.auxv import pack_auxv, parse_auxv
from tinspect.formats.core_notes import (
    NoteType,
    ProcessNote,
    ThreadNote,
    collect_notes,
    pack_prpsinfo,
    pack_prstatus,
    parse_prpsinfo,
    parse_prstatus,
)
from tinspect.formats.elf import Note
from tinspect.formats.nt_file import FileMapping, pack_nt_file, parse_nt_file
from tinspect.formats.siginfo import (
    SignalInfo,
    code_name,
    describe_code,
    has_address,
    pack_siginfo,
    parse_siginfo,
    signal_name,
)
from tinspect.model.address import AddressRange

PROCESS = ProcessNote(7, "name", "/bin/name", parent=1)


def note(kind: int, data: bytes, owner: str = "CORE") -> Note:
    return Note(owner, kind, memoryview(data))


def thread(tid: int, number: int = 0) -> ThreadNote:
    return ThreadNote(tid, number, 0x10, 3_000_001, bytes(range(216)), None)


def test_a_thread_comes_back() -> None:
    back = parse_prstatus(pack_prstatus(thread(9, 11), PROCESS))
    assert (back.tid, back.signal, back.blocked_signals, back.cpu_time_us) == (9, 11, 0x10, 3_000_001)
    assert back.registers[:216] == bytes(range(216))


def test_a_process_comes_back_cut_to_what_the_note_holds() -> None:
    assert parse_prpsinfo(pack_prpsinfo(PROCESS)) == PROCESS
    back = parse_prpsinfo(pack_prpsinfo(ProcessNote(7, "n" * 40, "a" * 200)))
    assert (back.name, back.arguments) == ("n" * 15, "a" * 79)


def test_notes_of_a_thread_follow_its_status() -> None:
    info = pack_siginfo(signal.SIGSEGV, 1, 0x18)
    notes = collect_notes(
        [
            note(NoteType.PRSTATUS, pack_prstatus(thread(9, 11), PROCESS)),
            note(NoteType.PRPSINFO, pack_prpsinfo(PROCESS)),
            note(NoteType.SIGINFO, info),
            note(NoteType.PRSTATUS, pack_prstatus(thread(8, 11), PROCESS)),
            note(NoteType.ARM_TLS, (77).to_bytes(8, "little"), "LINUX"),
            note(5, b"own", "mine"),
        ],
        "mine",
        5,
    )
    assert [entry.tid for entry in notes.threads] == [9, 8]
    assert notes.threads[0].siginfo == SignalInfo(signal.SIGSEGV, 1, address=0x18)
    assert notes.threads[1].siginfo is None
    assert notes.threads[1].thread_pointer == 77
    assert notes.extra == b"own"
    assert notes.process == PROCESS
    assert notes.problems == ()


def test_doubles_and_damage_are_told_but_not_without_end() -> None:
    damaged = [note(NoteType.PRSTATUS, pack_prstatus(thread(tid), PROCESS)) for tid in (1, 1, 0, -5)]
    damaged += [note(NoteType.FILE, b"\xff" * 16)] + [note(NoteType.SIGINFO, b"")] * 100
    notes = collect_notes(damaged, "mine", 5)
    assert [entry.tid for entry in notes.threads] == [1]
    assert len(notes.problems) == 9
    assert notes.problems[-1].startswith("96 more")


FILES = (
    FileMapping(AddressRange(0x1000, 0x3000), 0, "/lib/a b\n.so"),
    FileMapping(AddressRange(0x4000, 0x5000), 0x2000, "/gone", deleted=True),
    FileMapping(AddressRange(0x6000, 0x7000), 1 << 40, "/\udcff"),
)


def test_files_come_back() -> None:
    assert parse_nt_file(pack_nt_file(FILES)) == FILES


def test_offsets_count_in_the_notes_own_page_size() -> None:
    import struct

    data = struct.pack("<QQQQQ", 1, 4096, 0x1000, 0x2000, 3) + b"/lib\0"
    assert parse_nt_file(data) == (FileMapping(AddressRange(0x1000, 0x2000), 3 * 4096, "/lib"),)


def test_a_vector_comes_back() -> None:
    assert parse_auxv(pack_auxv({3: 64, 33: 1 << 63})) == {3: 64, 33: 1 << 63}


@pytest.mark.parametrize(
    ("number", "code", "address", "expected"),
    [
        (signal.SIGSEGV, 2, 0x1000, 0x1000),
        (signal.SIGSEGV, 0x80, 0, None),  # general protection: the kernel does not know the address
        (signal.SIGSEGV, -6, 0x1000, None),  # sent by tgkill: that word is the sender
        (signal.SIGABRT, -6, 0x1000, None),
        (signal.SIGBUS, 2, 5, 5),
    ],
)
def test_a_signal_has_an_address_only_where_the_kernel_gives_one(
    number: int, code: int, address: int, expected: int | None
) -> None:
    assert parse_siginfo(pack_siginfo(number, code, address)).address == expected
    assert has_address(number, code) == (expected is not None)


def test_codes_have_names_and_words() -> None:
    assert code_name(signal.SIGSEGV, 2) == "SEGV_ACCERR"
    assert describe_code(signal.SIGSEGV, 1) == "address not mapped"
    assert code_name(signal.SIGABRT, -6) == "SI_TKILL"
    assert (code_name(40, 77), describe_code(40, 77)) == (None, "code 77")
    assert (signal_name(11), signal_name(63), signal_name(-4)) == ("SIGSEGV", "signal 63", "signal -4")


@given(kind=st.sampled_from(list(NoteType)), data=st.binary(max_size=500))
def test_no_note_upsets_the_collector(kind: int, data: bytes) -> None:
    first = note(NoteType.PRSTATUS, pack_prstatus(thread(1), PROCESS))
    assert collect_notes([first, note(kind, data)], "mine", 5).threads[0].tid == 1
    with suppress(FormatError):
        parse_nt_file(data)
