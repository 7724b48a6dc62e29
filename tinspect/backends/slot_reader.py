"""Records that their writers may rewrite at any moment, copied so that each is as it was at one: for captures without a stop.

The reader's side of a sequence lock (docs/internals/registry-format.md, "Reading it"): sequence, record, sequence, in separate reads.
A record is proved by the same even number before and after. One that never comes to rest keeps an odd number, a number it had during the
read: by its own format it is being written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from tinspect.target.plan import SlotGroup, SlotTable

ReadRanges = Callable[[Sequence[tuple[int, int]]], Sequence[bytes | None]]
"""Reads each (address, size) in a read of its own, in the order given; None for what cannot be read."""

# A record is written within a microsecond; whoever was put off the CPU in the middle of it gets about 20 ms to come back.
_ATTEMPTS = 20
_PATIENCE = 0.0001  # s, more with each attempt
# A program that keeps a million of them odd must not keep us: so many are tried again at most.
_MOST_RETRIES = 1 << 16
_SEQUENCE_SIZE, _EPOCH_SIZE = 4, 8


def read_slots(groups: Iterable[SlotGroup], read: ReadRanges) -> Iterator[tuple[int, bytes]]:
    """The groups' heads and tables as (address, bytes); what cannot be read is left out. A head whose epoch moved while its tables were
    read gets an odd one. Raises what ``read`` raises."""
    for group in groups:
        (head,) = read([(group.head.low, group.head.size)])
        for table in group.tables:
            yield from _read_table(table, read)
        (epoch,) = read([(group.epoch, _EPOCH_SIZE)])
        if head is not None and epoch is not None:
            at = group.epoch - group.head.low
            yield group.head.low, head if head[at : at + _EPOCH_SIZE] == epoch else _with_odd(head, at, _EPOCH_SIZE)


def _read_table(table: SlotTable, read: ReadRanges) -> Iterator[tuple[int, bytes]]:
    area = (table.address, table.range.size)
    before, data, after = read([area, area, area])
    if before is None or data is None or after is None:
        return
    copies = {
        index: data[at : at + table.stride]
        for index, at in enumerate(range(0, len(data), table.stride))
        if not _is_at_rest(before, after, at)
    }
    settled = dict(_try_again(table, copies, read))
    result = bytearray(data)
    for index, slot in settled.items():
        result[index * table.stride : (index + 1) * table.stride] = slot
    yield table.address, bytes(result)


def _try_again(table: SlotTable, copies: dict[int, bytes], read: ReadRanges) -> Iterator[tuple[int, bytes]]:
    """The slots of ``copies``, none of which was at rest, each as it was when it was, or with an odd sequence."""
    tries = min(_ATTEMPTS, _MOST_RETRIES // max(len(copies), 1))
    for attempt in range(tries):
        if not copies:
            return
        time.sleep(_PATIENCE * attempt)
        for index in tuple(copies):
            at = table.address + index * table.stride
            before, slot, after = read([(at, _SEQUENCE_SIZE), (at, table.stride), (at, _SEQUENCE_SIZE)])
            if before is None or slot is None or after is None:
                continue
            copies[index] = slot
            if _is_at_rest(before, after, 0):
                yield index, copies.pop(index)
    for index, slot in copies.items():
        yield index, _with_odd(slot, 0, _SEQUENCE_SIZE)


def _is_at_rest(before: bytes, after: bytes, at: int) -> bool:
    """Whether the sequence number at ``at`` is even, and the same in both copies."""
    return not before[at] & 1 and before[at : at + _SEQUENCE_SIZE] == after[at : at + _SEQUENCE_SIZE]


def _with_odd(data: bytes, at: int, size: int) -> bytes:
    number = int.from_bytes(data[at : at + size], "little") | 1
    return data[:at] + number.to_bytes(size, "little") + data[at + size :]
