"""A running process, captured in one short stop (ptrace(2), PTRACE_SEIZE). Between captures it runs on untouched."""

from __future__ import annotations

from functools import partial

from tinspect.backends.page_runs import read_page_runs, stack_areas
from tinspect.backends.plan_reader import joined
from tinspect.backends.process_memory import ProcessScanner, UnchangingMemory
from tinspect.backends.running_process import RunningProcess, open_running
from tinspect.backends.signal_stack_sources import SignalStackSource
from tinspect.backends.slot_reader import read_slots
from tinspect.backends.stopping import StopOptions, stop_and_copy
from tinspect.errors import TargetLost
from tinspect.native import _inspect
from tinspect.target.memory import LayeredMemory, SegmentMemory
from tinspect.target.plan import CapturePlan
from tinspect.target.target import Snapshot


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

    @property
    def scanner(self) -> ProcessScanner:
        """Searches the memory of the process as it runs."""
        return ProcessScanner(self._process.pid)

    def close(self) -> None:
        """Nothing is held: the target was released when the capture ended."""

    def capture(self, plan: CapturePlan) -> Snapshot:
        """One stop. Raises TargetRefused, TargetLost."""
        process = self._process
        stop = stop_and_copy(process, plan, self._options)
        signal_stacks, altstack_gaps = self._signal_stacks.read(process, stop, plan.stack_rule)
        handlers, handler_gaps = self._signal_stacks.read_handlers(process)
        areas = stack_areas(stop.threads, stop.memory, plan.stack_rule, process.mappings, signal_stacks.values())
        pages = read_page_runs(process.pid, areas)
        return Snapshot(
            kind=process.kind,
            architecture=process.architecture,
            facts=process.facts,
            memory=LayeredMemory(
                [*self._moving_slots(plan), stop.memory, UnchangingMemory(process.memory, process.mappings)]
            ),
            mappings=process.mappings,
            modules=process.modules,
            files=process.files,
            threads=stop.threads,
            pages=pages.runs,
            guard_flags_known=pages.shows_guards,
            signal_stacks=signal_stacks,
            pause_us=stop.pause_ns // 1000,
            gaps=(*stop.gaps, *altstack_gaps, *handler_gaps, *pages.gaps),
            vectors=stop.vectors,
            signal_handlers=handlers,
            stood_still=self._options.tids is None,
        )

    def _moving_slots(self, plan: CapturePlan) -> tuple[SegmentMemory, ...]:
        """The plan's slots where some threads alone were stopped: the others wrote their records while these were copied. None of them
        where all stood still; a layer that holds nothing would be asked in vain for every word."""
        if self._options.tids is None:
            return ()
        pid = self._process.pid
        try:
            return (joined(read_slots(plan.slot_groups, partial(_inspect.read_ranges, pid))),)
        except OSError as error:
            raise TargetLost(f"Process {pid} could not be read: {error.strerror}.") from None


def open_live(pid: int, signal_stacks: SignalStackSource, options: StopOptions) -> LiveBackend:
    """Opens a running process. Raises TargetNotFound, TargetRefused, TargetLost, UnsupportedTarget."""
    return LiveBackend(open_running(pid), signal_stacks, options)
