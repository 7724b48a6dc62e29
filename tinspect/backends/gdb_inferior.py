"""The inferior that gdb has selected: read through gdb's memory and registers only. Nothing is resumed, called, or left selected.

Works for a live inferior, a core, and a remote one; what only the kernel tells (page states, alternate stacks by BPF) is added when the
inferior runs on this machine. Imports gdb, so it can be imported inside gdb alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import gdb

from tinspect.arch import ARCHITECTURES, Architecture
from tinspect.backends.kernel_actions import read_signal_handlers
from tinspect.backends.kernel_tasks import read_kernel_tasks
from tinspect.backends.loaded_image import find_header, segment_range
from tinspect.backends.module_files import Finder, FoundModuleFiles, by_build_id, by_path
from tinspect.backends.modules import find_modules
from tinspect.backends.page_runs import read_page_runs, stack_areas
from tinspect.backends.signal_stack_reasons import IN_A_CORE, NOT_ASKED, REMOTE
from tinspect.errors import MemoryUnreadable, TargetLost, TargetRefused, UnsupportedTarget
from tinspect.formats.elf_constants import PF_X, PT_LOAD
from tinspect.formats.gdb_text import parse_core_sections, parse_info_auxv, parse_info_mappings
from tinspect.formats.procfs import parse_limits, parse_maps, parse_stat
from tinspect.formats.siginfo import has_address
from tinspect.formats.signal_stack import signal_stack_of
from tinspect.model.address import AddressRange, merged
from tinspect.model.gap import Gap
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.model.registers import RegisterSet
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Exactness, SignalStop, Thread
from tinspect.target.memory import MemoryReader
from tinspect.target.plan import CapturePlan
from tinspect.target.scan import ReaderScanner
from tinspect.target.target import ProcessFacts, Snapshot, TargetKind

_WORD = (1 << 64) - 1
_BARE = "r--p"  # of a file that a core lists and holds nothing of: gdb reads it from the file
# What gdb calls architectures, as begins of its names ("i386:x86-64", "aarch64").
_GDB_NAMES = {"i386:x86-64": "x86_64", "aarch64": "aarch64"}


class GdbMemory:
    """Memory of the inferior through gdb: its caches, its remote protocol, its core."""

    __slots__ = ("_inferior", "_mappings")

    def __init__(self, inferior: gdb.Inferior, mappings: MappingTable) -> None:
        self._inferior = inferior
        self._mappings = mappings

    def read(self, address: int, size: int) -> bytes:
        """See MemoryReader."""
        try:
            return bytes(self._inferior.read_memory(address, size))
        except (gdb.error, OverflowError, ValueError):  # gdb.MemoryError is one of gdb.error
            raise MemoryUnreadable(address, size) from None

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """See MemoryReader."""
        parts = (m.range.intersection(wanted) for m in self._mappings.overlapping(wanted) if m.is_readable)
        return merged(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class _Place:
    """How gdb reaches the inferior. ``pid`` is None where /proc of this machine says nothing of it."""

    pid: int | None
    is_core: bool


class GdbBackend:
    """Fulfils ``target.Backend``. The target is the snapshot: gdb has stopped it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def target(self) -> Snapshot:
        """See Backend."""
        return self._snapshot

    @property
    def scanner(self) -> ReaderScanner:
        """See Backend."""
        return ReaderScanner(self._snapshot.memory)

    def capture(self, plan: CapturePlan) -> Snapshot:
        """The snapshot, with what only the kernel tells of a local inferior."""
        snapshot = self._snapshot
        pid = snapshot.facts.pid
        if pid is None or pid != _place(gdb.selected_inferior()).pid:
            return snapshot
        areas = stack_areas(
            snapshot.threads, snapshot.memory, plan.stack_rule, snapshot.mappings, snapshot.signal_stacks.values()
        )
        pages = read_page_runs(pid, areas)
        return replace(
            snapshot,
            pages=pages.runs,
            guard_flags_known=pages.shows_guards,
            gaps=(*snapshot.gaps, *pages.gaps),
        )

    def close(self) -> None:
        """Nothing is held: gdb keeps the inferior."""


