"""glibc found in a target: everything it knows, behind the protocol that musl fulfils too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tinspect.errors import MemoryUnreadable
from tinspect.libc.glibc.exit_destructors import (
    EXIT_LIST_CODE,
    NEXT_OFFSET,
    RECORD_BYTES,
    find_list_offset,
    read_exit_destructors,
)
from tinspect.libc.glibc.keys import KEYS_MAX, KeyTable, find_key_table, read_keys, read_slots
from tinspect.libc.glibc.layout import DTV_ENTRY_BYTES, LEVEL_SIZE, SLOT_BYTES, PthreadLayout
from tinspect.libc.glibc.learn import learn_layout
from tinspect.libc.glibc.lists import StackLists, find_stack_lists
from tinspect.libc.glibc.own_pointers import own_pointers
from tinspect.libc.glibc.static import find_initial_descriptors
from tinspect.libc.glibc.thread_db import ThreadDb
from tinspect.libc.glibc.threads import read_threads
from tinspect.libc.glibc.tls import TlsModule, dynamic_modules, read_tls_blocks, read_tls_modules, static_extent
from tinspect.libc.layout_cache import LayoutCache
from tinspect.libc.protocol import LibcThreads, OwnPointer, ThreadDescriptor
from tinspect.libc.segments import is_static_program
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.model.report import LibcInfo
from tinspect.model.tls import TlsBlock, TlsDestructor, TlsKey, TlsSlot
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import find_word, read_c_string
from tinspect.target.plan import CapturePlan, LinkedList, StackRule, StackRuleKind, ThreadChain, ThreadTable
from tinspect.target.target import Snapshot, Target

_LIBC_NAME = re.compile(r"libc\.so\.6|libc-2\.\d+\.so")
_LIBPTHREAD_NAME = re.compile(r"libpthread-2\.\d+\.so|libpthread\.so\.0")
_BANNER = re.compile(rb"GNU C Library [^\n\0]{0,80}version (\d+\.\d+)")
_LINKER_NAME = "ld-"  # ld-linux-x86-64.so.2, ld-2.31.so
_VERSION = re.compile(r"\d+\.\d+")
_STATIC_MARKS = ("__libc_setup_tls", "_dl_relocate_static_pie", "__libc_start_main")
_MOST_BANNER_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Glibc:
    """See ``tinspect.libc.protocol.Libc``. Made by ``detect_glibc``."""

    info: LibcInfo
    layout: PthreadLayout
    lists: StackLists
    key_table: KeyTable | None
    tls_modules: tuple[TlsModule, ...]
    exit_list: int | None
    tls_variant: int
    own_module: str | None = None
    stack_end: int | None = None
    gaps: tuple[Gap, ...] = field(default=())

    @property
    def keys_max(self) -> int:
        """See Libc."""
        return KEYS_MAX

    def capture_plan(self) -> CapturePlan:
        """See Libc: descriptors with the static storage beside them, key blocks, DTVs, dynamic blocks, lists, exit lists."""
        layout, shift = self.layout, -self.layout.thread_pointer
        extent = static_extent(self.tls_modules)
        if self.tls_variant == 1:
            own = (shift, layout.highest + extent + max((item.size for item in self.tls_modules), default=0))
        else:
            own = (-extent, extent + layout.highest)
        chains = [ThreadChain(shift + layout.robust_list, -8, 16, 0)]
        if self.exit_list is not None:
            chains.append(ThreadChain(self.exit_list, 0, RECORD_BYTES, NEXT_OFFSET))
        table = self.key_table
        fixed = [AddressRange.sized(head, 16) for head in self.lists.all]
        fixed += [AddressRange.sized(table.address, table.size)] if table else []
        return CapturePlan(
            fixed=tuple(fixed),
            thread_relative=(own,),
            thread_tables=(
                ThreadTable(shift + layout.specific, KEYS_MAX // LEVEL_SIZE, 0, LEVEL_SIZE * SLOT_BYTES),
                self._dtv_table(shift),
            ),
            # The same bytes for threads that only a list leads to.
            lists=tuple(LinkedList(head, layout.links, own[0] - shift, own[1]) for head in self.lists.all),
            thread_chains=tuple(chains),
            stack_rule=StackRule(
                shift + layout.stack.block, shift + layout.stack.block_size, StackRuleKind.LOW_AND_SIZE
            ),
        )

    def _dtv_table(self, shift: int) -> ThreadTable:
        last = max((item.module_id for item in self.tls_modules), default=0)
        inner = tuple((DTV_ENTRY_BYTES * item.module_id, item.size) for item in dynamic_modules(self.tls_modules))
        # dtv points to the entry that holds the generation; the one before holds the capacity.
        return ThreadTable(shift + self.layout.dtv, 1, DTV_ENTRY_BYTES, DTV_ENTRY_BYTES * (last + 2), inner)

    def read_threads(self, snapshot: Snapshot) -> LibcThreads:
        """See Libc."""
        threads = read_threads(snapshot, self.layout, self.lists, self.stack_end)
        return replace(threads, gaps=self.gaps + threads.gaps)

    def read_keys(self, snapshot: Snapshot) -> tuple[tuple[TlsKey, ...], tuple[Gap, ...]]:
        """See Libc."""
        if self.key_table is None:
            return (), ()  # what that means is among the gaps of read_threads
        return read_keys(snapshot.memory, self.key_table)

    def read_slots(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor, keys: Mapping[int, TlsKey]
    ) -> tuple[tuple[TlsSlot, ...], tuple[Gap, ...]]:
        """See Libc."""
        return read_slots(snapshot.memory, self.layout, keys, descriptor.address, descriptor.tid)

    def read_tls_blocks(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsBlock, ...], tuple[Gap, ...]]:
        """See Libc."""
        dtv = find_word(snapshot.memory, descriptor.address + self.layout.dtv)
        if dtv is None:
            return (), (Gap("tls_blocks", "its descriptor cannot be read.", descriptor.tid),)
        return read_tls_blocks(
            snapshot.memory,
            self.tls_modules,
            thread_pointer=descriptor.address + self.layout.thread_pointer,
            dtv=dtv,
            variant=self.tls_variant,
            tid=descriptor.tid,
        )

    def read_exit_destructors(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsDestructor, ...], tuple[Gap, ...]]:
        """See Libc."""
        if self.exit_list is None:
            return (), ()  # named once, among the gaps of read_threads
        pointer = descriptor.address + self.layout.thread_pointer
        return read_exit_destructors(snapshot.memory, snapshot.mappings, self.exit_list, pointer, descriptor.tid)

    def own_pointers(self, snapshot: Snapshot, threads: LibcThreads) -> tuple[OwnPointer, ...]:
        """See Libc."""
        return tuple(own_pointers(snapshot, self.layout, self.lists, threads))


def detect_glibc(target: Target, symbols: Symbolizer, cache: LayoutCache | None = None) -> Glibc | None:
    """The target's glibc, or None when it has none. Raises LayoutUnknown when it has one that cannot be understood."""
    libc = _find_named(target, _LIBC_NAME)
    if libc is not None:
        threads_module = _threads_module(target, symbols, libc)
        return _build(target, symbols, libc, threads_module, cache=cache, has_symbols=threads_module is libc)
    main = target.modules.main
    if main is None or not is_static_program(target.memory, main):
        return None
    known = tuple(find_initial_descriptors(target))
    marked = all(symbols.find_address(name, main.name) is not None for name in _STATIC_MARKS)
    if not known and not marked:
        return None
    return _build(target, symbols, main, main, known=known, cache=cache, is_static=True, has_symbols=marked)


