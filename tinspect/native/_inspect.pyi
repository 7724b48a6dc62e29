"""Stops, reads and scans another process. Hands over ints, bytes and tuples; imports nothing of tinspect."""

from collections.abc import Sequence

def read_memory(pid: int, address: int, size: int, /) -> bytes:
    """The bytes of [address, address + size) of a process that runs on.

    Raises OSError: EFAULT when not all of it can be read, ESRCH when the process (or its memory) is gone, EPERM without
    the right to trace it (process_vm_readv(2), ptrace(2) "Ptrace access mode checking").
    """

def read_ranges(pid: int, ranges: Sequence[tuple[int, int]], /) -> tuple[bytes | None, ...]:
    """The bytes of each (address, size), None where not all of a range can be read. Raises OSError ESRCH or EPERM."""
