"""Every way to scan finds the same words; ranges of a living process are scanned like its bytes."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import signal
import struct
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinspect.formats.word_scan import scan_words
from tinspect.native import _inspect

PAGE = mmap.PAGESIZE
BLOCK = 256 << 10
TOP = 2**64 - 1
Ranges = Sequence[tuple[int, int]]

addresses = st.one_of(st.integers(0, TOP), st.integers(0x7F00_0000_0000, 0x7F00_0000_4000), st.integers(TOP - 64, TOP))
range_lists = st.lists(
    st.tuples(addresses, st.integers(0, 4096)).map(lambda t: (t[0], min(t[0] + t[1], TOP))), max_size=8
)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[int, int]]]:
    """Bytes salted with values at and around the bounds of the ranges, at any offset."""
    ranges = draw(range_lists)
    data = bytearray(random.Random(draw(st.integers(0, 2**32))).randbytes(draw(st.integers(0, 700))))
    edges = [max(0, min(TOP, bound + delta)) for pair in ranges for bound in pair for delta in (-1, 0, 1)] or [0]
    for offset, value in draw(st.lists(st.tuples(st.integers(0, 700), st.sampled_from(edges)), max_size=24)):
        if offset + 8 <= len(data):
            struct.pack_into("<Q", data, offset, value)
    base = draw(st.one_of(st.integers(0, 2**47), st.integers(0, 64)))
    return bytes(data), base, ranges


def unpack(words: bytes) -> list[tuple[int, int]]:
    return list(struct.iter_unpack("<QQ", words))


@settings(max_examples=400, deadline=None)
@given(blocks(), st.booleans(), st.integers(0, 9))
def test_every_variant_finds_the_same_words(
    block: tuple[bytes, int, list[tuple[int, int]]], unaligned: bool, limit: int
) -> None:
    data, base, ranges = block
    expected = list(scan_words(data, base, ranges, unaligned))
    for portable in (False, True):
        words, further = _inspect.scan_bytes(data, base, ranges, unaligned=unaligned, portable=portable)
        assert (unpack(words), further) == (expected, 0)
        words, further = _inspect.scan_bytes(data, base, ranges, unaligned=unaligned, portable=portable, limit=limit)
        assert (unpack(words), further) == (expected[:limit], max(0, len(expected) - limit))


@pytest.mark.parametrize("unaligned", [False, True])
def test_the_fallback_agrees_with_a_search_word_by_word(unaligned: bool) -> None:
    generator = random.Random(7)
    data = bytes(5) + b"".join(
        generator.choice((500, 999, 1000, 1001, 1099, 1100, TOP)).to_bytes(8, "little") for _ in range(99)
    )
    base, ranges = 0x10003, [(1000, 1100), (500, 501), (700, 700)]
    expected = []
    for offset in range(len(data) - 7):
        value = int.from_bytes(data[offset : offset + 8], "little")
        if (unaligned or (base + offset) % 8 == 0) and any(low <= value < high for low, high in ranges):
            expected.append((base + offset, value))
    assert expected
    assert list(scan_words(data, base, ranges, unaligned)) == expected


@pytest.fixture
def arena() -> Iterator[tuple[mmap.mmap, int]]:
    """9 MiB of our own memory, so that a wave is cut in two, and its address."""
    memory = mmap.mmap(-1, 9 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    generator = random.Random(11)
    memory[:] = generator.randbytes(len(memory))
    view = ctypes.c_char.from_buffer(memory)
    yield memory, ctypes.addressof(view)
    del view


def salt(memory: mmap.mmap, targets: Ranges) -> None:
    generator = random.Random(13)
    offsets = [generator.randrange(0, len(memory) - 8) for _ in range(3000)]
    offsets += [edge + delta for edge in range(BLOCK, len(memory) - 8, BLOCK) for delta in (-8, -7, -4, -1, 0, 1, 8)]
    for offset in offsets:
        low, high = generator.choice(targets)
        struct.pack_into("<Q", memory, offset, generator.randrange(low, high))


@pytest.mark.parametrize("unaligned", [False, True])
@pytest.mark.parametrize("skew", [0, 3])
def test_a_process_is_scanned_like_its_bytes(arena: tuple[mmap.mmap, int], unaligned: bool, skew: int) -> None:
    memory, address = arena
    targets = [(0x7F12_0000_0000 + index * 0x10000, 0x7F12_0000_8000 + index * 0x10000) for index in range(40)]
    salt(memory, targets)
    middle = address + 5 * BLOCK + 12
    sources = [(middle, address + len(memory)), (address + skew, middle)]
    expected: list[tuple[int, int]] = []
    for low, high in sources:
        words, _ = _inspect.scan_bytes(
            memoryview(memory)[low - address : high - address], low, targets, unaligned=unaligned
        )
        expected += unpack(words)
    assert len(expected) > 300
    for threads in (1, 2):
        words, further, unreadable, read = _inspect.scan_process(
            os.getpid(), sources, targets, unaligned=unaligned, threads=threads
        )
        assert unpack(words) == expected
        assert (further, unreadable) == (0, ())
        assert read >= len(memory) - skew
        words, further, _, _ = _inspect.scan_process(
            os.getpid(), sources, targets, unaligned=unaligned, threads=threads, limit=100
        )
        assert (unpack(words), further) == (expected[:100], len(expected) - 100)


def test_pages_that_cannot_be_read_are_told_and_skipped(arena: tuple[mmap.mmap, int]) -> None:
    memory, address = arena
    target = 0x7F12_0000_0000
    for offset in range(0, len(memory), PAGE):
        struct.pack_into("<QQ", memory, offset, target, 0)
        struct.pack_into("<Q", memory, offset + PAGE - 8, target + 1)
    libc = ctypes.CDLL(None, use_errno=True)
    holes = [(0, 1), (5, 8), (100, 101), (1200, 1201), (len(memory) // PAGE - 1, len(memory) // PAGE)]
    for low, high in holes:
        assert libc.mprotect(ctypes.c_void_p(address + low * PAGE), (high - low) * PAGE, 0) == 0
    try:
        for unaligned in (False, True):
            words, _, unreadable, _ = _inspect.scan_process(
                os.getpid(), [(address, address + len(memory))], [(target, target + 2)], unaligned=unaligned
            )
            assert unreadable == tuple((address + low * PAGE, address + high * PAGE) for low, high in holes)
            in_holes = {page for low, high in holes for page in range(low, high)}
            pages = [page for page in range(len(memory) // PAGE) if page not in in_holes]
            assert [a for a, _ in unpack(words)] == [
                address + page * PAGE + offset for page in pages for offset in (0, PAGE - 8)
            ]
    finally:
        for low, high in holes:
            assert libc.mprotect(ctypes.c_void_p(address + low * PAGE), (high - low) * PAGE, 3) == 0


def test_small_sources_are_read_together(arena: tuple[mmap.mmap, int]) -> None:
    memory, address = arena
    sources = [
        (address + at, address + at + size) for at, size in zip(range(0, 8 << 20, 2048), range(4096), strict=True)
    ]
    targets = [(0, 2**62)]
    expected: list[tuple[int, int]] = []
    for low, high in sources:
        words, _ = _inspect.scan_bytes(memoryview(memory)[low - address : high - address], low, targets)
        expected += unpack(words)
    words, _, unreadable, _ = _inspect.scan_process(os.getpid(), sources, targets)
    assert unpack(words) == expected
    assert unreadable == ()


def test_what_cannot_be_scanned_is_an_error() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # a zombie has no memory
    with pytest.raises(ProcessLookupError):
        _inspect.scan_process(pid, [(0x400000, 0x401000)], [(0, 10)])
    os.waitpid(pid, 0)
    with pytest.raises(ValueError, match="ends before it begins"):
        _inspect.scan_bytes(b"", 0, [(2, 1)])
    with pytest.raises(OverflowError):
        _inspect.scan_bytes(b"", -1, [(1, 2)])
    with pytest.raises(ValueError, match="threads"):
        _inspect.scan_process(os.getpid(), [], [], threads=3)


def test_ctrl_c_ends_a_long_scan() -> None:
    memory = mmap.mmap(-1, 256 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    view = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(view)
    source = (address, address + len(memory))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))

    def scan() -> None:
        timer.start()
        _inspect.scan_process(os.getpid(), [source] * 4096, [(1, 2)])

    with pytest.raises(KeyboardInterrupt):
        scan()
    timer.join()
    del view
