"""Symbol tables against nm, PLT names against objdump, and damaged ones."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from tests.support.elf_samples import compile_source, damaged, sample
from tinspect.errors import FormatError
from tinspect.formats.elf import ElfImage
from tinspect.formats.plt import parse_plt_slots, parse_slot_symbols
from tinspect.formats.symtab import SymbolIndex, parse_dynamic_symbols, parse_section_symbols

LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")


def nm(path: Path, *flags: str) -> list[tuple[int, int, str, str]]:
    """(address, size, kind, name) of the defined symbols that have a size."""
    text = subprocess.run(
        ["nm", "-S", "--defined-only", *flags, str(path)], capture_output=True, text=True, check=True
    ).stdout
    rows = re.findall(r"^([0-9a-f]{16}) ([0-9a-f]{16}) (\S) (\S+)$", text, re.M)
    return [(int(address, 16), int(size, 16), kind, name) for address, size, kind, name in rows]


def test_every_function_of_libc_is_found_by_any_of_its_addresses() -> None:
    index = parse_dynamic_symbols(ElfImage(LIBC.read_bytes()))
    assert index is not None
    names: dict[int, set[str]] = {}
    for address, _, kind, name in nm(LIBC, "-D"):
        if kind in "TtWwi":
            names.setdefault(address, set()).add(name.partition("@")[0])
    assert len(names) > 1500
    for address, size, kind, _ in nm(LIBC, "-D"):
        if kind in "TtWwi" and size:
            for place in (address, address + size - 1):
                symbol = index.find(place)
                assert symbol is not None
                assert symbol.name.decode() in names[symbol.address]
                assert symbol.address <= place < symbol.address + symbol.size


def test_default_versions_win() -> None:
    """pthread_cond_wait has two versions at two places in glibc on x86-64; programs are bound to the default one, written @@."""
    text = subprocess.run(["nm", "-D", str(LIBC)], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^([0-9a-f]{16}) \S (pthread_cond_wait@+\S+)$", text, re.M))
    assert len(found) == 2
    default = next(int(address, 16) for address, name in found.items() if "@@" in name)
    index = parse_dynamic_symbols(ElfImage(LIBC.read_bytes()))
    assert index is not None
    symbol = index.find_named(b"pthread_cond_wait")
    assert symbol is not None
    assert symbol.address == default


@pytest.mark.parametrize("flags", [("-Wl,--hash-style=sysv",), ("-Wl,--hash-style=gnu",)])
def test_dynamic_symbols_are_counted_without_sections(tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = compile_source(tmp_path / "sample", ("-shared", "-fPIC", *flags))
    data = bytearray(path.read_bytes())
    data[40:48] = bytes(8)  # no section table
    index = parse_dynamic_symbols(ElfImage(data))
    assert index is not None
    for address, _, kind, name in nm(path, "-D"):
        if kind == "T":
            symbol = index.find_named(name.encode())
            assert symbol is not None
            assert symbol.address == address


def test_static_and_thread_local_symbols() -> None:
    index = parse_section_symbols(ElfImage(sample()), ".symtab", ".strtab")
    assert index is not None
    hidden = index.find_named(b"hidden")
    assert hidden is not None
    assert hidden.is_function
    found = index.find(hidden.address + 1)
    assert found == hidden
    assert {symbol.name: symbol.size for symbol in index.tls_symbols()} == {b"local_count": 4, b"shared_count": 8}
    assert index.find_named(b"no such name") is None
    assert index.find_named(b"") is None
    assert index.find_named(b"puts") is None  # not defined here


def entry(name: int, info: int, section: int, value: int, size: int) -> bytes:
    return (
        name.to_bytes(4, "little")
        + bytes((info, 0))
        + section.to_bytes(2, "little")
        + value.to_bytes(8, "little")
        + size.to_bytes(8, "little")
    )


def test_marks_are_no_symbols() -> None:
    """AAELF64: "$x" and "$d" say where code and data begin; the linker names a block of thread-local storage."""
    names = b"\0function\0$x\0$d\0_TLS_MODULE_BASE_\0counter\0"
    marks = [entry(10, 0x00, 1, 100 + 4 * place, 0) for place in range(300)]
    table = b"".join(
        [
            bytes(24),
            entry(1, 0x12, 1, 100, 2000),
            *marks,
            entry(13, 0x06, 2, 0, 0),  # $d of a thread-local section
            entry(16, 0x06, 2, 0, 0),
            entry(34, 0x16, 2, 0, 8),
        ]
    )
    index = SymbolIndex(memoryview(table), memoryview(names))
    found = index.find(1500)
    assert found
    assert found.name == b"function"
    assert [symbol.name for symbol in index.tls_symbols()] == [b"counter"]


def test_nested_and_unsized_symbols() -> None:
    names = b"\0outer\0inner\0label\0plain\0__plain\0"
    table = b"".join(
        [
            bytes(24),
            entry(1, 0x12, 1, 100, 100),  # outer [100, 200)
            entry(7, 0x12, 1, 120, 10),  # inner [120, 130)
            entry(13, 0x00, 1, 150, 0),  # label within outer
            entry(25, 0x12, 1, 300, 10),  # __plain
            entry(19, 0x22, 1, 300, 10),  # plain, weak, the same place
            entry(13, 0x00, 2, 400, 0),  # label of no size
        ]
    )
    index = SymbolIndex(memoryview(table), memoryview(names))

    def name_at(address: int) -> bytes | None:
        symbol = index.find(address)
        return symbol.name if symbol is not None else None

    assert [name_at(a) for a in (99, 100, 125, 130, 155, 199)] == [
        None,
        b"outer",
        b"inner",
        b"outer",
        b"outer",
        b"outer",
    ]
    assert name_at(200) == b"label"  # the caller must see that it lies in another section, or too far
    assert name_at(305) == b"plain"
    assert name_at(310) is None
    assert name_at(400) == b"label"


@pytest.mark.parametrize(
    "flags",
    [("-no-pie",), ("-fcf-protection=full", "-Wl,-z,now"), ("-fcf-protection=none", "-Wl,-z,lazy"), ("-static",)],
)
def test_plt_entries_are_those_of_objdump(tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = compile_source(tmp_path / "sample", flags)
    image = ElfImage(path.read_bytes())
    index, slots = parse_dynamic_symbols(image), parse_slot_symbols(image)
    ours = {}
    for address, size, slot in parse_plt_slots(image):
        assert size in (8, 16)
        symbol, addend = slots.get(slot, (0, 0))
        if symbol and index is not None:
            ours[address] = (index.name_at(symbol) or b"").decode() + "@plt"
        else:
            assert addend or "-static" not in flags
    text = subprocess.run(["objdump", "-d", str(path)], capture_output=True, text=True, check=True).stdout
    theirs = {int(address, 16): name for address, name in re.findall(r"^([0-9a-f]+) <(\w+@plt)>:", text, re.M)}
    assert theirs == {address: ours.get(address) for address in theirs}
    assert theirs or "-static" in flags


@settings(max_examples=300, deadline=None)
@given(strategies.binary(max_size=24 * 20), strategies.binary(max_size=100), strategies.integers(0, 1 << 64))
def test_any_table_can_be_asked(table: bytes, names: bytes, address: int) -> None:
    index = SymbolIndex(memoryview(table), memoryview(names))
    index.find(address)
    index.find_named(names[:4])
    assert len(list(index.tls_symbols())) <= len(index)


@settings(max_examples=300, deadline=None)
@given(damaged(sample()))
def test_damaged_files_can_be_asked(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        image = ElfImage(data)
        for index in (parse_dynamic_symbols(image), parse_section_symbols(image, ".symtab", ".strtab")):
            if index is not None:
                index.find(0x1100)
                index.find_named(b"main")
        list(parse_plt_slots(image))
        parse_slot_symbols(image)
