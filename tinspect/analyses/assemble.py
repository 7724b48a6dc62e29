"""All analyses in their order, each given what the earlier ones concluded: from a snapshot to the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from tinspect.analyses import (
    crash,
    guards,
    locks,
    reference_findings,
    regions,
    scopes,
    signal_handlers,
    signal_stack_findings,
    signal_stacks,
    source_lines,
    stack_findings,
    stack_references,
    stacks,
    tls_findings,
    tls_keys,
    tls_variables,
    waits,
)
from tinspect.analyses.context import Context
from tinspect.analyses.findings import sort_findings
from tinspect.analyses.reference_names import Names
from tinspect.analyses.syscalls import find_syscall
from tinspect.analyses.tls_variables import ThreadLocal, VariablesOf
from tinspect.analyses.variables import NoVariables, Variables
from tinspect.formats.auxv import AT_MINSIGSTKSZ
from tinspect.libc.protocol import Libc, LibcThreads
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack
from tinspect.model.gap import Gap
from tinspect.model.lock import Waiter
from tinspect.model.module import Module
from tinspect.model.options import AttachOptions, Section
from tinspect.model.reference import StackReference
from tinspect.model.report import Finding, LibcInfo, ProcessLimits, ProcessReport, TargetInfo, ThreadReport
from tinspect.model.signals import SignalHandler
from tinspect.model.stack import GuardRegion, SignalStack
from tinspect.model.thread import Thread
from tinspect.model.tls import ThreadTls, TlsKey
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.scan import WordScanner
from tinspect.target.target import Snapshot

_NO_LIBC, _UNKNOWN_LIBC = LibcInfo("none"), LibcInfo(None)


def no_variables(_module: Module) -> Iterable[ThreadLocal]:
    """For those who don't ask for thread-local variables."""
    return ()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the analyses work with besides the snapshot. ``unwind`` gives the frames of one thread, given its own stack where that is known.

    ``scanner`` is searched for references from heap and globals when the options ask for them;
    ``registries`` are the addresses of the runtime's registries.
    """

    symbols: Symbolizer
    libc: Libc | None
    unwind: Callable[[Thread, AddressRange | None], CallStack]
    scanner: WordScanner | None = None
    registries: tuple[int, ...] = ()
    thread_locals: VariablesOf = no_variables
    variables: Variables = field(default_factory=NoVariables)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was concluded so far, by tid where it is of a thread."""

    context: Context
    runtime: scopes.Runtime
    signal_stacks: Mapping[int, SignalStack]
    stacks: stacks.Stacks
    guards: Mapping[int, GuardRegion]
    waits: Mapping[int, Waiter]


def build_report(snapshot: Snapshot, tools: Tools, options: AttachOptions) -> ProcessReport:
    """The whole report. Sections that ``options`` leave out cost nothing unless another section stands on them."""
    options = _with_grounds(options)
    context = build_context(snapshot, tools)
    runtime = scopes.analyze(context, tools.registries)
    found, altstack_gaps = signal_stacks.analyze(context, runtime.by_tid)
    measured = stacks.analyze(context, found)
    parts = _Parts(
        context,
        runtime,
        found,
        measured,
        guards.analyze(context, measured.bounds),
        waits.analyze(context, runtime.by_tid),
    )
    handlers = signal_handlers.analyze(context)
    tls = _tls(context, tools, options, runtime.key_names)
    references = _references(parts, tools, options)
    others = tuple(gap for gap in snapshot.gaps if gap.what != signal_stacks.WHAT)
    gaps = (*others, *context.libc_threads.gaps, *altstack_gaps, *measured.gaps, *runtime.gaps, *tls.gaps)
    return ProcessReport(
        target=_target_info(snapshot, tools.libc),
        threads=tuple(
            _thread_report(parts, thread, tls.threads, options) for thread in _wanted_threads(snapshot, options)
        ),
        tls_keys=tls.keys,
        references=references,
        scopes=runtime.scopes,
        locks=locks.analyze(runtime.locks, parts.waits),
        cached_stacks=context.libc_threads.cached,
        regions=regions.analyze(context, measured.bounds, parts.guards, found),
        findings=sort_findings(
            (
                *_findings(parts, handlers),
                *tls.findings,
                *reference_findings.analyze(references, bool(tools.registries)),
            )
        ),
        incomplete=_relevant(gaps, options),
        modules=tuple(snapshot.modules),
        signal_handlers=handlers,
        crash=crash.analyze(context, measured.bounds, parts.guards),
        limits=ProcessLimits(
            snapshot.facts.stack_limit,
            snapshot.facts.auxv.get(AT_MINSIGSTKSZ),
            tools.libc.keys_max if tools.libc is not None else None,
        ),
    )


def _with_grounds(options: AttachOptions) -> AttachOptions:
    """Findings are the same whatever is shown beside them: they stand on every section that has any."""
    if Section.FINDINGS not in options.sections:
        return options
    return replace(options, sections=options.sections | {Section.TLS, Section.REFS, Section.ALTSTACKS})


def build_context(snapshot: Snapshot, tools: Tools) -> Context:
    """The ground of the analyses: libc's threads, and every thread's frames."""
    libc_threads = tools.libc.read_threads(snapshot) if tools.libc is not None else LibcThreads()
    call_stacks = {}
    for thread in snapshot.threads:
        if thread.registers is not None:
            descriptor = libc_threads.descriptors.get(thread.tid)
            bounds = descriptor.bounds if descriptor is not None else None
            call_stacks[thread.tid] = tools.unwind(thread, bounds.range if bounds is not None else None)
    return Context(snapshot, tools.symbols, tools.libc, libc_threads, call_stacks)


