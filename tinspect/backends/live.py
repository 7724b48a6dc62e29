"""A running process, captured in one short stop (ptrace(2), PTRACE_SEIZE). Between captures it runs on untouched."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tinspect.backends.page_runs import read_page_runs, stack_areas
from tinspect.backends.process_memory import ProcessScanner, UnchangingMemory
from tinspect.backends.refusal import explain_refusal
from tinspect.backends.running_process import RunningProcess, open_running
from tinspect.backends.signal_stack_sources import SignalStackSource
from tinspect.errors import FormatError, TargetLost, TinspectError
from tinspect.model.gap import Gap
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Exactness, Thread
from tinspect.native import _inspect
from tinspect.target.memory import LayeredMemory, SegmentMemory
from tinspect.target.plan import CapturePlan
from tinspect.target.target import PageFlag, PageRun, Snapshot


@dataclass(frozen=True, slots=True)
class StopOptions:
    """``tids`` None stops every thread; ``timeout_ms`` bounds the wait for threads to stop."""

    tids: frozenset[int] | None = None
    timeout_ms: int = 2000


class LiveBackend:
    """Fulfils ``target.Backend`` over a running process."""

    def __init__(self, process: RunningProcess, signal_stacks: SignalStackSource, options: StopOptions) -> None:
        self._process = process
        self._signal_stacks = signal_stacks
        self._options = options

    @property
    def target(self) -> RunningProcess:
        """The process as it runs."""
        return self._process

    def capture(self, plan: CapturePlan) -> Snapshot:
        """One stop. Raises TargetRefused, TargetLost."""
        process = self._process
        pause_ns, _, raw_threads, segments, raw_gaps = self._stop(plan)
        captured = SegmentMemory(segments)
        threads, thread_gaps = self._threads(raw_threads)
        signal_stacks, altstack_gaps = self._signal_stacks.read(process, threads)
        pages, page_gaps = self._pages(threads, captured, plan, signal_stacks)
        return Snapshot(
            kind=process.kind,
            architecture=process.architecture,
            facts=process.facts,
            memory=LayeredMemory([captured, UnchangingMemory(process.memory, process.mappings)]),
            mappings=process.mappings,
            modules=process.modules,
            files=process.files,
            threads=threads,
            pages=pages,
            guard_flags_known=pages is not None and all(run.flag is not PageFlag.MAYBE_GUARD for run in pages),
            signal_stacks=signal_stacks,
            pause_us=pause_ns // 1000,
            gaps=(*(_gap(*gap) for gap in raw_gaps), *thread_gaps, *altstack_gaps, *page_gaps),
        )

    @property
    def scanner(self) -> ProcessScanner:
        """Searches the memory of the process as it runs."""
        return ProcessScanner(self._process.pid)

    def close(self) -> None:
        """Nothing is held: the target was released when the capture ended."""

    def _stop(self, plan: CapturePlan) -> _RawCapture:
        rule = plan.stack_rule
        try:
            return _inspect.capture(
                self._process.pid,
                fixed=[(area.low, area.size) for area in plan.fixed],
                thread_relative=plan.thread_relative,
                thread_tables=[(t.offset, t.count, t.before, t.size - t.before) for t in plan.thread_tables],
                lists=[(x.head, x.link_offset, x.record_offset, x.record_size, x.limit) for x in plan.lists],
                stack_rule=(rule.first, rule.second, int(rule.kind)) if rule is not None else None,
                mappings=[(m.range.low, m.range.high) for m in self._process.mappings],
                red_zone=self._process.architecture.red_zone,
                stack_cap=plan.stack_cap,
                tids=sorted(self._options.tids) if self._options.tids is not None else None,
                timeout_ms=self._options.timeout_ms,
            )
        except OSError as error:
            raise self._explain(error) from None

    def _explain(self, error: OSError) -> TinspectError:
        pid = self._process.pid
        if error.errno == errno.EPERM:
            return explain_refusal(pid)
        if error.errno == errno.ESRCH:
            return TargetLost(f"Process {pid} ended before it could be captured.", "Start it again and attach sooner.")
        return TargetLost(
            f"Process {pid} could not be stopped: {error.strerror}.",
            f"It may sit in uninterruptible sleep; without stopping: tinspect attach --passive {pid}",
        )

    def _threads(self, raw: Iterable[_RawThread]) -> tuple[tuple[Thread, ...], tuple[Gap, ...]]:
        before = {thread.tid: thread for thread in self._process.threads}
        threads: list[Thread] = []
        gaps: list[Gap] = []
        for entry in raw:
            tid, error = entry[0], entry[5]
            thread = before.get(tid) or self._process.proc.thread(tid) or Thread(tid, is_main=tid == self._process.pid)
            if error == errno.ESRCH and thread.state != "zombie":
                continue  # it ended meanwhile: no thread of this moment
            if error:
                gaps.append(Gap("registers", _REFUSED.get(error, f"it could not be stopped (errno {error})."), tid))
            threads.append(self._with_registers(thread, entry))
        return tuple(sorted(threads, key=lambda t: (not t.is_main, t.tid))), tuple(gaps)

    def _with_registers(self, thread: Thread, entry: _RawThread) -> Thread:
        try:
            registers = self._process.architecture.registers.parse(entry[2])
        except FormatError:
            return thread
        return replace(thread, registers=registers, thread_pointer=entry[3] or None, exactness=Exactness.STOPPED)

    def _pages(
        self, threads: tuple[Thread, ...], captured: SegmentMemory, plan: CapturePlan, stacks: Mapping[int, SignalStack]
    ) -> tuple[tuple[PageRun, ...] | None, tuple[Gap, ...]]:
        areas = stack_areas(threads, captured, plan.stack_rule, self._process.mappings, stacks.values())
        try:
            return read_page_runs(self._process.pid, areas), ()
        except OSError as error:
            why = f"/proc/{self._process.pid}/pagemap cannot be read ({error.strerror}): peak use and guards are not known."
            return None, (Gap("pages", why),)


_RawThread = tuple[int, int, bytes, int, int, int]
_RawCapture = tuple[int, int, tuple[_RawThread, ...], tuple[tuple[int, bytes], ...], tuple[tuple[str, int, int], ...]]

_REFUSED = {
    errno.EPERM: "another tracer holds it.",
    errno.ETIMEDOUT: "it did not stop in time: it sits in uninterruptible sleep, as a parent in vfork(2) does.",
}


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


def open_live(pid: int, signal_stacks: SignalStackSource, options: StopOptions) -> LiveBackend:
    """Opens a running process. Raises TargetNotFound, TargetRefused, TargetLost, UnsupportedTarget."""
    return LiveBackend(open_running(pid), signal_stacks, options)
