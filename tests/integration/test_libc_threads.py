"""Every thread's stack, guard and start routine, against what pthread_getattr_np said in that thread, on every libc of the matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.libc_snapshot import ReadLibc, read_libc
from tests.support.libcs import BUILDS, LibcBuild, running
from tests.support.stopped_process import StoppedProcess
from tinspect.libc.detect import detect_libc
from tinspect.libc.glibc.house import Glibc
from tinspect.libc.glibc.stack_fields import TABLE, find_by_disassembly, find_by_dwarf
from tinspect.libc.layout_cache import LayoutCache
from tinspect.model.address import AddressRange
from tinspect.model.source import Source
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import open_symbols

GLIBC = [build for build in BUILDS if build.family == "glibc"]
SHARED_GLIBC = [build for build in GLIBC if not build.static]
VERSIONS = {"glibc-bullseye": "2.31", "glibc-trixie": "2.41"}


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_threads_are_what_they_say(build: LibcBuild) -> None:
    with read_libc(build, "threads_truth") as read:
        said = read.said("thread")
        assert set(read.threads.descriptors) == {line["tid"] for line in said}
        for line in said:
            found = read.threads.descriptors[line["tid"]]
            assert found.address == line["pthread"]
            assert found.is_main == (line["name"] == "main")
            assert found.bounds is not None
            assert (found.bounds.range.low, found.bounds.range.high) == (line["low"], line["high"]), line["name"]
            assert (found.start_routine or 0, found.start_argument or 0) == (line["start"], line["argument"])
            if line["name"] == "main":
                assert found.bounds.source is (Source.RLIMIT if build.family == "glibc" else Source.MAPS)
                assert found.stack_block is None
            else:
                check_guard(build, read, line["name"], line["tid"], line["guard"])


def check_guard(build: LibcBuild, read: ReadLibc, name: str, tid: int, reported: int) -> None:
    found = read.threads.descriptors[tid]
    assert found.bounds is not None
    assert found.stack_block is not None
    assert found.reported_guard_size == reported
    # A stripped static glibc has no list that tells whose stacks are the user's; its guard size is 0 all the same.
    assert found.user_stack == (name == "user" and not (build.family == "glibc" and build.stripped))
    if name in ("user", "no guard"):
        assert found.guard is None
        return
    assert found.guard is not None
    assert found.guard.high == found.bounds.range.low
    assert found.guard.low == found.stack_block.low
    assert found.guard.size == reported
    # The kernel agrees where guards are mappings of their own (glibc until 2.41, musl).
    mapping = read.snapshot.mappings.find(found.guard.low)
    assert mapping is not None
    if mapping.range == found.guard:
        assert mapping.permissions.startswith("---")


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_threads_of_nobody_are_left_out(build: LibcBuild) -> None:
    with read_libc(build, "threads_truth") as read:
        raw = {line["tid"] for line in read.said("raw")}
        assert raw
        assert not raw & set(read.threads.descriptors)
        assert raw <= {thread.tid for thread in read.snapshot.threads}
        assert not [gap for gap in read.threads.gaps if gap.tid is not None]


@pytest.mark.parametrize("build", GLIBC, ids=str)
def test_stacks_of_finished_threads(build: LibcBuild) -> None:
    with read_libc(build, "threads_truth") as read:
        if build.stripped:
            assert not read.threads.cached
            assert "cached_stacks" in {gap.what for gap in read.threads.gaps}
            return
        finished = {line["low"] for line in read.said("finished")}
        living = {line["low"] for line in read.said("thread")}
        cached = {stack.range.low + stack.guard_size for stack in read.threads.cached}
        assert cached
        assert cached == finished - living


@pytest.mark.parametrize("build", SHARED_GLIBC, ids=str)
def test_three_ways_to_learn_the_stack_fields_agree(build: LibcBuild) -> None:
    with read_libc(build, "threads_truth") as read:
        assert read.libc.info.version == VERSIONS.get(build.folder, read.libc.info.version) != ""
        name = "libpthread" if build.folder == "glibc-bullseye" else "libc"
        module = next(m for m in read.snapshot.modules if m.name.startswith((f"{name}-2", f"{name}.so")))
        by_code = find_by_disassembly(read.process.architecture, read.process.memory, read.symbols, module.name)
        assert by_code == TABLE["x86_64"]
        by_dwarf = find_by_dwarf(read.process.files, module)
        if by_dwarf is None:
            pytest.skip("libc6-dbg is not installed: debug information was not compared")
        assert by_dwarf == by_code
        assert read.libc.info.layout_source == "dwarf"


@pytest.mark.parametrize("build", SHARED_GLIBC, ids=str)
def test_without_debug_information_the_code_tells(build: LibcBuild) -> None:
    why = build.why_missing()
    if why:
        pytest.skip(why)
    with running(build, "threads_truth") as (pid, lines), StoppedProcess(pid, ("/nowhere",)) as process:
        libc = detect_libc(process, open_symbols(process.modules, ImageStore(process.files)))
        assert isinstance(libc, Glibc)
        assert libc.info.layout_source == "disassembly"
        found = libc.read_threads(process.capture(libc.capture_plan()))
        said = {line["tid"]: line["low"] for line in lines if line["kind"] == "thread"}
        assert {tid: d.bounds.range.low for tid, d in found.descriptors.items() if d.bounds} == said


@pytest.mark.parametrize("build", [build for build in BUILDS if build.stripped], ids=str)
def test_stripped_programs_before_the_stop(build: LibcBuild) -> None:
    """No thread pointer is known before the stop: the initial thread's descriptor is searched for."""
    why = build.why_missing()
    if why:
        pytest.skip(why)
    with running(build, "threads_truth") as (pid, lines), StoppedProcess(pid) as process:
        full = process.threads
        process.threads = tuple(replace(thread, thread_pointer=None, registers=None) for thread in full)
        libc = detect_libc(process, open_symbols(process.modules, ImageStore(process.files)))
        assert libc is not None
        assert libc.info.name == build.family
        process.threads = full
        found = libc.read_threads(process.capture(libc.capture_plan()))
        assert set(found.descriptors) == {line["tid"] for line in lines if line["kind"] == "thread"}


