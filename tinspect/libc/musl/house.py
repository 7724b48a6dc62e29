"""musl found in a target: everything it knows, behind the protocol that glibc fulfils too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tinspect.errors import LayoutUnknown, MemoryUnreadable
from tinspect.libc.link_maps import find_r_debug
from tinspect.libc.musl.keys import KEYS_MAX, KeyTable, find_key_table, read_keys, read_slots
from tinspect.libc.musl.layout import DTV, LAYOUTS, NEXT, PREVIOUS, PthreadLayout, find_descriptor, walk_circle
from tinspect.libc.musl.threads import START_ARGUMENTS, find_auxv, read_threads, start_arguments
from tinspect.libc.musl.tls import TlsModule, read_tls_blocks, read_tls_modules
from tinspect.libc.protocol import LibcThreads, OwnPointer, ThreadDescriptor
from tinspect.libc.segments import is_static_program
from tinspect.libc.self_pointers import find_self_pointers
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.model.report import LibcInfo
from tinspect.model.tls import TlsBlock, TlsDestructor, TlsKey, TlsSlot
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import find_word
from tinspect.target.plan import CapturePlan, StackRule, StackRuleKind, ThreadChain, ThreadTable
from tinspect.target.target import Snapshot, Target

_NAME = re.compile(r"ld-musl-.*\.so\.1|libc\.musl-.*\.so\.1|libc\.so")
_VERSION = re.compile(rb"\0(1\.[12]\.\d{1,2})(?:-git-[^\0]{1,40})?\0")
_SEARCH_LIMIT = 2 << 20
_SEARCH_START = 64 << 10  # of each mapping that is not musl's own data
_MOST_CONSTANTS = 1 << 24
_MOST_STATIC_BYTES = 1 << 20
_MOST_ROBUST = 4096


@dataclass(frozen=True, slots=True)
class Musl:
    """See ``tinspect.libc.protocol.Libc``. Made by ``detect_musl``."""

    info: LibcInfo
    layout: PthreadLayout
    key_table: KeyTable | None
    tls_modules: tuple[TlsModule, ...]
    auxv: int | None
    own_module: str | None = None

    @property
    def keys_max(self) -> int:
        """See Libc."""
        return KEYS_MAX

    def capture_plan(self) -> CapturePlan:
        """See Libc: descriptors, values of keys, DTVs with the start arguments below them, blocks."""
        layout = self.layout
        last = max((item.module_id for item in self.tls_modules), default=0)
        reach = min(sum(item.reach for item in self.tls_modules), _MOST_STATIC_BYTES)
        inner = tuple((8 * item.module_id, item.size) for item in self.tls_modules)
        table = self.key_table
        return CapturePlan(
            fixed=(AddressRange.sized(table.address, table.size),) if table else (),
            thread_relative=((-reach, reach + layout.size),),
            thread_tables=(
                # Without keys the pointer to the values may lead nowhere.
                *((ThreadTable(layout.values, 1, 0, KEYS_MAX * 8),) if table else ()),
                ThreadTable(DTV, 1, START_ARGUMENTS, START_ARGUMENTS + 8 * (last + 1), inner),
                # The stack ends below the DTV, unless the program gave it: then the start arguments lie at its own end.
                ThreadTable(layout.stack, 1, START_ARGUMENTS + 8, START_ARGUMENTS + 8),
            ),
            thread_chains=(ThreadChain(layout.robust_list, -8, 16, 0),),
            stack_rule=StackRule(layout.stack, layout.stack + 8, StackRuleKind.TOP_AND_SIZE),
        )

    def read_threads(self, snapshot: Snapshot) -> LibcThreads:
        """See Libc. musl keeps no stacks of finished threads."""
        return read_threads(snapshot, self.layout, self.auxv)

    def read_keys(self, snapshot: Snapshot) -> tuple[tuple[TlsKey, ...], tuple[Gap, ...]]:
        """See Libc."""
        if self.key_table is None:
            return (), (
                Gap("tls_keys", "the code of pthread_key_create, which shows musl's key table, was not found."),
            )
        return read_keys(snapshot.memory, self.key_table)

    def read_slots(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor, keys: Mapping[int, TlsKey]
    ) -> tuple[tuple[TlsSlot, ...], tuple[Gap, ...]]:
        """See Libc."""
        if not keys:
            return (), ()  # without keys the pointer to the values may lead nowhere
        raw = find_descriptor(snapshot.memory, self.layout, descriptor.address)
        if raw is None:
            return (), (Gap("tls_values", "its descriptor cannot be read.", descriptor.tid),)
        return read_slots(snapshot.memory, raw.values, keys, descriptor.tid)

    def read_tls_blocks(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsBlock, ...], tuple[Gap, ...]]:
        """See Libc."""
        raw = find_descriptor(snapshot.memory, self.layout, descriptor.address)
        if raw is None:
            return (), (Gap("tls_blocks", "its descriptor cannot be read.", descriptor.tid),)
        return read_tls_blocks(snapshot.memory, self.tls_modules, raw.dtv, descriptor.tid)

    def read_exit_destructors(
        self, _snapshot: Snapshot, _descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsDestructor, ...], tuple[Gap, ...]]:
        """See Libc. musl has no such list: C++ and Rust keep theirs behind a key there."""
        return (), ()

    def own_pointers(self, snapshot: Snapshot, threads: LibcThreads) -> tuple[OwnPointer, ...]:
        """See Libc."""
        return tuple(self._own_pointers(snapshot, threads))

    def _own_pointers(self, snapshot: Snapshot, threads: LibcThreads) -> Iterator[OwnPointer]:
        for descriptor in threads.descriptors.values():
            yield OwnPointer("thread list", descriptor.address + PREVIOUS)
            yield OwnPointer("thread list", descriptor.address + NEXT)
            if descriptor.start_routine is not None and descriptor.bounds is not None:
                yield OwnPointer("start argument", start_arguments(descriptor.bounds.range.high) + 8)
            head = node = descriptor.address + self.layout.robust_list
            for _ in range(_MOST_ROBUST):
                yield OwnPointer("robust list", node)
                if node != head:
                    yield OwnPointer("robust list", node - 8)
                following = find_word(snapshot.memory, node)
                if not following or following == head:
                    break
                node = following


def detect_musl(target: Target, symbols: Symbolizer) -> Musl | None:
    """The target's musl, or None when it has none. Raises LayoutUnknown when it has one that cannot be understood."""
    libc = next((module for module in target.modules if _is_musl(symbols, module)), None)
    main = target.modules.main
    place = libc or main
    if place is None or (libc is None and not is_static_program(target.memory, place)):
        return None
    layout = _find_layout(target, place)
    if layout is None:
        if libc is None:
            return None
        raise LayoutUnknown(f"No known layout of musl's struct pthread holds in {libc.name}.")
    r_debug = (find_r_debug(target.memory, main) if main else None) if libc else None
    if libc and r_debug is None:
        pointer = symbols.find_address("_dl_debug_addr", libc.name)
        r_debug = find_word(target.memory, pointer) if pointer else None
    return Musl(
        info=LibcInfo("musl", _version(target, libc) if libc else None, "table"),
        layout=layout,
        key_table=find_key_table(target, symbols, place.name),
        tls_modules=read_tls_modules(target, r_debug),
        auxv=find_auxv(target),
        own_module=(libc.path or libc.name) if libc else None,
    )


