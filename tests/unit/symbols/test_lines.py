"""Line numbers and inlined functions against gdb's; any bytes for a program."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from tests.support.elf_samples import compile_source, damaged, sample
from tinspect.errors import FormatError
from tinspect.formats.dwarf_aranges import parse_aranges
from tinspect.formats.dwarf_lines import LineHeader, find_row
from tinspect.formats.elf import ElfImage
from tinspect.symbols.dwarf_file import DwarfFile
from tinspect.symbols.functions import FunctionIndex
from tinspect.symbols.lines import find_source_line
from tinspect.symbols.variables import FrameValues, find_local, find_thread_locals

SOURCE = """
static inline __attribute__((always_inline)) int innermost(int n) {
    volatile int kept = n;
    return kept * 2;
}
static inline __attribute__((always_inline)) int inner(int n) {
    return innermost(n) + 1;
}
__attribute__((noinline)) int outer(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += inner(i);
    return sum;
}
int main(int argc, char **argv) {
    (void)argv;
    return outer(argc);
}
"""


@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
def test_lines_and_inlined_functions_are_those_of_gdb(tmp_path: Path, version: int, optimise: str) -> None:
    path = compile_source(tmp_path / "lines", ("-g", f"-gdwarf-{version}", optimise), SOURCE)
    image = ElfImage(path.read_bytes())
    dwarf = DwarfFile(image)
    functions = FunctionIndex(dwarf)
    text = image.find_section(".text")
    assert text is not None
    addresses = range(text.address, text.address + text.size)
    expected = ask_gdb(path, addresses)
    known = 0
    for address, (names, file, line) in zip(addresses, expected, strict=True):
        found = find_source_line(dwarf, functions, address)
        if not line:
            assert found is None or found.line == 0, hex(address)
            continue
        known += 1
        assert found is not None, hex(address)
        assert (found.file, found.line) == (file, line), hex(address)
        assert list(found.inlined) == names[:-1], hex(address)
    assert known > 20


SCRIPT = """
import json
def names(address):
    block = gdb.block_for_pc(address)
    while block is not None and not block.is_global:
        if block.function is not None:
            yield block.function.name
        block = block.superblock
def place(address):
    found = gdb.find_pc_line(address)
    return [list(names(address)), found.symtab.fullname() if found.symtab else "", found.line]
print("LINES " + json.dumps([place(address) for address in range(LOW, HIGH)]))
"""


def ask_gdb(path: Path, addresses: range) -> list[tuple[list[str], str, int]]:
    """For each address the functions, innermost first, and the innermost file and line."""
    script = path.with_suffix(".py")
    script.write_text(SCRIPT.replace("LOW", str(addresses.start)).replace("HIGH", str(addresses.stop)))
    command = ["gdb", "-nx", "-batch", str(path), "-x", str(script)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("LINES "))
    return [tuple(item) for item in json.loads(line.removeprefix("LINES "))]


HEADER = LineHeader(1, 1, -5, 14, 13, (0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))


@settings(max_examples=300, deadline=None)
@given(strategies.binary(max_size=300), strategies.integers(0, 1 << 40))
def test_any_program_ends(program: bytes, address: int) -> None:
    with contextlib.suppress(FormatError):
        find_row(memoryview(program), HEADER, address)


@settings(max_examples=300, deadline=None)
@given(strategies.binary(max_size=300))
def test_any_ranges_can_be_walked(data: bytes) -> None:
    parse_aranges(memoryview(data)).find(100)


def debug_area(data: bytes) -> tuple[int, int]:
    sections = [s for s in ElfImage(data).sections if s.name.startswith(".debug")]
    return min(s.offset for s in sections), max(s.offset + s.size for s in sections)


@settings(max_examples=100, deadline=None)
@given(damaged(sample("-g", "-O1"), *debug_area(sample("-g", "-O1"))))
def test_damaged_debug_information_raises_nothing_else(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        image = ElfImage(data)
        dwarf = DwarfFile(image)
        if dwarf.has_info:
            for pc in range(0x1040, 0x1240, 64):
                find_source_line(dwarf, FunctionIndex(dwarf), pc)


@settings(max_examples=100, deadline=None)
@given(damaged(sample("-g", "-O1"), *debug_area(sample("-g", "-O1"))))
def test_damaged_descriptions_of_variables_raise_nothing_else(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        dwarf = DwarfFile(ElfImage(data))
        for variable in find_thread_locals(dwarf):
            variable.type.render(bytes(range(1, 65)))
        for pc in range(0x1130, 0x1200, 16):
            with contextlib.suppress(FormatError):
                find_local(dwarf, FunctionIndex(dwarf), pc, FrameValues(0x1000, {6: 0xFF0, 7: 0xF00}), 0xFD4)
