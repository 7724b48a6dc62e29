"""The composition root: chooses backend and libc, owns lifetimes. The only file that names concrete backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tinspect.analyses import waits
from tinspect.analyses.assemble import Tools, build_context, build_report
from tinspect.analyses.registry import find_registries, plan_capture
from tinspect.analyses.tls_variables import variables_of_symbols
from tinspect.analyses.variables import DebugVariables
from tinspect.errors import LayoutUnknown, TargetNotFound, TinspectError
from tinspect.libc.detect import detect_libc
from tinspect.libc.layout_cache import user_cache
from tinspect.libc.protocol import Libc
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack
from tinspect.model.gap import Gap
from tinspect.model.options import (
    ALL_SECTIONS,
    AltstackMode,
    AttachOptions,
    Progress,
    RunOptions,
    Section,
    SnapshotOptions,
    SnapshotSummary,
    no_progress,
)
from tinspect.model.report import ProcessReport
from tinspect.model.thread import Thread
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import SymbolStore, SymbolTable
from tinspect.target.plan import CapturePlan
from tinspect.target.target import Backend, Snapshot, Target, TargetKind
from tinspect.unwind.steps import StepStore
from tinspect.unwind.unwinder import Unwinder

if TYPE_CHECKING:
    from tinspect.backends.signal_stack_sources import SignalStackSource
    from tinspect.backends.supervisor import Arrest
    from tinspect.model.crash import Instruction
    from tinspect.model.doctor import DoctorCheck
    from tinspect.model.whatis import WhatIs

# Backends are imported where they are opened: each command pays for its own alone.


class Knowledge:
    """What stays true of a target from one capture to the next: symbols and unwind rules by build id, the libc by its place."""

    def __init__(self, target: Target) -> None:
        images = ImageStore(target.files)
        self.symbols = SymbolStore(images)
        self.steps = StepStore(images)
        self._libc: tuple[object, Libc | None, tuple[Gap, ...]] | None = None

    def libc_of(self, target: Target, symbols: SymbolTable) -> tuple[Libc | None, tuple[Gap, ...]]:
        """The target's libc, learnt once for the same set of modules."""
        key = tuple((module.path, module.build_id, module.load_bias) for module in target.modules)
        if self._libc is None or self._libc[0] != key:
            self._libc = (key, *self._detect(target, symbols))
        return self._libc[1:]

    def _detect(self, target: Target, symbols: SymbolTable) -> tuple[Libc | None, tuple[Gap, ...]]:
        try:
            return detect_libc(target, symbols, user_cache()), ()
        except LayoutUnknown as error:
            return None, (Gap("libc", str(error)),)


