"""The protocols a backend fulfils, and the snapshot they all produce."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tinspect.arch import Architecture
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.mapping import MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.model.signals import SignalHandler
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Thread
from tinspect.target.memory import MemoryReader
from tinspect.target.plan import CapturePlan
from tinspect.target.scan import WordScanner


class TargetKind(StrEnum):
    """How the target was opened: the ``kind`` of the JSON report."""

    LIVE = "live"
    PASSIVE = "passive"
    CORE = "core"
    GDB = "gdb"


class PageFlag(StrEnum):
    """What the kernel says of a page."""

    PRESENT = "present"  # written to: it holds bytes of its own
    SWAPPED = "swapped"
    GUARD = "guard"  # an installed guard marker (MADV_GUARD_INSTALL)
    MAYBE_GUARD = "maybe_guard"  # swapped or a guard: Linux 6.13 and 6.14 do not tell which


@dataclass(frozen=True, slots=True)
class PageRun:
    """Pages in one state. Pages never touched, or only read (the shared zero page), are in no run."""

    range: AddressRange
    flag: PageFlag


class ModuleFiles(Protocol):
    """Opens the file behind a module (by /proc/PID/root, map_files, a sysroot, or the mapped image) and its separate debug file.

    The bytes are those of the whole ELF file: bytes, or a memoryview over a map of the file. No method raises.
    """

    def open_image(self, module: Module) -> bytes | memoryview | None:
        """The bytes of the module's ELF file, or None when no file of that build id can be had."""
        ...

    def open_debug(self, build_id: str) -> bytes | memoryview | None:
        """The bytes of the separate debug file of ``build_id`` (``symbols.debug_files.open_debug_file``), or None."""
        ...

    def open_debug_link(self, module: Module, name: str) -> bytes | memoryview | None:
        """The bytes of the file ``name`` that the module's .gnu_debuglink names (``symbols.debug_files.open_linked_file``), or None."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What is known of the process beside its memory. Unknown is None.

    ``stack_limit`` is RLIMIT_STACK's soft limit in bytes (−1: unlimited); ``auxv`` the auxiliary vector by type (getauxval(3));
    ``caught_signals`` the SigCgt mask of proc_pid_status(5); ``namespace_pid`` the pid inside the target's own pid namespace.
    """

    pid: int | None
    executable: str
    auxv: AbstractMapping[int, int] = field(default_factory=dict)
    stack_limit: int | None = None
    caught_signals: int | None = None
    namespace_pid: int | None = None


class Target(Protocol):
    """A process as far as it can be looked at now: before the stop (no registers) or after it (a Snapshot)."""

    @property
    def kind(self) -> TargetKind:
        """How it was opened."""
        ...

    @property
    def architecture(self) -> Architecture:
        """Its register and calling conventions."""
        ...

    @property
    def facts(self) -> ProcessFacts:
        """What is known of the process beside its memory."""
        ...

    @property
    def memory(self) -> MemoryReader:
        """Its memory."""
        ...

    @property
    def mappings(self) -> MappingTable:
        """What is mapped where."""
        ...

    @property
    def modules(self) -> ModuleTable:
        """The loaded images."""
        ...

    @property
    def files(self) -> ModuleFiles:
        """Opens the files behind the modules."""
        ...

    @property
    def threads(self) -> tuple[Thread, ...]:
        """Its threads, the main thread first."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A Target frozen at one moment: every analysis reads this, and nothing asks the process again.

    ``pages`` are the states of pages in and below the stacks (sorted by address), or None where the backend cannot know (cores,
    gdb remote). ``guard_flags_known`` is False on kernels that cannot show installed guards. ``signal_stacks`` holds what the
    backend itself could learn by tid (BPF, injection, notes), ``signal_handlers`` the handlers by signal, None
    where it could not. ``pause_us`` is how long the target stood still, in µs.
    ``vectors`` are the floating-point and vector registers by tid in the form of ptrace(2), where the plan asks for them.
    ``stood_still`` is False when threads ran while it was captured: what two of them say need not be of one moment.
    """

    kind: TargetKind
    architecture: Architecture
    facts: ProcessFacts
    memory: MemoryReader
    mappings: MappingTable
    modules: ModuleTable
    files: ModuleFiles
    threads: tuple[Thread, ...]
    pages: tuple[PageRun, ...] | None = None
    guard_flags_known: bool = False
    signal_stacks: AbstractMapping[int, SignalStack] = field(default_factory=dict)
    pause_us: int | None = None
    gaps: tuple[Gap, ...] = ()
    stood_still: bool = True
    signal_handlers: tuple[SignalHandler, ...] | None = None
    vectors: AbstractMapping[int, bytes] = field(default_factory=dict)

    def thread(self, tid: int) -> Thread | None:
        """The captured thread ``tid``, or None."""
        return next((thread for thread in self.threads if thread.tid == tid), None)


class Backend(Protocol):
    """An opened target: a context manager that can be looked at, and captured once or again and again."""

    @property
    def target(self) -> Target:
        """The target as it is before the capture: mappings, modules, memory; threads without registers."""
        ...

    @property
    def scanner(self) -> WordScanner:
        """Searches the target's whole memory for words: heap and globals, which no snapshot copies."""
        ...

    def capture(self, plan: CapturePlan) -> Snapshot:
        """A snapshot. Raises TargetLost when the target ended first."""
        ...

    def close(self) -> None:
        """Lets go of files and handles; the target is released already."""
        ...
