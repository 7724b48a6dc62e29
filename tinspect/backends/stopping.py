"""One stop of a running process: what `_inspect.capture` copies, as values. Shared by the backends that stop something."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tinspect.backends.refusal import explain_refusal
from tinspect.backends.running_process import RunningProcess
from tinspect.errors import FormatError, TargetLost, TargetNotFound, TinspectError
from tinspect.model.gap import Gap
from tinspect.model.thread import Exactness, Thread
from tinspect.native import _inspect
from tinspect.target.memory import SegmentMemory
from tinspect.target.plan import CapturePlan

_RawThread = tuple[int, int, bytes, int, int, int, bytes]
_RawCapture = tuple[int, int, tuple[_RawThread, ...], tuple[tuple[int, bytes], ...], tuple[tuple[str, int, int], ...]]

_REFUSED = {
    errno.EPERM: "it may not be traced: another tracer holds it, or it is ending.",
    errno.ETIMEDOUT: "it did not stop in time: it sits in uninterruptible sleep, as a parent in vfork(2) does.",
}


@dataclass(frozen=True, slots=True)
class StopOptions:
    """``tids`` None stops every thread; ``timeout_ms`` bounds the wait for threads to stop."""

    tids: frozenset[int] | None = None
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class Stop:
    """What one stop gave: the threads as they stood, main thread first, the memory that was copied, the pause in ns; by tid the
    vector registers, where the plan asks for them."""

    threads: tuple[Thread, ...]
    memory: SegmentMemory
    pause_ns: int
    gaps: tuple[Gap, ...]
    vectors: Mapping[int, bytes] = field(default_factory=dict)


def stop_and_copy(process: RunningProcess, plan: CapturePlan, options: StopOptions) -> Stop:
    """Stops the process once, copies what the plan names, and lets it go. Raises TargetRefused, TargetLost."""
    pause_ns, _, raw, segments, raw_gaps = _capture(process, plan, options)
    threads, gaps = _threads(process, raw)
    vectors = {entry[0]: entry[6] for entry in raw if entry[6]}
    return Stop(threads, SegmentMemory(segments), pause_ns, (*(_gap(*gap) for gap in raw_gaps), *gaps), vectors)


def _capture(process: RunningProcess, plan: CapturePlan, options: StopOptions) -> _RawCapture:
    rule, names = plan.stack_rule, process.architecture.registers.names
    try:
        return _inspect.capture(
            process.pid,
            fixed=[(area.low, area.size) for area in plan.standing],
            thread_relative=plan.thread_relative,
            thread_tables=[(t.offset, t.count, t.before, t.size - t.before, t.inner) for t in plan.thread_tables],
            lists=[(x.head, x.link_offset, x.record_offset, x.record_size, x.limit) for x in plan.lists],
            thread_chains=[
                (c.offset, c.record_offset, c.record_size, c.next_offset, c.limit) for c in plan.thread_chains
            ],
            register_pointers=[
                (8 * names.index(name), before, size - before) for name, before, size in plan.register_pointers
            ],
            stack_rule=(rule.first, rule.second, int(rule.kind)) if rule is not None else None,
            mappings=[(m.range.low, m.range.high) for m in process.mappings],
            red_zone=process.architecture.red_zone,
            stack_cap=plan.stack_cap,
            tids=sorted(options.tids) if options.tids is not None else None,
            timeout_ms=options.timeout_ms,
            vectors=plan.vectors,
        )
    except OSError as error:
        raise _explain(process, options.tids, error) from None


def _explain(process: RunningProcess, tids: frozenset[int] | None, error: OSError) -> TinspectError:
    pid = process.pid
    if error.errno == errno.EPERM:
        return explain_refusal(pid)
    if error.errno == errno.ESRCH:
        if tids and tids.isdisjoint(thread.tid for thread in process.threads):
            return TargetNotFound(
                f"Process {pid} has no thread {', '.join(map(str, sorted(tids)))}.",
                f"List its threads with: ls /proc/{pid}/task",
            )
        return TargetLost(f"Process {pid} ended before it could be captured.", "Start it again and attach sooner.")
    return TargetLost(
        f"Process {pid} could not be stopped: {error.strerror}.",
        f"It may sit in uninterruptible sleep; without stopping: tinspect attach --passive {pid}",
    )


def _threads(process: RunningProcess, raw: Iterable[_RawThread]) -> tuple[tuple[Thread, ...], tuple[Gap, ...]]:
    before = {thread.tid: thread for thread in process.threads}
    threads: list[Thread] = []
    gaps: list[Gap] = []
    for entry in raw:
        tid, error = entry[0], entry[5]
        thread = before.get(tid) or process.proc.thread(tid) or Thread(tid, is_main=tid == process.pid)
        if error == errno.ESRCH and thread.state != "zombie":
            continue  # it ended meanwhile: no thread of this moment
        if error:
            gaps.append(Gap("registers", _REFUSED.get(error, f"it could not be stopped (errno {error})."), tid))
        threads.append(_with_registers(process, thread, entry))
    return tuple(sorted(threads, key=lambda t: (not t.is_main, t.tid))), tuple(gaps)


def _with_registers(process: RunningProcess, thread: Thread, entry: _RawThread) -> Thread:
    try:
        registers = process.architecture.registers.parse(entry[2])
    except FormatError:
        return thread
    return replace(thread, registers=registers, thread_pointer=entry[3] or None, exactness=Exactness.STOPPED)


def _gap(kind: str, where: int, size: int) -> Gap:
    match kind:
        case "stack" if size == 0:
            return Gap("stack", "no memory was found around its stack pointer.", where)
        case "stack":
            return Gap("stack", f"{size} bytes of its stack were left out: more is in use than the cap allows.", where)
        case "list":
            return Gap("threads", f"libc's list at {where:#x} broke off after {size} entries.")
        case "cap":
            return Gap("memory", f"{size} bytes at {where:#x} were left out: the capture had reached its size limit.")
        case "late":
            return Gap("memory", f"{size} bytes at {where:#x} were not read in time.")
        case _:
            return Gap("memory", f"{size} bytes at {where:#x} could not be read.")
