"""Names from every place that can hold them: the file, its debug file by build id or link, MiniDebugInfo, the PLT."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.elf_samples import compile_source
from tinspect.formats.elf import ElfImage
from tinspect.model.address import AddressRange
from tinspect.model.module import Module, ModuleTable
from tinspect.symbols.debug_files import open_debug_file, open_linked_file, open_mapped
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import SymbolTable, open_symbols

BIAS = 0x7F0000000000


class Files:
    """ModuleFiles over one directory that stands for the root."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def open_image(self, module: Module) -> memoryview | None:
        return open_mapped(self.root + module.path)

    def open_debug(self, build_id: str) -> memoryview | None:
        return open_debug_file(build_id, (self.root,))

    def open_debug_link(self, module: Module, name: str) -> memoryview | None:
        return open_linked_file(module.path, name, (self.root,))


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return compile_source(tmp_path / "bin" / "sample", ("-g", "-pie", "-fPIE"))


def table(program: Path, root: Path, build_id: str | None = None) -> tuple[SymbolTable, Module]:
    image = ElfImage(program.read_bytes())
    known = image.build_id if build_id is None else build_id
    module = Module("sample", "/bin/sample", BIAS, AddressRange(BIAS, BIAS + 0x10000), known, is_main=True)
    return open_symbols(ModuleTable([module]), ImageStore(Files(root))), module


def assert_hidden_is_named(symbols: SymbolTable, place: int) -> None:
    hit = symbols.find_symbol(BIAS + place + 3)
    assert hit is not None
    assert (hit.name, hit.offset, hit.address, hit.is_function) == ("hidden", 3, BIAS + place, True)
    assert symbols.find_address("hidden") == BIAS + place


def place_of_hidden(program: Path) -> int:
    text = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in text.splitlines() if line.endswith(" hidden"))


def test_own_symbols(program: Path, tmp_path: Path) -> None:
    symbols, module = table(program, tmp_path)
    assert_hidden_is_named(symbols, place_of_hidden(program))
    assert symbols.find_address("hidden", "sample") == symbols.find_address("hidden")
    assert symbols.find_address("hidden", "libc") is None
    assert symbols.find_symbol(module.range.high) is None
    line = symbols.find_line(BIAS + place_of_hidden(program))
    assert line is not None
    assert line.file.endswith("sample.c")


def test_debug_file_by_build_id(program: Path, tmp_path: Path) -> None:
    place, build_id = place_of_hidden(program), ElfImage(program.read_bytes()).build_id
    debug = tmp_path / "usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    debug.parent.mkdir(parents=True)
    run("objcopy", "--only-keep-debug", program, debug)
    run("strip", program)
    symbols, _ = table(program, tmp_path)
    assert_hidden_is_named(symbols, place)
    assert symbols.find_line(BIAS + place) is not None


def test_a_debug_file_of_another_build_is_not_believed(program: Path, tmp_path: Path) -> None:
    place, build_id = place_of_hidden(program), ElfImage(program.read_bytes()).build_id
    debug = tmp_path / "usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    debug.parent.mkdir(parents=True)
    compile_source(debug, ("-g", "-O3"))
    run("strip", program)
    symbols, _ = table(program, tmp_path)
    assert symbols.find_symbol(BIAS + place + 3) is None


@pytest.mark.parametrize("place", ["bin", "bin/.debug", "usr/lib/debug/bin"])
def test_debug_file_by_link(program: Path, tmp_path: Path, place: str) -> None:
    hidden = place_of_hidden(program)
    debug = tmp_path / place / "other.debug"
    debug.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", program, debug)
    run("objcopy", "--strip-all", "--remove-section=.note.gnu.build-id", f"--add-gnu-debuglink={debug}", program)
    symbols, _ = table(program, tmp_path)
    assert_hidden_is_named(symbols, hidden)
    debug.write_bytes(debug.read_bytes() + b"x")  # its checksum is another one now
    symbols, _ = table(program, tmp_path)
    assert symbols.find_symbol(BIAS + hidden + 3) is None


def test_mini_debug_information(program: Path, tmp_path: Path) -> None:
    hidden = place_of_hidden(program)
    mini = tmp_path / "mini"
    run("objcopy", "-S", "--remove-section=.gnu_debuglink", "-K", "hidden", program, mini)
    run("xz", mini)
    run("strip", program)
    run("objcopy", f"--add-section=.gnu_debugdata={mini}.xz", program)
    symbols, _ = table(program, tmp_path)
    assert_hidden_is_named(symbols, hidden)


def test_a_stripped_file_names_nothing_it_does_not_know(program: Path, tmp_path: Path) -> None:
    hidden = place_of_hidden(program)
    run("strip", program)
    symbols, _ = table(program, tmp_path)
    assert symbols.find_symbol(BIAS + hidden) is None


def test_a_file_of_another_build_is_not_believed(program: Path, tmp_path: Path) -> None:
    symbols, _ = table(program, tmp_path, build_id="00" * 20)
    assert symbols.find_symbol(BIAS + place_of_hidden(program)) is None


def test_calls_through_the_plt_are_named(program: Path, tmp_path: Path) -> None:
    text = subprocess.run(["objdump", "-d", str(program)], capture_output=True, text=True, check=True).stdout
    place = next(int(line.split()[0], 16) for line in text.splitlines() if line.endswith("<puts@plt>:"))
    symbols, _ = table(program, tmp_path)
    hit = symbols.find_symbol(BIAS + place + 4)
    assert hit is not None
    assert (hit.name, hit.offset) == ("puts@plt", 4)


def test_nothing_that_is_no_plain_file_is_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    for path in ("fifo", "empty", "missing", ""):
        assert open_mapped(tmp_path / path) is None
    assert open_debug_file("../../etc/passwd") is None
    assert open_debug_file("") is None
    assert open_linked_file("/bin/sample", "../x") is None
    assert open_linked_file("relative", "x") is None
