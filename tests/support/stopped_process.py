"""A stopped process and the plan of a capture carried out word by word: for tests of libc without a backend.

The snapshot holds only what the plan names, the live stacks, and the read-only parts of files: what a reader forgot to plan is missing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.support.live_process import LiveFiles, LiveProcess
from tinspect.arch import Architecture
from tinspect.arch.x86_64 import X86_64
from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange, merged
from tinspect.model.mapping import MappingTable
from tinspect.model.module import ModuleTable
from tinspect.model.registers import RegisterSet
from tinspect.model.thread import Exactness, Thread
from tinspect.symbols.debug_files import open_debug_file
from tinspect.target.memory import LayeredMemory, MemoryReader, SegmentMemory, find_word
from tinspect.target.plan import CapturePlan, LinkedList, ThreadChain, ThreadTable
from tinspect.target.target import ProcessFacts, Snapshot, TargetKind

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long
_GETREGS, _DETACH, _SEIZE, _INTERRUPT = 12, 17, 0x4206, 0x4207
_WALL = 0x40000000


def _ptrace(request: int, tid: int, data: ctypes.Array[ctypes.c_char] | None = None) -> None:
    if _LIBC.ptrace(request, tid, None, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class RootedFiles(LiveFiles):
    """ModuleFiles that find debug files below other roots too."""

    roots: tuple[str, ...] = ("",)

    def open_debug(self, build_id: str) -> bytes | memoryview | None:
        return open_debug_file(build_id, self.roots)


class StoppedProcess:
    """``pid`` with every thread stopped, as a Target; a context manager that lets it go."""

    kind = TargetKind.LIVE

    def __init__(self, pid: int, debug_roots: Iterable[str] = ("",)) -> None:
        self.pid = pid
        self._tids: list[int] = []
        for tid in sorted(int(name.name) for name in Path(f"/proc/{pid}/task").iterdir()):
            _ptrace(_SEIZE, tid)
            self._tids.append(tid)
            _ptrace(_INTERRUPT, tid)
            os.waitpid(tid, _WALL)
        self.process = LiveProcess(pid)
        self.files = RootedFiles(self.process.memory)
        self.files.roots = tuple(debug_roots)
        self.threads = tuple(self._thread(tid) for tid in self._tids)

    def __enter__(self) -> StoppedProcess:
        return self

    def __exit__(self, *_: object) -> None:
        for tid in self._tids:
            _ptrace(_DETACH, tid)
        self.process.memory.close()

    def _thread(self, tid: int) -> Thread:
        buffer = ctypes.create_string_buffer(X86_64.registers.size)
        _ptrace(_GETREGS, tid, buffer)
        registers: RegisterSet = X86_64.registers.parse(buffer.raw)
        name = Path(f"/proc/{self.pid}/task/{tid}/comm").read_text().rstrip("\n")
        return Thread(
            tid,
            name,
            "sleeping",
            tid == self.pid,
            registers=registers,
            thread_pointer=registers.get("fs_base"),
            exactness=Exactness.STOPPED,
        )

    @property
    def architecture(self) -> Architecture:
        return X86_64

    @property
    def facts(self) -> ProcessFacts:
        auxv = dict(struct.iter_unpack("<QQ", Path(f"/proc/{self.pid}/auxv").read_bytes()))
        limit = resource.prlimit(self.pid, resource.RLIMIT_STACK)[0]
        return ProcessFacts(self.pid, str(Path(f"/proc/{self.pid}/exe").readlink()), auxv, limit)

    @property
    def memory(self) -> MemoryReader:
        return self.process.memory

    @property
    def mappings(self) -> MappingTable:
        return self.process.mappings

    @property
    def modules(self) -> ModuleTable:
        return self.process.modules

    def capture(self, plan: CapturePlan) -> Snapshot:
        """Copies what ``plan`` names."""
        wanted = merged(part for item in self._ranges(plan) for part in self.memory.readable(item))
        segments = list(self._copies(wanted))
        constants = [m.range for m in self.mappings if m.is_file and m.is_readable and not m.is_writable]
        pieces = list(self._copies(merged(constants)))
        return Snapshot(
            self.kind,
            self.architecture,
            self.facts,
            LayeredMemory((SegmentMemory(segments), SegmentMemory(pieces))),
            self.mappings,
            self.modules,
            self.files,
            self.threads,
        )

    def _copies(self, wanted: Iterable[AddressRange]) -> Iterator[tuple[int, bytes]]:
        for part in wanted:
            # The maps call [vvar] readable, and files that were cut short: neither can be read.
            with suppress(MemoryUnreadable):
                yield part.low, self.memory.read(part.low, part.size)

    def _ranges(self, plan: CapturePlan) -> Iterator[AddressRange]:
        yield from plan.fixed
        for entry in plan.lists:
            yield from self._list(entry)
        for thread in self.threads:
            pointer = thread.thread_pointer
            assert pointer is not None
            yield from (AddressRange.sized(pointer + offset, size) for offset, size in plan.thread_relative)
            for table in plan.thread_tables:
                yield from self._table(table, pointer)
            for chain in plan.thread_chains:
                yield from self._chain(chain, pointer)

    def _list(self, entry: LinkedList) -> Iterator[AddressRange]:
        node = find_word(self.memory, entry.head)
        for _ in range(entry.limit):
            if not node or node == entry.head:
                return
            low = node - entry.link_offset + entry.record_offset
            yield AddressRange.sized(low, entry.record_size)
            node = find_word(self.memory, node)

    def _table(self, table: ThreadTable, pointer: int) -> Iterator[AddressRange]:
        for index in range(table.count):
            place = find_word(self.memory, pointer + table.offset + 8 * index)
            if not place:
                continue
            yield AddressRange.sized(place - table.before, table.size)
            for offset, size in table.inner:
                inner = find_word(self.memory, place + offset)
                if inner and inner + size < 1 << 63:
                    yield AddressRange.sized(inner, size)

    def _chain(self, chain: ThreadChain, pointer: int) -> Iterator[AddressRange]:
        node = find_word(self.memory, pointer + chain.offset)
        seen: set[int] = set()
        while node and node not in seen and len(seen) < chain.limit:
            seen.add(node)
            yield AddressRange.sized(node + chain.record_offset, chain.record_size)
            node = find_word(self.memory, node + chain.next_offset)
