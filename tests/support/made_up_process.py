"""A process that never was: four threads, a program, a heap, and a libc that says what a test gave it."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping

from tinspect.analyses.context import Context
from tinspect.arch.x86_64 import X86_64
from tinspect.libc.protocol import LibcThreads, OwnPointer, ThreadDescriptor
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack
from tinspect.model.gap import Gap
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.model.report import LibcInfo
from tinspect.model.source import Source
from tinspect.model.stack import CachedStack, StackBounds
from tinspect.model.thread import Thread
from tinspect.model.tls import TlsBlock, TlsDestructor, TlsKey, TlsSlot
from tinspect.symbols.protocol import SourceLine, SymbolHit
from tinspect.target.memory import SegmentMemory
from tinspect.target.plan import CapturePlan
from tinspect.target.target import ProcessFacts, Snapshot, TargetKind

PROGRAM = Module("program", "/bin/program", 0x40_0000, AddressRange(0x40_0000, 0x42_0000), is_main=True)
CODE, DATA = AddressRange(0x40_0000, 0x41_0000), AddressRange(0x41_0000, 0x42_0000)
HEAP, ARENA = AddressRange(0x80_0000, 0x90_0000), AddressRange(0x7000_0000, 0x7010_0000)
STACKS = {tid: AddressRange.sized(0x6000_0000 + tid * 0x10_0000, 0x1_0000) for tid in (2, 3, 4)}
CACHED = AddressRange.sized(0x6800_0000, 0x1_0000)
GONE = 0x5000_0000


class Names:
    def find_symbol(self, address: int) -> SymbolHit | None:
        return SymbolHit("destroy", address - 0x40_1000, PROGRAM, 0x40_1000) if address in CODE else None

    def find_address(self, name: str, module: str | None = None) -> int | None:
        return None

    def find_section(self, address: int) -> str | None:
        return None

    def find_line(self, address: int) -> SourceLine | None:
        return None


class MadeUpLibc:
    """A libc of 8 keys that says what the test gave it."""

    info = LibcInfo("glibc")
    keys_max = 8
    own_module = "/lib/libc.so.6"

    def __init__(
        self, keys: tuple[TlsKey, ...] = (), values: AbstractMapping[int, dict[int, int]] | None = None
    ) -> None:
        self.keys = keys
        self.values = values or {}
        self.blocks: tuple[TlsBlock, ...] = ()

    def capture_plan(self) -> CapturePlan:
        return CapturePlan()

    def read_threads(self, snapshot: Snapshot) -> LibcThreads:
        return LibcThreads()

    def read_keys(self, snapshot: Snapshot) -> tuple[tuple[TlsKey, ...], tuple[Gap, ...]]:
        return self.keys, ()

    def read_slots(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor, keys: AbstractMapping[int, TlsKey]
    ) -> tuple[tuple[TlsSlot, ...], tuple[Gap, ...]]:
        return tuple(TlsSlot(key, value) for key, value in self.values.get(descriptor.tid, {}).items()), ()

    def read_tls_blocks(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsBlock, ...], tuple[Gap, ...]]:
        return self.blocks, ()

    def read_exit_destructors(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsDestructor, ...], tuple[Gap, ...]]:
        return (TlsDestructor(0x40_1000, 0x1), TlsDestructor(0x40_1010, 0x2)), ()

    def own_pointers(self, snapshot: Snapshot, threads: LibcThreads) -> tuple[OwnPointer, ...]:
        return ()


class NoFiles:
    def open_image(self, module: Module) -> bytes | None:
        return None

    def open_debug(self, build_id: str) -> bytes | None:
        return None

    def open_debug_link(self, module: Module, name: str) -> bytes | None:
        return None


def made_up_context(
    libc: MadeUpLibc, memory: SegmentMemory | None = None, *changed: Thread, call_stacks: tuple[CallStack, ...] = ()
) -> Context:
    """Threads 1 (main) to 4, the last three on stacks of their own; ``changed`` take the place of those of their ids."""
    mappings = MappingTable(
        [
            Mapping(CODE, "r-xp", name="/bin/program", inode=1),
            Mapping(DATA, "rw-p"),  # .bss: without a name, within the module
            Mapping(HEAP, "rw-p", name="[heap]"),
            Mapping(ARENA, "rw-p"),
            *(Mapping(area, "rw-p") for area in STACKS.values()),
        ]
    )
    threads = {thread.tid: thread for thread in (Thread(1, is_main=True), *(Thread(tid) for tid in STACKS), *changed)}
    descriptors = {
        tid: ThreadDescriptor(tid, area.high - 64, 64, False, StackBounds(area, Source.DESCRIPTOR), area)
        for tid, area in STACKS.items()
    }
    descriptors[1] = ThreadDescriptor(1, 0x80_0000, 64, True, None)
    snapshot = Snapshot(
        TargetKind.LIVE, X86_64, ProcessFacts(1, "/bin/program"), memory or SegmentMemory([]), mappings,
        ModuleTable([PROGRAM]), NoFiles(), tuple(threads.values()),
    )  # fmt: skip
    cached = (CachedStack(CACHED, 4096, Source.DESCRIPTOR),)
    by_tid = {call_stack.tid: call_stack for call_stack in call_stacks}
    return Context(snapshot, Names(), libc, LibcThreads(descriptors, cached), by_tid)
