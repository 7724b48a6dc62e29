"""Words that point into given ranges, found in plain Python: what `_inspect.scan_bytes` does, without the extension."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

WORD = 8


def scan_words(
    data: bytes | bytearray | memoryview, base: int, ranges: Iterable[tuple[int, int]], unaligned: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield (address, value) of every little-endian 8-byte word of `data` whose value lies in one of `ranges`.

    `base` is the address of the first byte; `ranges` are half-open (low, high) pairs in any order. Only words at
    addresses that are a multiple of 8 count, unless `unaligned`. A word must lie wholly within `data`.
    """
    targets = merge_ranges(ranges)
    if not targets:
        return
    lows = [low for low, _ in targets]
    lowest, highest = lows[0], targets[-1][1]
    for address, value in _words(memoryview(data).cast("B"), base, unaligned):
        if lowest <= value < highest and value < targets[bisect_right(lows, value) - 1][1]:
            yield address, value


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """Sort half-open ranges, drop empty ones and join those that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for pair in ranges if pair[0] < pair[1]):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _words(data: memoryview, base: int, unaligned: bool) -> Iterator[tuple[int, int]]:
    if unaligned:
        for offset in range(len(data) - WORD + 1):
            yield base + offset, int.from_bytes(data[offset : offset + WORD], "little")
        return
    first = -base % WORD
    count = max(len(data) - first, 0) // WORD
    words = struct.iter_unpack("<Q", data[first : first + count * WORD])
    yield from zip(range(base + first, base + first + count * WORD, WORD), (word for (word,) in words), strict=True)
