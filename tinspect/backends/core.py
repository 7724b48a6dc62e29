"""The core backend: a core dump, by the kernel, by gcore or by tinspect, as a Snapshot. Memory is read when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tinspect.backends import module_files
from tinspect.backends.core_file import MappedFile, map_stream, open_mapped
from tinspect.backends.core_fill import missing_ranges, parts_from_files, unlisted_mappings
from tinspect.backends.core_fit import find_misfit
from tinspect.backends.core_image import CoreImage, is_core, parse_core
from tinspect.backends.core_mappings import build_mappings, file_mappings, held_parts
from tinspect.backends.core_memory import PartedMemory
from tinspect.backends.core_modules import mapped_files, modules_by_link_map, modules_without_header
from tinspect.backends.core_threads import build_threads
from tinspect.backends.coredumpctl import open_by_coredumpctl
from tinspect.backends.loaded_image import image_from_memory
from tinspect.backends.modules import find_modules
from tinspect.backends.signal_stack_reasons import IN_A_CORE
from tinspect.errors import MemoryUnreadable, TargetNotFound, UsageError
from tinspect.formats import auxv as aux
from tinspect.formats.snapshot_note import SnapshotNote
from tinspect.model.gap import Gap
from tinspect.model.mapping import MappingTable
from tinspect.model.module import ModuleTable
from tinspect.model.thread import Thread
from tinspect.symbols.debug_files import open_mapped as open_image_file
from tinspect.target.memory import MemoryReader, read_c_string
from tinspect.target.plan import CapturePlan
from tinspect.target.scan import ReaderScanner
from tinspect.target.target import PageFlag, PageRun, ProcessFacts, Snapshot, TargetKind

# More images than any process loads; a hostile core can name as many as it likes, and each is looked for.
_MODULE_LIMIT = 4096
_GAP_LIMIT = 100


class CoreBackend:
    """An opened core: a Backend whose target and capture are the same Snapshot."""

    def __init__(self, snapshot: Snapshot, file: MappedFile) -> None:
        self._snapshot = snapshot
        self._file = file

    def __enter__(self) -> CoreBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def target(self) -> Snapshot:
        """See Backend."""
        return self._snapshot

    @property
    def scanner(self) -> ReaderScanner:
        """See Backend."""
        return ReaderScanner(self._snapshot.memory)

    def capture(self, plan: CapturePlan) -> Snapshot:  # noqa: ARG002 (a core holds what it holds)
        """See Backend."""
        return self._snapshot

    def close(self) -> None:
        """See Backend."""
        self._file.close()


def open_core(
    core: str | Path | BinaryIO, executable: str | Path | None = None, sysroot: str | Path | None = None
) -> CoreBackend:
    """Opens a core: a path, "-" for standard input, an open stream, or a pid or name that coredumpctl knows.

    ``core`` and ``executable`` may come in either order. Files of modules are looked for below ``sysroot`` when it is given, else
    where the core names them, else by build id. Raises TargetNotFound, TargetRefused, FormatError, UnsupportedTarget, UsageError.
    """
    file, program = _open_in_order(core, Path(executable) if executable is not None else None)
    try:
        image = parse_core(file)
        return CoreBackend(_build_snapshot(image, program, Path(sysroot) if sysroot is not None else None), file)
    except BaseException:
        file.close()
        raise


def _open_in_order(core: str | Path | BinaryIO, executable: Path | None) -> tuple[MappedFile, Path | None]:
    """The core file of the two, and the other one."""
    file = _open(core)
    try:
        if is_core(file):
            if executable is not None and not executable.is_file():
                raise TargetNotFound(f"There is no program {executable}.", "Leave it out: the core names its own.")
            return file, executable
    except BaseException:
        file.close()
        raise
    file.close()
    if executable is None or not isinstance(core, (str, Path)):
        raise UsageError(f"{file.name} is a program, not a core.", "Name the core of it; the program may follow.")
    other = open_mapped(executable)
    if not is_core(other):
        other.close()
        raise UsageError(f"Neither {file.name} nor {executable} is a core: both are programs.")
    return other, Path(core)


def _open(core: str | Path | BinaryIO) -> MappedFile:
    if not isinstance(core, (str, Path)):
        return map_stream(core, getattr(core, "name", None) or "the stream")
    if str(core) == "-":
        return map_stream(sys.stdin.buffer, "standard input")
    path = Path(core)
    if not path.exists() and path.name == str(core):
        with open_by_coredumpctl(str(core)) as stream:
            return map_stream(stream, f"coredumpctl's core of {core}")
    return open_mapped(path)


def _build_snapshot(image: CoreImage, executable: Path | None, sysroot: Path | None) -> Snapshot:
    """Each step builds on the ones before it: held memory, mappings, modules, their files, memory filled up from these."""
    note = image.snapshot
    held = PartedMemory(held_parts(image))
    mappings = MappingTable(note.mappings) if note else build_mappings(image, image.notes.files)
    files = module_files.FoundModuleFiles(
        _finders(executable, sysroot),
        lambda module: image_from_memory(held, module),
        find_misfit=partial(find_misfit, held, image.notes.auxv, image.architecture.elf_machine),
    )
    modules = ModuleTable(note.modules) if note else _find_modules(image, held, mappings, files, executable)
    if not note and not image.notes.files:
        mappings = build_mappings(image, mapped_files(modules, files.open_image))
    unlisted = () if note else tuple(unlisted_mappings(mappings, modules, files))
    mappings = MappingTable((*mappings, *unlisted))
    missing = (*missing_ranges(image.segments), *((mapping.range, 0) for mapping in unlisted))
    memory = PartedMemory((*held_parts(image), *parts_from_files(missing, file_mappings(mappings), modules, files)))
    threads, thread_gaps = build_threads(image.notes, image.architecture, note.threads if note else None)
    for module in islice(modules, _MODULE_LIMIT):
        files.open_image(module)  # now, so that what does not fit is told
    gaps = (
        *image.gaps,
        *thread_gaps,
        *_folded(files.gaps),
        *_unused(executable, modules, files),
        *_stack_gaps(threads, mappings, memory),
        *(note.gaps if note else (IN_A_CORE,)),
    )
    return Snapshot(
        kind=TargetKind.CORE,
        architecture=image.architecture,
        facts=_facts(image, modules, memory),
        memory=memory,
        mappings=mappings,
        modules=modules,
        files=files,
        threads=threads,
        pages=_pages(note),
        guard_flags_known=note.guard_flags_known if note else False,
        signal_stacks={entry.tid: entry.stack for entry in note.signal_stacks} if note else {},
        signal_handlers=note.signal_handlers if note else None,
        pause_us=note.pause_us if note else None,
        gaps=gaps,
    )


def _folded(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """The first gaps, and a count of the others: a core may name thousands of files that are not here."""
    if len(gaps) <= _GAP_LIMIT:
        return gaps
    return (*gaps[:_GAP_LIMIT], Gap(gaps[0].what, f"{len(gaps) - _GAP_LIMIT:,} more files are missing or do not fit."))


def _unused(executable: Path | None, modules: ModuleTable, files: module_files.FoundModuleFiles) -> tuple[Gap, ...]:
    """Said of a program that its user named and that did not run, when the one that ran was found without it."""
    main = modules.main
    image = open_image_file(executable) if executable is not None else None
    if main is None or not main.build_id or image is None or files.open_image(main) is None:
        return ()
    build_id = module_files.elf_build_id(image)
    if build_id == main.build_id:
        return ()
    what = "is no ELF file" if build_id is None else f"has build id {build_id or 'none'}"
    why = f"{executable} is not the program of this core, and was not used: it {what}; {main.path} has {main.build_id}."
    return (Gap("modules", why),)


def _finders(executable: Path | None, sysroot: Path | None) -> Iterable[module_files.Finder]:
    if executable is not None:
        yield module_files.by_given_executable(executable)
    if sysroot is not None:
        yield module_files.by_path(sysroot)
        yield module_files.by_name_below(sysroot)
        yield module_files.by_build_id((sysroot / module_files.DEBUG_ROOT.relative_to("/"),))
    else:
        yield module_files.by_path()
    yield module_files.by_build_id()


def _find_modules(
    image: CoreImage,
    held: MemoryReader,
    mappings: MappingTable,
    files: module_files.FoundModuleFiles,
    executable: Path | None,
) -> ModuleTable:
    """By the headers the core holds; else by the files it names; else by the dynamic linker's list."""
    notes = image.notes
    known = find_modules(mappings, held, notes.auxv, image.architecture.elf_machine)
    entry = notes.auxv.get(aux.AT_ENTRY)
    unknown = modules_without_header(notes.files, known, mappings, entry, files.open_image)
    found = (*known, *islice(unknown, _MODULE_LIMIT))
    if any(not module.is_vdso for module in found):
        return ModuleTable(found)
    name = _executable_name(held, notes.auxv)
    if executable is not None and not name.startswith("/"):
        name = str(executable.resolve())  # relative to a folder that no core names
    return ModuleTable((*found, *modules_by_link_map(held, notes.auxv, name, files.open_image)))


