"""Stops, reads and scans another process. Hands over ints, bytes and tuples; imports nothing of tinspect."""

from collections.abc import Sequence
from typing_extensions import Buffer

def read_memory(pid: int, address: int, size: int, /) -> bytes:
    """The bytes of [address, address + size) of a process that runs on.

    Raises OSError: EFAULT when not all of it can be read, ESRCH when the process (or its memory) is gone, EPERM without
    the right to trace it (process_vm_readv(2), ptrace(2) "Ptrace access mode checking").
    """

def read_ranges(pid: int, ranges: Sequence[tuple[int, int]], /) -> tuple[bytes | None, ...]:
    """The bytes of each (address, size), None where not all of a range can be read. Raises OSError ESRCH or EPERM."""

def page_states(
    pid: int, ranges: Sequence[tuple[int, int]], *, use_ioctl: bool = True
) -> tuple[tuple[int, int, int], ...]:
    """Runs of pages in equal state within the (low, high) ranges, as (low, high, flags). Touches no page.

    Flags: 1 present, 2 swapped out, 4 guard (MADV_GUARD_INSTALL), 8 the shared zero page (told by the ioctl alone), 16
    of a file or shared memory, 32 swapped out or a guard (Linux 6.13 and 6.14 have guards and don't tell). A page in no
    run was never touched, or is not mapped. `pid` may be any living thread's id. Source: ioctl PAGEMAP_SCAN (Linux 6.7,
    guards 6.16) where it tells all, else /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst; guards 6.15).

    Raises OSError: ESRCH when the process is gone, EACCES or EPERM without the right to trace it, E2BIG beyond 2^21 runs.
    """

def scan_process(
    pid: int,
    source_ranges: Sequence[tuple[int, int]],
    target_ranges: Sequence[tuple[int, int]],
    *,
    unaligned: bool = False,
    limit: int = 1048576,
    threads: int = 2,
    portable: bool = False,
) -> tuple[bytes, int, tuple[tuple[int, int], ...], int]:
    """Every 8-byte word in the source ranges whose value falls into a target range; all ranges are (low, high).

    Returns (words, further, unreadable, bytes_read). `words` packs (address, value) as two native uint64 each, in the
    order of the sources; beyond `limit` words the rest, `further`, is only counted. `unreadable` are the parts of the
    sources that could not be read, page by page. No word spans two sources; only words at multiples of 8 count unless
    `unaligned`. `portable` refuses vector code. The process is not stopped, and reading faults in what was never touched:
    pass what page_states calls present or swapped out. `pid` may be any living thread's id.

    Raises OSError: ESRCH when the process is gone, EPERM without the right to trace it (process_vm_readv(2)).
    """

def scan_bytes(
    buffer: Buffer,
    base_address: int,
    target_ranges: Sequence[tuple[int, int]],
    *,
    unaligned: bool = False,
    limit: int = 1048576,
    portable: bool = False,
) -> tuple[bytes, int]:
    """The same over bytes that the target keeps at `base_address`: (words, further)."""