@dataclass(frozen=True, slots=True)
class _Tls:
    """The thread-local storage of all threads."""

    keys: tuple[TlsKey, ...] = ()
    threads: Mapping[int, ThreadTls] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


def _tls(context: Context, tools: Tools, options: AttachOptions, key_names: Mapping[int, str]) -> _Tls:
    if Section.TLS not in options.sections:
        return _Tls()
    keys, slots, key_gaps = tls_keys.analyze(context, key_names)
    storage = tls_variables.analyze(context, tools.thread_locals, options.tids)
    threads = {
        tid: ThreadTls(tid, slots.get(tid, ()), entry.blocks, entry.variables, entry.destructors)
        for tid, entry in storage.threads.items()
    }
    return _Tls(
        keys,
        threads,
        tls_findings.analyze(context, keys, slots, tools.scanner if options.heap else None),
        (*key_gaps, *storage.gaps),
    )


def _references(parts: _Parts, tools: Tools, options: AttachOptions) -> tuple[StackReference, ...]:
    if Section.REFS not in options.sections:
        return ()
    facts = stack_references.Facts(parts.stacks.bounds, parts.guards, parts.signal_stacks, parts.runtime.scopes)
    names = Names(parts.context, tools.variables, tools.thread_locals)
    return stack_references.analyze(parts.context, facts, names, tools.scanner if options.heap else None)


def _findings(parts: _Parts, handlers: tuple[SignalHandler, ...] | None) -> tuple[Finding, ...]:
    return (
        *stack_findings.analyze(parts.context, parts.stacks.bounds, parts.stacks.use, parts.guards),
        *signal_stack_findings.analyze(parts.context, parts.signal_stacks, parts.stacks.bounds),
        *signal_stack_findings.find_missing(parts.context, parts.signal_stacks, handlers or ()),
        *parts.runtime.findings,
    )


def _wanted_threads(snapshot: Snapshot, options: AttachOptions) -> tuple[Thread, ...]:
    return tuple(t for t in snapshot.threads if options.tids is None or t.tid in options.tids)


def _thread_report(parts: _Parts, thread: Thread, tls: Mapping[int, ThreadTls], options: AttachOptions) -> ThreadReport:
    context = parts.context
    descriptor = context.descriptor(thread)
    call_stack = context.call_stacks.get(thread.tid)
    if call_stack is not None and (options.tids is not None or thread.signal is not None):
        call_stack = source_lines.analyze(call_stack, context.symbols)
    innermost = call_stack.frames[0] if call_stack is not None and call_stack.frames else None
    return ThreadReport(
        thread=replace(thread, syscall=find_syscall(thread, context.snapshot.architecture, context.snapshot.memory)),
        pthread=descriptor.address if descriptor is not None else None,
        start_routine=_start_routine(context, thread),
        function=innermost.function if innermost is not None else None,
        module=innermost.module if innermost is not None else None,
        stack=parts.stacks.bounds.get(thread.tid),
        use=parts.stacks.use.get(thread.tid),
        guard=parts.guards.get(thread.tid),
        signal_stack=parts.signal_stacks.get(thread.tid),
        tls=tls.get(thread.tid),
        call_stack=call_stack,
        waits_for=parts.waits.get(thread.tid),
    )


def _start_routine(context: Context, thread: Thread) -> str | None:
    descriptor = context.descriptor(thread)
    if descriptor is None or not descriptor.start_routine:
        return None
    hit = context.symbols.find_symbol(descriptor.start_routine)
    if hit is not None and hit.offset == 0:
        return hit.name
    module = context.snapshot.modules.find(descriptor.start_routine)
    return (
        f"{descriptor.start_routine:#x}"
        if module is None
        else f"{module.name}+{descriptor.start_routine - module.range.low:#x}"
    )


def _target_info(snapshot: Snapshot, libc: Libc | None) -> TargetInfo:
    return TargetInfo(
        kind=snapshot.kind.value,
        pid=snapshot.facts.pid,
        executable=snapshot.facts.executable,
        architecture=snapshot.architecture.name,
        libc=libc.info if libc is not None else _without_libc(snapshot),
        pause_us=snapshot.pause_us,
    )


def _without_libc(snapshot: Snapshot) -> LibcInfo:
    """A libc that could not be understood is there, and named in a gap."""
    return _UNKNOWN_LIBC if any(gap.what == "libc" for gap in snapshot.gaps) else _NO_LIBC


# Gaps that only matter to whoever asked for their section; all others are told always.
_GAP_SECTIONS = {
    "sigaltstack": Section.ALTSTACKS,
    "signal_handlers": Section.ALTSTACKS,
    "tls_values": Section.TLS,
    "tls_keys": Section.TLS,
    "tls": Section.TLS,
}


def _relevant(gaps: tuple[Gap, ...], options: AttachOptions) -> tuple[Gap, ...]:
    """Each gap once, without those of sections and threads nobody asked for."""
    return tuple(
        gap
        for gap in dict.fromkeys(gaps)
        if _GAP_SECTIONS.get(gap.what, Section.THREADS) in options.sections | {Section.THREADS}
        and (options.tids is None or gap.tid is None or gap.tid in options.tids)
    )