def _executable_name(memory: MemoryReader, vector: dict[int, int]) -> str:
    """The path that was given to execve (AT_EXECFN), "" when it cannot be read."""
    try:
        return read_c_string(memory, vector[aux.AT_EXECFN]).decode("utf-8", "surrogateescape")
    except (KeyError, MemoryUnreadable):
        return ""


def _facts(image: CoreImage, modules: ModuleTable, memory: MemoryReader) -> ProcessFacts:
    note, notes = image.snapshot, image.notes
    if note is not None:
        return ProcessFacts(
            note.pid, note.executable, notes.auxv, note.stack_limit, note.caught_signals, note.namespace_pid
        )
    pid = notes.process.pid if notes.process else None
    executable = modules.main.path if modules.main else _executable_name(memory, notes.auxv)
    return ProcessFacts(pid, executable or (notes.process.name if notes.process else ""), notes.auxv)


def _pages(note: SnapshotNote | None) -> tuple[PageRun, ...] | None:
    if note is None or note.pages is None:
        return None
    known = {flag.value for flag in PageFlag}
    return tuple(PageRun(run.range, PageFlag(run.flag)) for run in note.pages if run.flag in known)


def _stack_gaps(threads: tuple[Thread, ...], mappings: MappingTable, memory: MemoryReader) -> Iterable[Gap]:
    """Threads whose stack the core does not hold, folded into one when it is all of them. A stack pointer that leads to a
    guard, or to nothing mapped, is no gap: it is what happened."""
    lost = []
    for thread in threads:
        mapping = mappings.find(thread.registers.sp) if thread.registers else None
        if thread.registers and mapping and mapping.is_readable and not _is_held(memory, thread.registers.sp):
            lost.append(thread.tid)
    why = "The core does not hold the memory at its stack pointer (see coredump_filter in core(5), or the core is cut off)."
    if len(lost) > 1 and len(lost) == len(threads):
        return (Gap("stack", why.replace("at its stack pointer", "at any thread's stack pointer")),)
    return tuple(Gap("stack", why, tid) for tid in lost)


def _is_held(memory: MemoryReader, address: int) -> bool:
    try:
        return bool(memory.read(address, 8))
    except MemoryUnreadable:
        return False