def _find_named(target: Target, pattern: re.Pattern[str]) -> Module | None:
    return next((module for module in target.modules if pattern.fullmatch(module.name)), None)


def _threads_module(target: Target, symbols: Symbolizer, libc: Module) -> Module:
    """Until 2.33 threads were a library of their own, which a program may have left out."""
    if symbols.find_address("_thread_db_sizeof_pthread", libc.name) is not None:
        return libc
    return _find_named(target, _LIBPTHREAD_NAME) or libc


def _build(
    target: Target,
    symbols: Symbolizer,
    libc: Module,
    threads_module: Module,
    *,
    cache: LayoutCache | None,
    has_symbols: bool,
    is_static: bool = False,
    known: tuple[int, ...] = (),
) -> Glibc:
    """``has_symbols`` says that what no symbol leads to is not there: a static program holds only what it uses."""
    database = ThreadDb(symbols, target.memory, threads_module.name)
    lists = find_stack_lists(database)
    learnt = learn_layout(target, database, threads_module, lists, known=known, cache=cache)
    modules, gaps = read_tls_modules(target, database)
    exit_list = find_list_offset(target, symbols, libc, cache)
    if exit_list is None and not (is_static and has_symbols):
        gaps += (Gap("tls_destructors", _why_no_exit_list(symbols, libc)),)
    key_table = find_key_table(database)
    if key_table is None and not has_symbols:
        gaps += (Gap("tls_keys", "no symbol leads to glibc's key table (__pthread_keys)."),)
    stack_end = symbols.find_address("__libc_stack_end", libc.name if is_static else _LINKER_NAME)
    return Glibc(
        info=LibcInfo("glibc", _version(target, symbols, libc), learnt.source),
        layout=learnt.layout,
        lists=lists,
        key_table=key_table,
        tls_modules=modules,
        exit_list=exit_list,
        tls_variant=target.architecture.tls_variant,
        own_module=None if is_static else libc.path or libc.name,
        stack_end=find_word(target.memory, stack_end) if stack_end is not None else None,
        gaps=gaps,
    )


def _why_no_exit_list(symbols: Symbolizer, libc: Module) -> str:
    if symbols.find_address(EXIT_LIST_CODE, libc.name) is None:
        return "no symbol leads to glibc's list of functions to run at a thread's exit."
    return "the code that runs a thread's exit functions was not understood: only x86-64's is known."


def _version(target: Target, symbols: Symbolizer, libc: Module) -> str | None:
    """From the banner in libc's constants, or the version that a static program has for libthread_db; None when there is neither."""
    address = symbols.find_address("__nptl_version", libc.name) or symbols.find_address("nptl_version", libc.name)
    with suppress(MemoryUnreadable):
        version = read_c_string(target.memory, address or 0, 16).decode("ascii", "replace")
        if _VERSION.fullmatch(version):
            return version
    for mapping in target.mappings.overlapping(libc.range):
        if not mapping.is_readable or mapping.is_writable or mapping.range.size > _MOST_BANNER_BYTES:
            continue
        try:
            match = _BANNER.search(target.memory.read(mapping.range.low, mapping.range.size))
        except MemoryUnreadable:
            continue
        if match:
            return match[1].decode()
    return None
