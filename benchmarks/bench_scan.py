"""Scan throughput against bare process_vm_readv of the same bytes, and against gdb and drgn where they are installed.

Run: python -m benchmarks.bench_scan [MEBIBYTES]. Every way runs over the same child, in turns; the best run counts.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from tinspect.native import _inspect

BLOCK = 256 << 10
TURNS = 5
STACK_LOW = 0x7F12_0000_0000
STACKS = [(STACK_LOW + index * (16 << 20), STACK_LOW + index * (16 << 20) + (8 << 20)) for index in range(1000)]


class IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def start_child(size: int, hits_per_mebibyte: int) -> tuple[int, int]:
    """Fork a child that holds `size` bytes with some words that point into STACKS; its pid and their address."""
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    generator = random.Random(3)
    part = bytearray(generator.randbytes(1 << 20))
    for _ in range(hits_per_mebibyte):
        low, high = generator.choice(STACKS)
        struct.pack_into("<Q", part, generator.randrange(0, 1 << 17) * 8, generator.randrange(low, high))
    for offset in range(0, size, 1 << 20):
        memory[offset : offset + (1 << 20)] = part
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        while True:
            signal.pause()  # its memory is all it is for
    return pid, address


def bare_read(pid: int, address: int, size: int) -> Callable[[], object]:
    """One system call per 256 MiB, every 256 KiB of it into the same buffer: what reading alone costs."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(BLOCK)

    def read() -> None:
        local = (IoVector * 1024)(*(IoVector(ctypes.addressof(buffer), BLOCK) for _ in range(1024)))
        for at in range(address, address + size, 1024 * BLOCK):
            length = min(1024 * BLOCK, address + size - at)
            remote = IoVector(at, length)
            got = libc.process_vm_readv(pid, local, length // BLOCK, ctypes.byref(remote), 1, 0)
            if got & 0xFFFFFFFF != length & 0xFFFFFFFF:
                raise OSError(ctypes.get_errno(), "process_vm_readv")

    return read


def scan(pid: int, address: int, size: int, threads: int, portable: bool = False) -> Callable[[], object]:
    return lambda: _inspect.scan_process(
        pid, [(address, address + size)], STACKS, limit=1 << 24, threads=threads, portable=portable
    )


def gdb_find(pid: int, address: int, size: int) -> Callable[[], object]:
    command = ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", f"find /g {address:#x}, +{size}, {STACK_LOW + 1:#x}"]
    return lambda: subprocess.run(command, capture_output=True, check=True)


def drgn_search(pid: int, address: int, size: int) -> Callable[[], object] | None:
    try:
        import drgn
    except ImportError:
        return None
    program = drgn.Program()
    program.set_pid(pid)

    def search() -> list[object]:
        found = program.search_memory_u64((STACKS[0][0], STACKS[-1][1] - 1))
        found.set_address_range(min_address=address, max_address=address + size - 1)
        return list(found)

    return search


def best(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Seconds of the fastest run of each, run in turns so that all see the same machine."""
    times = dict.fromkeys(ways, float("inf"))
    for _ in range(turns):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def main() -> None:
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 1024) << 20
    for hits in (0, 16, 8192):
        pid, address = start_child(size, hits)
        try:
            ways = {
                "process_vm_readv alone": bare_read(pid, address, size),
                "scan, one thread": scan(pid, address, size, 1),
                "scan, two threads": scan(pid, address, size, 2),
                "scan, portable, one thread": scan(pid, address, size, 1, portable=True),
            }
            times = best(ways, TURNS)
            others: dict[str, Callable[[], object]] = {}
            if hits == 16:
                if shutil.which("gdb"):
                    others["gdb find (one value)"] = gdb_find(pid, address, size)
                searcher = drgn_search(pid, address, size)
                if searcher:
                    others["drgn search_memory_u64 (one range)"] = searcher
                times |= best(others, 2)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        print(f"{size >> 20} MiB, {hits} hits per MiB, {len(STACKS)} target ranges")
        for name, seconds in times.items():
            ratio = times["process_vm_readv alone"] / seconds
            print(f"  {name:36} {size / seconds / 1e9:6.2f} GB/s  {ratio:6.1%} of reading alone")


if __name__ == "__main__":
    main()