def _is_musl(symbols: Symbolizer, module: Module) -> bool:
    if not _NAME.fullmatch(module.name):
        return False
    return module.name != "libc.so" or symbols.find_address("_dl_debug_addr", module.name) is not None


def _find_layout(target: Target, place: Module) -> PthreadLayout | None:
    """The layout by which every thread of the circular list holds what it promises."""
    layouts = LAYOUTS.get(target.architecture.name, ())
    tids = {thread.namespace_tid or thread.tid for thread in target.threads}
    pointers = [thread.thread_pointer for thread in target.threads if thread.thread_pointer]
    for address in pointers or find_self_pointers(target.memory, _places(target, place), _SEARCH_LIMIT):
        for layout in layouts:
            circle = tuple(walk_circle(target.memory, layout, address))
            closed = bool(circle) and circle[-1].following == address and circle[0].previous == circle[-1].address
            if closed and all(descriptor.is_sound and descriptor.tid in tids for descriptor in circle):
                return layout
    return None


def _places(target: Target, module: Module) -> Iterator[AddressRange]:
    """Where the initial thread's descriptor may lie: musl's own data, or, when its storage was too large for that, a mapping."""
    # A module's zero-initialised data continues past its file in an unnamed mapping.
    beside = AddressRange(module.range.low, module.range.high + target.architecture.page_size)
    near = [mapping for mapping in target.mappings.overlapping(beside) if mapping.is_writable]
    yield from (mapping.range for mapping in near)
    for mapping in target.mappings:
        if mapping.is_writable and mapping.is_readable and mapping not in near and mapping.name in ("", "[heap]"):
            yield AddressRange(mapping.range.low, min(mapping.range.high, mapping.range.low + _SEARCH_START))


def _version(target: Target, libc: Module) -> str | None:
    """From the constants of the dynamic linker, which prints it when run without arguments; None when it is not found."""
    for mapping in target.mappings.overlapping(libc.range):
        if not mapping.is_readable or mapping.is_writable or mapping.range.size > _MOST_CONSTANTS:
            continue
        try:
            match = _VERSION.search(target.memory.read(mapping.range.low, mapping.range.size))
        except MemoryUnreadable:
            continue
        if match:
            return match[1].decode()
    return None