def open_gdb(*, kernel_tasks: bool = True) -> GdbBackend:
    """The selected inferior. ``kernel_tasks`` lets the BPF task iterator tell the alternate stacks of a local one.

    Raises TargetLost when there is no inferior, UnsupportedTarget for a foreign architecture.
    """
    inferior = gdb.selected_inferior()
    if not inferior.pid and not inferior.threads():
        raise TargetLost("There is no inferior to look at.", "Start the program, attach to a process, or load a core.")
    place = _place(inferior)
    architecture = _architecture(inferior)
    mappings, mapping_gaps = _mappings(place)
    memory = GdbMemory(inferior, mappings)
    auxv = parse_info_auxv(_ask("info auxv"))
    modules = find_modules(mappings, memory, auxv, architecture.elf_machine)
    if place.is_core:
        mappings = MappingTable(_with_code(mappings, modules, memory))
    with selection_kept():
        threads = tuple(_threads(inferior, architecture, place))
    stacks, stack_gaps = _signal_stacks(place, architecture, threads) if kernel_tasks else ({}, (NOT_ASKED,))
    handlers, handler_gaps = read_signal_handlers(place.pid) if kernel_tasks and place.pid else (None, ())
    return GdbBackend(
        Snapshot(
            kind=TargetKind.GDB,
            architecture=architecture,
            facts=_facts(inferior, place, modules, auxv),
            memory=memory,
            mappings=mappings,
            modules=modules,
            files=FoundModuleFiles(_finders(), lambda module: _image(memory, module), (_sysroot(), "")),
            threads=threads,
            signal_stacks=stacks,
            signal_handlers=handlers,
            gaps=(*mapping_gaps, *stack_gaps, *handler_gaps),
        )
    )


@contextmanager
def selection_kept() -> Iterator[None]:
    """Gives the user's inferior, thread and frame back, however the block ends."""
    inferior, thread = gdb.selected_inferior(), gdb.selected_thread()
    try:
        frame = gdb.selected_frame()
    except gdb.error:
        frame = None
    try:
        yield
    finally:
        if gdb.selected_inferior().num != inferior.num:
            gdb.execute(f"inferior {inferior.num}", to_string=True)
        if thread is not None and thread.is_valid():
            thread.switch()
            if frame is not None and frame.is_valid():
                frame.select()


def _ask(command: str) -> str:
    """What gdb answers, "" when it refuses."""
    try:
        return str(gdb.execute(command, to_string=True))
    except gdb.error:
        return ""


def _place(inferior: gdb.Inferior) -> _Place:
    connection = getattr(inferior, "connection", None)
    kind = connection.type if connection is not None else ""
    if kind == "core":
        return _Place(None, True)
    return _Place(inferior.pid if kind == "native" and Path(f"/proc/{inferior.pid}").exists() else None, False)


def _architecture(inferior: gdb.Inferior) -> Architecture:
    name = inferior.architecture().name()
    for prefix, known in _GDB_NAMES.items():
        if name.startswith(prefix) and not name.endswith("x64-32"):
            return next(entry for entry in ARCHITECTURES if entry.name == known)
    raise UnsupportedTarget(f"gdb says the inferior is {name}.", "tinspect knows 64-bit x86 and aarch64.")


def _mappings(place: _Place) -> tuple[MappingTable, tuple[Gap, ...]]:
    if place.pid is not None:
        return parse_maps(Path(f"/proc/{place.pid}/maps").read_bytes()), ()
    files = parse_info_mappings(_ask("info proc mappings"))
    if not place.is_core:
        gaps = () if files else (Gap("mappings", "the remote side does not tell what is mapped (info proc mappings)."),)
        return MappingTable(files), gaps
    return MappingTable(_core_mappings(files, parse_core_sections(_ask("maintenance info sections")))), ()


def _core_mappings(files: tuple[Mapping, ...], segments: tuple[Mapping, ...]) -> Iterator[Mapping]:
    """A core's segments named by the files it lists; files without a segment are readable through gdb all the same."""
    named = MappingTable(files)
    held = MappingTable(segments)
    for segment in segments:
        file = named.find(segment.range.low)
        if file is None:
            yield segment
        else:
            offset = file.offset + segment.range.low - file.range.low
            yield replace(segment, offset=offset, inode=1, name=file.name, deleted=file.deleted)
    for file in files:
        if not held.overlapping(file.range):
            yield replace(file, permissions=_BARE)


def _with_code(mappings: MappingTable, modules: ModuleTable, memory: MemoryReader) -> Iterator[Mapping]:
    """The mappings, those run from that the core lists by their files alone (gdb's gcore leaves out code): the headers of a module
    tell which of its pages are code."""
    code = MappingTable(Mapping(pages, "r-xp") for module in modules for pages in _code_of(module, memory))
    for mapping in mappings:
        is_bare = mapping.is_file and mapping.permissions == _BARE
        yield replace(mapping, permissions="r-xp") if is_bare and code.overlapping(mapping.range) else mapping


def _code_of(module: Module, memory: MemoryReader) -> Iterator[AddressRange]:
    header = find_header(memory, module.range.low)
    for segment in header.segments if header is not None else ():
        pages = segment_range(segment, module.load_bias)
        if segment.type == PT_LOAD and segment.flags & PF_X and pages is not None:
            yield pages


