"""Thread-local storage blocks, variables and exit functions, against &variable in every thread, on every libc of the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.libc_snapshot import ReadLibc, read_libc
from tests.support.libcs import BUILDS, LibcBuild, build_library
from tinspect.analyses import tls_variables
from tinspect.analyses.tls_variables import AllStorage, NamedBytes
from tinspect.libc.glibc.exit_destructors import find_list_offset
from tinspect.model.module import Module
from tinspect.symbols.images import ImageStore
from tinspect.symbols.module_symbols import ModuleSymbols

SIZES = {
    "executable_counter": 4,
    "executable_numbers": 32,
    "needed_counter": 4,
    "needed_buffer": 100,
    "opened_counter": 4,
}
VALUES = {"executable_counter": 0, "needed_counter": 2, "opened_counter": 3}  # set to tid + this


def arguments(build: LibcBuild) -> tuple[str, ...]:
    if build.static or build.why_missing():
        return ()
    return (str(build_library(build, "tls_opened")),)


def analyze(read: ReadLibc) -> AllStorage:
    images = ImageStore(read.process.files)

    def variables_of(module: Module) -> list[NamedBytes]:
        symbols = ModuleSymbols(images, module).tls_symbols()
        return [NamedBytes(symbol.name.decode(), symbol.address, symbol.size) for symbol in symbols]

    return tls_variables.analyze(read.context, variables_of)


@pytest.mark.parametrize("build", [build for build in BUILDS if not build.stripped], ids=str)
def test_variables_are_where_they_say(build: LibcBuild) -> None:
    with read_libc(build, "tls_vars", *arguments(build)) as read:
        storage = analyze(read)
        assert storage.gaps == ()
        said = read.said("variable")
        assert {line["name"] for line in said} == {
            name for name in SIZES if not build.static or name.startswith("executable")
        }
        for line in said:
            found = {v.name: v for v in storage.threads[line["tid"]].variables}[line["name"]]
            assert found.address == line["address"]
            assert found.size == SIZES[line["name"]]
            assert found.data is not None  # it was planned, so it is in the snapshot
            if line["name"] in VALUES:
                assert int.from_bytes(found.data, "little") == line["tid"] + VALUES[line["name"]]


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_blocks_hold_the_variables_of_their_module(build: LibcBuild) -> None:
    modules = {"executable": "tls_vars", "needed": "libtls_needed.so", "opened": "libtls_opened.so"}
    with read_libc(build, "tls_vars", *arguments(build)) as read:
        storage = analyze(read)
        for line in read.said("variable"):
            blocks = storage.threads[line["tid"]].blocks
            holders = [Path(b.module).name for b in blocks if b.range is not None and line["address"] in b.range]
            assert holders == [modules[line["name"].partition("_")[0]]]


@pytest.mark.parametrize("build", [build for build in BUILDS if not build.static], ids=str)
def test_a_block_that_was_never_touched(build: LibcBuild) -> None:
    """glibc allocates the block of a library loaded late when a thread first uses it; musl gives it to all threads at once."""
    with read_libc(build, "tls_vars", *arguments(build)) as read:
        (line,) = read.said("untouched")
        blocks = analyze(read).threads[line["tid"]].blocks
        (block,) = [block for block in blocks if block.module.endswith("/libtls_opened.so")]
        assert (block.range is None) == (build.family == "glibc")


@pytest.mark.parametrize("build", [build for build in BUILDS if build.family == "glibc" and not build.static], ids=str)
def test_exit_functions_are_read_in_the_order_they_will_run(build: LibcBuild) -> None:
    with read_libc(build, "tls_vars", *arguments(build)) as read:
        assert read.said("exit")
        storage = analyze(read)
        for line in read.said("exit"):
            found = storage.threads[line["tid"]].destructors
            assert [entry.function for entry in found] == line["functions"]
            assert [entry.argument for entry in found] == line["arguments"]
            assert [entry.symbol for entry in found] == ["at_exit_second", "at_exit_first"]


@pytest.mark.parametrize("build", [build for build in BUILDS if build.family == "glibc" and not build.static], ids=str)
def test_the_exit_list_is_the_symbol_that_debug_information_names(build: LibcBuild) -> None:
    with read_libc(build, "tls_vars", *arguments(build)) as read:
        libc = next(m for m in read.snapshot.modules if m.name.startswith(("libc.so", "libc-2")))
        offset = find_list_offset(read.process, read.symbols, libc)
        assert offset is not None
        named = {s.name: s.address for s in ModuleSymbols(ImageStore(read.process.files), libc).tls_symbols()}
        if b"tls_dtor_list" not in named:
            pytest.skip("libc6-dbg is not installed: the symbol was not compared")
        (block,) = [b for b in analyze(read).threads[read.process.pid].blocks if b.module == libc.path]
        assert block.range is not None
        pointer = read.snapshot.threads[0].thread_pointer
        assert pointer is not None
        assert block.range.low + named[b"tls_dtor_list"] == pointer + offset
