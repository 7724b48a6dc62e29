"""A running process as it can be looked at without stopping it: a Target whose threads have no registers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinspect.arch import Architecture, resolve_architecture
from tinspect.backends.module_files import FoundModuleFiles, by_build_id, by_process
from tinspect.backends.modules import find_modules
from tinspect.backends.proc_files import ProcFiles
from tinspect.backends.process_memory import ProcessMemory
from tinspect.backends.refusal import explain_missing, explain_refusal, find_hindrance
from tinspect.errors import FormatError, MemoryUnreadable, TargetLost, UnsupportedTarget
from tinspect.formats.elf import ElfImage
from tinspect.model.mapping import MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.model.thread import Thread
from tinspect.target.target import ProcessFacts, TargetKind


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """Fulfils ``target.Target``. Mappings, modules and threads are those of the moment it was opened."""

    kind: TargetKind
    proc: ProcFiles
    architecture: Architecture
    facts: ProcessFacts
    memory: ProcessMemory
    mappings: MappingTable
    modules: ModuleTable
    files: FoundModuleFiles
    threads: tuple[Thread, ...]

    @property
    def pid(self) -> int:
        """The process id as seen from here."""
        return self.proc.pid


def open_running(pid: int, kind: TargetKind = TargetKind.LIVE) -> RunningProcess:
    """Looks at the process without touching it. Raises TargetNotFound, TargetRefused, TargetLost, UnsupportedTarget."""
    hindrance = find_hindrance(pid)
    if hindrance is not None:
        raise hindrance
    proc = ProcFiles(pid)
    try:
        architecture = _architecture(proc)
        mappings = proc.mappings()
        facts = proc.facts()
    except TargetLost:
        raise find_hindrance(pid) or explain_missing(pid) from None
    proc = replace(proc, namespaced=facts.namespace_pid not in (None, pid))
    memory = ProcessMemory(pid, mappings)
    modules = find_modules(mappings, memory, facts.auxv, architecture.elf_machine)
    if not len(modules) and len(mappings):
        # maps may be shown where memory may not be read (ptrace(2): PTRACE_MODE_READ against PTRACE_MODE_ATTACH).
        raise explain_refusal(pid)
    files = FoundModuleFiles(
        [by_process(pid), by_build_id()], lambda module: _mapped_image(memory, module), (f"/proc/{pid}/root", "")
    )
    threads = tuple(thread for tid in proc.tids() if (thread := proc.thread(tid)) is not None)
    return RunningProcess(kind, proc, architecture, facts, memory, mappings, modules, files, threads)


def _architecture(proc: ProcFiles) -> Architecture:
    try:
        header = _read_header(proc)
        return resolve_architecture(ElfImage(header).header.machine)
    except FormatError:
        raise UnsupportedTarget(
            f"Process {proc.pid} is not a 64-bit little-endian ELF program.", "tinspect inspects 64-bit programs only."
        ) from None


def _read_header(proc: ProcFiles) -> bytes:
    """The executable's ELF header and program headers."""
    try:
        with open(f"/proc/{proc.pid}/exe", "rb") as stream:
            return stream.read(1 << 16)
    except PermissionError:
        raise explain_refusal(proc.pid) from None
    except OSError:
        raise TargetLost(f"Process {proc.pid} ended while it was being looked at.") from None


def _mapped_image(memory: ProcessMemory, module: Module) -> bytes | None:
    """The image as it lies in memory: all there is of the vdso."""
    if not module.is_vdso:
        return None
    try:
        return memory.read(module.range.low, module.range.size)
    except (MemoryUnreadable, TargetLost):
        return None