@pytest.mark.parametrize("build", [BUILDS[0], BUILDS[2]], ids=str)
def test_lists_find_threads_without_thread_pointers(build: LibcBuild) -> None:
    with read_libc(build, "threads_truth") as read:
        blind = replace(
            read.snapshot, threads=tuple(replace(thread, thread_pointer=None) for thread in read.snapshot.threads)
        )
        assert read.libc.read_threads(blind).descriptors == read.threads.descriptors


def test_what_was_learnt_is_remembered(tmp_path: Path) -> None:
    build = BUILDS[0]
    with read_libc(build, "threads_truth") as read:
        cache = LayoutCache(tmp_path)
        first = detect_libc(read.process, read.symbols, cache)
        assert first is not None
        module = next(m for m in read.process.modules if m.name == "libc.so.6")
        assert cache.find(module.build_id) is not None
        # The debug file is not opened again, and the word for the source stays.
        read.process.files.roots = ("/nowhere",)
        second = detect_libc(read.process, open_symbols(read.process.modules, ImageStore(read.process.files)), cache)
        assert second is not None
        assert second.info == first.info
        # A wrong memory is proved wrong on the target, and what is right is found again.
        cache.store(module.build_id, "dwarf", (0x100, 0x108, 0x110, 0x118))
        third = detect_libc(read.process, open_symbols(read.process.modules, ImageStore(read.process.files)), cache)
        assert third is not None
        assert third.info.layout_source == "disassembly"


@pytest.mark.parametrize("build", [b for b in BUILDS if not b.stripped and not b.static], ids=str)
def test_a_program_with_one_thread(build: LibcBuild) -> None:
    with read_libc(build, "single_truth") as read:
        (line,) = read.said("main")
        (found,) = read.threads.descriptors.values()
        assert found.is_main
        assert found.bounds is not None
        assert line["local"] in found.bounds.range
        assert found.bounds.range.high - line["local"] < 1 << 20
        keys, _ = read.libc.read_keys(read.snapshot)
        assert keys == ()


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_own_pointers_are_words_that_point_where_libc_says(build: LibcBuild) -> None:
    with read_libc(build, "threads_truth") as read:
        pointers = read.libc.own_pointers(read.snapshot, read.threads)
        addresses = {descriptor.address for descriptor in read.threads.descriptors.values()}
        by_origin: dict[str, set[int]] = {}
        for pointer in pointers:
            assert pointer.address is not None
            if not read.process.memory.readable(AddressRange.sized(pointer.address, 8)):
                continue
            word = int.from_bytes(read.process.memory.read(pointer.address, 8), "little")
            by_origin.setdefault(pointer.origin, set()).add(word)
        arguments = {line["argument"] for line in read.said("thread")} - {0}
        assert arguments <= by_origin["start argument"]
        # Every descriptor but the one a list begins with is reached by another's link.
        links = by_origin["thread list"]
        assert sum(any(abs(word - address) < 4096 for word in links) for address in addresses) == len(addresses)