def _threads(inferior: gdb.Inferior, architecture: Architecture, place: _Place) -> Iterator[Thread]:
    ordered = sorted(inferior.threads(), key=lambda entry: (entry.ptid[1] != entry.ptid[0], entry.num))
    for thread in ordered:
        tid = thread.ptid[1] or thread.ptid[0]
        state = "unknown" if place.is_core else "stopped"  # a core keeps no states
        base = _named(Thread(tid, thread.name or "", state, is_main=tid == thread.ptid[0]), place)
        if thread.is_running():
            yield replace(base, state="running")
            continue
        thread.switch()
        registers = _registers(architecture)
        pointer = registers.get(architecture.thread_pointer) if registers and architecture.thread_pointer else None
        yield replace(
            base,
            registers=registers,
            thread_pointer=pointer or _thread_pointer(),
            exactness=Exactness.STOPPED if registers is not None else Exactness.UNSEEN,
            signal=_signal() if place.is_core else None,
        )


def _named(thread: Thread, place: _Place) -> Thread:
    if place.pid is None:
        return thread
    try:
        stat = parse_stat(Path(f"/proc/{place.pid}/task/{thread.tid}/stat").read_bytes())
    except OSError:
        return thread
    return replace(thread, name=stat.name)


def _registers(architecture: Architecture) -> RegisterSet | None:
    """The innermost frame's registers by the names of our table; those that gdb does not have are left out."""
    layout = architecture.registers
    values: dict[str, int] = {}
    try:
        frame = gdb.newest_frame()
    except gdb.error:
        return None
    for name in layout.names:
        try:
            values[name] = int(frame.read_register("cpsr" if name == "pstate" else name)) & _WORD
        except (gdb.error, ValueError, OverflowError):
            continue
    if layout.pc not in values or layout.sp not in values:
        return None
    return RegisterSet(tuple(values), tuple(values.values()), values[layout.pc], values[layout.sp])


def _thread_pointer() -> int | None:
    """TPIDR_EL0, where gdb offers it."""
    try:
        return int(gdb.newest_frame().read_register("tpidr")) & _WORD
    except (gdb.error, ValueError):
        return None


def _signal() -> SignalStop | None:
    """The signal that a core's thread got, by $_siginfo."""
    try:
        info = gdb.parse_and_eval("$_siginfo")
        number, code = int(info["si_signo"]), int(info["si_code"])
        address = int(info["_sifields"]["_sigfault"]["si_addr"]) & _WORD
    except (gdb.error, ValueError):
        return None
    return SignalStop(number, code, address if has_address(number, code) else None) if number else None


def _facts(
    inferior: gdb.Inferior, place: _Place, modules: ModuleTable, auxv: AbstractMapping[int, int]
) -> ProcessFacts:
    main = modules.main
    executable = main.path if main is not None else gdb.current_progspace().filename or ""
    limit = None
    if place.pid is not None:
        try:
            limit = parse_limits(Path(f"/proc/{place.pid}/limits").read_bytes()).get("Max stack size", (None,))[0]
        except OSError:
            limit = None
    return ProcessFacts(pid=inferior.pid or None, executable=executable, auxv=auxv, stack_limit=limit)


def _signal_stacks(
    place: _Place, architecture: Architecture, threads: tuple[Thread, ...]
) -> tuple[dict[int, SignalStack], tuple[Gap, ...]]:
    if place.pid is None:
        return {}, (IN_A_CORE if place.is_core else REMOTE,)
    try:
        tasks = read_kernel_tasks(place.pid, architecture, registers=False)
    except TargetRefused as error:
        return {}, (Gap("sigaltstack", str(error)),)
    pointers = {thread.tid: thread.registers.sp for thread in threads if thread.registers is not None}
    return {
        t.tid: signal_stack_of(t.altstack_low, t.altstack_size, t.altstack_flags, pointers.get(t.tid), Source.BPF)
        for t in tasks
    }, ()


def _sysroot() -> str:
    """gdb's sysroot when it is a folder of this machine."""
    sysroot = str(gdb.parameter("sysroot") or "")
    return "" if sysroot.startswith("target:") or sysroot == "/" else sysroot.rstrip("/")


def _finders() -> Iterator[Finder]:
    sysroot = _sysroot()
    if sysroot:
        yield by_path(Path(sysroot))
    yield by_path()
    yield by_build_id()


def _image(memory: MemoryReader, module: Module) -> bytes | None:
    if not module.is_vdso:
        return None
    try:
        return memory.read(module.range.low, module.range.size)
    except MemoryUnreadable:
        return None