class Inspector:
    """One target, reported on once or again and again; a context manager. Symbols and unwind rules are kept in between.

    ``open_backend`` is called for every report, because a running process maps and unmaps in between. Everything here raises what
    the backend raises: TargetNotFound, TargetRefused, TargetLost, UnsupportedTarget, FormatError.
    """

    def __init__(self, open_backend: Callable[[AttachOptions], Backend]) -> None:
        self._open_backend = open_backend
        self._backend: Backend | None = None
        self._knowledge: Knowledge | None = None

    def __enter__(self) -> Inspector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the target. What was reported stays valid."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def report(self, options: AttachOptions, progress: Progress = no_progress) -> ProcessReport:
        """Captures the target and reports on it."""
        snapshot, tools = self.capture(options, progress)
        progress("analysing", 0, None)
        return build_report(snapshot, tools, options)

    def capture(
        self,
        options: AttachOptions,
        progress: Progress = no_progress,
        extra: Callable[[Target], CapturePlan] = lambda _: CapturePlan(),
    ) -> tuple[Snapshot, Tools]:
        """A snapshot, and what the analyses need besides it. ``extra`` says what else to copy."""
        self.close()
        progress("looking at the target", 0, None)
        backend = self._backend = self._open_backend(options)
        knowledge = self._knowledge or Knowledge(backend.target)
        self._knowledge = knowledge
        before = SymbolTable(backend.target.modules, knowledge.symbols)
        libc, gaps = knowledge.libc_of(backend.target, before)
        registries, registry_gaps = find_registries(backend.target, before)
        plan = plan_capture(backend.target, registries) + waits.plan_capture(backend.target.architecture)
        plan += extra(backend.target)
        progress("capturing", 0, None)
        snapshot = backend.capture(plan + libc.capture_plan() if libc is not None else plan)
        absent = _absent_threads(snapshot, options.tids or frozenset())
        tools = replace(self._tools(snapshot, backend, knowledge, libc), registries=registries)
        if _asks_for_storage(options):
            tools = replace(tools, thread_locals=SymbolTable(snapshot.modules, knowledge.symbols).tls_variables)
        return replace(snapshot, gaps=(*snapshot.gaps, *gaps, *registry_gaps, *absent)), tools

    def whatis(
        self, addresses: Sequence[int], options: AttachOptions, progress: Progress = no_progress
    ) -> tuple[WhatIs, ...]:
        """What each address is, at the moment of one capture."""
        from tinspect.analyses import whatis as whatis_analysis

        snapshot, tools = self.capture(options, progress)
        report = build_report(snapshot, tools, options)
        memory = self._backend.target.memory if self._backend is not None else snapshot.memory
        explainer = whatis_analysis.Explainer(build_context(snapshot, tools), report, memory, tools.variables)
        return tuple(explainer.explain(address) for address in addresses)

    def instructions(self, pc: int) -> tuple[Instruction, ...]:
        """The code around ``pc`` as the target last reported on has it; nothing is stopped for it. () when it cannot be read."""
        from tinspect.analyses.instructions import instructions_around

        if self._backend is None or self._knowledge is None:
            return ()
        target = self._backend.target
        symbols = SymbolTable(target.modules, self._knowledge.symbols)
        return instructions_around(target.memory, symbols, target.architecture.name, pc)

    def _tools(self, snapshot: Snapshot, backend: Backend, knowledge: Knowledge, libc: Libc | None) -> Tools:
        symbols = SymbolTable(snapshot.modules, knowledge.symbols)
        unwinder = Unwinder(
            snapshot.memory,
            snapshot.modules,
            snapshot.files,
            snapshot.architecture,
            symbols,
            mappings=snapshot.mappings,
            steps=knowledge.steps,
        )

        def unwind(thread: Thread, stack: AddressRange | None) -> CallStack:
            if thread.registers is None:
                return CallStack(thread.tid, (), "its registers are not known", complete=False)
            return unwinder.unwind(thread.tid, thread.registers, stack)

        return Tools(
            symbols,
            libc,
            unwind,
            backend.scanner,
            thread_locals=variables_of_symbols(knowledge.symbols),
            variables=DebugVariables(symbols, unwinder),
        )


def _asks_for_storage(options: AttachOptions) -> bool:
    """Whether thread-local storage was asked for by name, or threads were: only then are the types of variables worth the tenth of a second
    that reading a library's debug information takes."""
    return Section.TLS in options.sections and (options.tids is not None or options.sections != ALL_SECTIONS)


def _absent_threads(snapshot: Snapshot, wanted: frozenset[int]) -> tuple[Gap, ...]:
    """The wanted threads that the target has not, as gaps. Raises TargetNotFound when it has none of them."""
    absent = sorted(wanted - {thread.tid for thread in snapshot.threads})
    if absent and len(absent) == len(wanted):
        named = ", ".join(map(str, absent))
        raise TargetNotFound(f"The target has no thread {named}.", "Leave out --tid to see the threads it has.")
    return tuple(
        Gap("threads", "the target has no such thread. Leave out --tid to see those it has.", t) for t in absent
    )


def attach(pid: int) -> Inspector:
    """A running process. Nothing happens to it before the first report."""
    return Inspector(lambda options: _open_process(pid, options))


def open_core_file(core: str | Path | BinaryIO, executable: str | None = None, sysroot: str | None = None) -> Inspector:
    """A core dump; ``core`` and ``executable`` may come in either order."""
    from tinspect.backends.core import open_core

    return Inspector(lambda _: open_core(core, executable, sysroot))


def _open_process(pid: int, options: AttachOptions) -> Backend:
    timeout_ms = int(options.timeout * 1000)
    if options.passive:
        from tinspect.backends.passive import open_passive
        from tinspect.backends.running_process import open_running

        return open_passive(open_running(pid, TargetKind.PASSIVE), timeout_ms if options.stop_busy else None)
    from tinspect.backends.live import open_live
    from tinspect.backends.stopping import StopOptions

    signal_stacks = _signal_stack_source(options.altstack, timeout_ms)
    return open_live(pid, signal_stacks, StopOptions(options.tids, timeout_ms))


def _signal_stack_source(mode: AltstackMode, timeout_ms: int) -> SignalStackSource:
    """What no option asks for must not touch the target: the best way there is (auto) never is injection."""
    from tinspect.backends.signal_stack_sources import ByBpf, ByInjection, NotAsked

    match mode:
        case AltstackMode.OFF:
            return NotAsked()
        case AltstackMode.INJECT:
            return ByInjection(timeout_ms)
        case AltstackMode.AUTO | AltstackMode.BPF:
            return ByBpf()


