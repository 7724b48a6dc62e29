"""Rows of rules against binutils' (readelf --debug-dump=frames-interp), and damaged tables."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from tests.support.elf_samples import compile_source, damaged, sample
from tinspect.errors import FormatError
from tinspect.formats.cfi import CommonEntry, FrameEntry, RuleKind, UnwindRow, compute_row
from tinspect.formats.eh_frame import CallFrameTable, FrameSection
from tinspect.formats.elf import ElfImage

LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")
NAMES = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "ra"]


def readelf_rows(path: Path, every: int) -> Iterator[tuple[int, str, dict[str, str]]]:
    """(pc, CFA, {register: rule}) of the rows of every so many FDEs."""
    command = ["readelf", "-W", "--debug-dump=frames-interp", str(path)]
    # Its status is 1 when a debug link leads nowhere.
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for number, block in enumerate(re.split(r"\n\n", text)):
        lines = block.splitlines()
        if number % every or not lines or " FDE " not in lines[0]:
            continue
        end = int(lines[0].rpartition("..")[2], 16)
        header = next((line.split() for line in lines if line.strip().startswith("LOC")), None)
        if header is None:
            continue
        for line in lines[lines.index(next(x for x in lines if x.strip().startswith("LOC"))) + 1 :]:
            fields = line.split()
            if len(fields) == len(header) and int(fields[0], 16) < end:
                yield int(fields[0], 16), fields[1], dict(zip(header[2:], fields[2:], strict=True))


def written(row: UnwindRow) -> tuple[str, dict[str, str]]:
    """A row as readelf writes it."""
    cfa = "exp" if row.cfa_expression else f"{NAMES[row.cfa_register]}{row.cfa_offset:+d}"
    rules = {}
    for register, rule in row.rules.items():
        text = {
            RuleKind.UNDEFINED: "u",
            RuleKind.SAME_VALUE: "s",
            RuleKind.OFFSET: f"c{rule.value:+d}",
            RuleKind.VAL_OFFSET: f"v{rule.value:+d}",
            RuleKind.REGISTER: NAMES[rule.value] if 0 <= rule.value < len(NAMES) else "?",
            RuleKind.EXPRESSION: "exp",
            RuleKind.VAL_EXPRESSION: "vexp",
        }[rule.kind]
        rules[NAMES[register]] = text
    return cfa, rules


def assert_rows_equal(path: Path, every: int, at_least: int) -> None:
    table = CallFrameTable(ElfImage(path.read_bytes()))
    rows = list(readelf_rows(path, every))
    assert len(rows) >= at_least
    for pc, cfa, rules in rows:
        entry = table.find(pc)
        assert entry is not None, hex(pc)
        ours, our_rules = written(compute_row(entry, pc))
        assert ours == cfa, hex(pc)
        # readelf writes u where no rule was given yet.
        assert {n: our_rules.get(n, "u") for n in rules} == rules, hex(pc)


def test_libc_rows_are_those_of_readelf() -> None:
    assert_rows_equal(LIBC, every=9, at_least=2000)


@pytest.mark.parametrize(
    "flags", [("-O2",), ("-O2", "-g", "-fno-asynchronous-unwind-tables"), ("-O2", "-Wl,--no-eh-frame-hdr", "-static")]
)
def test_rows_with_and_without_a_sorted_table(tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert_rows_equal(compile_source(tmp_path / "sample", flags), every=1, at_least=10)


def test_no_entry_between_functions() -> None:
    table = CallFrameTable(ElfImage(LIBC.read_bytes()))
    assert table.find(0) is None
    assert table.find(1 << 40) is None


def row_of(instructions: bytes, pc: int = 100, initial: bytes = b"\x0c\x07\x08\x90\x01") -> UnwindRow:
    common = CommonEntry(1, -8, 16, 0x1B, True, False, initial)
    return compute_row(FrameEntry(common, 0, 1000, instructions), pc)


def test_remembered_rows_come_back_with_their_cfa() -> None:
    row = row_of(b"\x0a\x0e\x40\x83\x05\x0b")  # remember, CFA offset 64, rbx at CFA-40, restore
    assert written(row) == ("rsp+8", {"ra": "c-8"})


def test_restore_takes_the_rule_of_the_common_entry() -> None:
    assert written(row_of(b"\x90\x03\xd0"))[1] == {"ra": "c-8"}
    assert written(row_of(b"\x83\x03\xc3"))[1] == {"ra": "c-8"}


def test_rows_end_where_the_location_passes_the_pc() -> None:
    code = b"\x0e\x10\x42\x0e\x18\x02\x60\x0e\x20\x03\xff\x00\x0e\x28"  # at 0: 16, at 2: 24, at 98: 32, at 353: 40
    assert [row_of(code, pc).cfa_offset for pc in (0, 1, 2, 97, 98, 352, 353)] == [16, 16, 24, 24, 32, 32, 40]


def test_every_rule() -> None:
    code = (
        b"\x07\x00\x08\x01\x09\x02\x03\x05\x03\x02\x11\x04\x7e\x14\x05\x02\x15\x06\x7e"
        b"\x10\x08\x01\x30\x16\x09\x01\x31\x2f\x0a\x02\x2e\x05"
    )
    assert written(row_of(code))[1] == {
        "ra": "c-8", "rax": "u", "rdx": "s", "rcx": "rbx", "rbx": "c-16", "rsi": "c+16", "rdi": "v-16", "rbp": "v+16",
        "r8": "exp", "r9": "vexp", "r10": "c+16",
    }  # fmt: skip


def test_cfa_by_expression_and_back() -> None:
    assert row_of(b"\x0f\x02\x77\x08").cfa_expression == b"\x77\x08"
    assert written(row_of(b"\x0f\x02\x77\x08\x12\x06\x7e"))[0] == "rbp+16"
    assert written(row_of(b"\x0d\x06\x13\x7d"))[0] == "rbp+24"


def test_signed_return_address_is_noted() -> None:
    assert row_of(b"\x2d").address_signed
    assert not row_of(b"\x2d\x2d").address_signed


@pytest.mark.parametrize(
    "code", [b"\x0b", b"\x3f", b"\x0f\x7f", b"\x0c", b"\x05\xff\xff\x7f\x01", b"\x0a" * 1000, b"\x83"]
)
def test_damaged_instructions_are_refused(code: bytes) -> None:
    with pytest.raises(FormatError):
        row_of(code)


def test_no_cfa_is_refused() -> None:
    with pytest.raises(FormatError):
        row_of(b"", initial=b"")


@settings(max_examples=300, deadline=None)
@given(strategies.binary(max_size=200))
def test_any_instructions_give_a_row_or_an_error(code: bytes) -> None:
    with contextlib.suppress(FormatError):
        row_of(code)


@settings(max_examples=300, deadline=None)
@given(strategies.binary(max_size=300), strategies.booleans())
def test_any_section_can_be_walked(data: bytes, is_debug_frame: bool) -> None:
    index = FrameSection(memoryview(data), 0x1000, is_debug_frame).index()
    with contextlib.suppress(FormatError):
        index.find(0x1000)


def frame_area(data: bytes) -> tuple[int, int]:
    image = ElfImage(data)
    header, frames = image.find_section(".eh_frame_hdr"), image.find_section(".eh_frame")
    assert header is not None
    assert frames is not None
    return header.offset, frames.offset + frames.size


@settings(max_examples=300, deadline=None)
@given(damaged(sample(), *frame_area(sample())))
def test_damaged_tables_answer_or_raise_format_error(data: bytes) -> None:
    try:
        image = ElfImage(data)
        table = CallFrameTable(image)
        text = image.find_section(".text")
        for pc in range(text.address, text.address + text.size, 7) if text is not None else range(0):
            entry = table.find(pc)
            if entry is not None:
                assert pc in entry
                compute_row(entry, pc)
    except FormatError:
        pass