def open_inferior() -> Inspector:
    """The inferior that gdb has selected; only inside gdb."""

    def open_selected(options: AttachOptions) -> Backend:
        from tinspect.backends.gdb_inferior import open_gdb

        return open_gdb(kernel_tasks=options.altstack is not AltstackMode.OFF)

    return Inspector(open_selected)


def open_target(target: str, executable: str | None = None, sysroot: str | None = None) -> Inspector:
    """A pid in digits, or a core file. A file named in digits is meant by a path: ./123."""
    return attach(int(target)) if target.isdecimal() else open_core_file(target, executable, sysroot)


def attach_report(pid: int, options: AttachOptions, progress: Progress = no_progress) -> ProcessReport:
    """The report of a running process."""
    with attach(pid) as inspector:
        return inspector.report(options, progress)


def core_report(
    core: str | Path | BinaryIO,
    executable: str | None,
    options: AttachOptions,
    sysroot: str | None = None,
    progress: Progress = no_progress,
) -> ProcessReport:
    """The report of a core dump."""
    with open_core_file(core, executable, sysroot) as inspector:
        return inspector.report(options, progress)


def whatis(
    target: str,
    addresses: Sequence[int],
    options: AttachOptions,
    progress: Progress = no_progress,
    *,
    executable: str | None = None,
    sysroot: str | None = None,
) -> tuple[WhatIs, ...]:
    """What each address of a process or a core is."""
    with open_target(target, executable, sysroot) as inspector:
        return inspector.whatis(addresses, options, progress)


def write_snapshot(pid: int, path: str, options: SnapshotOptions, progress: Progress = no_progress) -> SnapshotSummary:
    """Captures a running process in one stop, and writes it as an ELF core."""
    with attach(pid) as inspector:
        return _write_snapshot(inspector, pid, path, options, progress)


def _write_snapshot(
    inspector: Inspector, pid: int, path: str, options: SnapshotOptions, progress: Progress
) -> SnapshotSummary:
    from tinspect.backends import snapshot_file
    from tinspect.backends.snapshot_plan import snapshot_plan, touched_pages

    wanted = AttachOptions(altstack=options.altstack, timeout=options.timeout)
    snapshot, _ = inspector.capture(
        wanted,
        progress,
        lambda target: snapshot_plan(target, touched_pages(pid), heap=options.heap, full=options.full),
    )
    progress("writing", 0, None)
    size = snapshot_file.write_snapshot(
        snapshot, Path(path), full=options.full, compress="zstd" if options.compress else None
    )
    return SnapshotSummary(
        path=path,
        file_size=size,
        captured=sum(part.size for part in snapshot.memory.readable(AddressRange(0, 1 << 64))),
        threads=len(snapshot.threads),
        pause_us=snapshot.pause_us,
        missing=tuple(gap.why for gap in snapshot.gaps),
    )


def doctor(pid: int | None) -> tuple[DoctorCheck, ...]:
    """What this machine and these rights allow, and what they allow with one process."""
    from tinspect.backends.machine import check_machine, check_process

    return (*check_machine(), *(check_process(pid) if pid is not None else ()))


def run_command(
    command: Sequence[str],
    run: RunOptions,
    options: AttachOptions,
    deliver: Callable[[ProcessReport, str], None],
    fail: Callable[[TinspectError | OSError], None],
) -> int:
    """Runs a program under supervision; ``deliver`` gets each report and why it was made, ``fail`` why one could not be made or
    written. The status is the program's own."""
    from tinspect.backends import launch

    def attend(arrest: Arrest) -> None:
        try:
            look(arrest)
        except (TinspectError, OSError) as problem:  # no concern of the program's, nor of its status
            fail(problem)

    def look(arrest: Arrest) -> None:
        with Inspector(lambda wanted: launch.ArrestedBackend(_open_process(arrest.pid, wanted), arrest)) as inspector:
            if run.output is None:
                deliver(inspector.report(options), _why(arrest))
            else:
                wanted = SnapshotOptions(altstack=options.altstack, timeout=options.timeout)
                _write_snapshot(inspector, arrest.pid, run.output, wanted, no_progress)

    return launch.run_command(command, attend, signals=run.signals, after=run.after, children=run.children)


def _why(arrest: Arrest) -> str:
    from tinspect.formats.siginfo import signal_name

    if arrest.signal is None:
        return f"process {arrest.pid} as it runs: time is up."
    name = signal_name(arrest.signal.number)
    fate = "is about to die by it" if arrest.fatal else "goes on"
    return f"process {arrest.pid}: thread {arrest.tid} got {name}, and {fate}."
