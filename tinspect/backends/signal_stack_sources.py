"""The ways to learn the alternate signal stacks of a running process; /proc shows them nowhere (sigaltstack(2))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tinspect.backends.kernel_tasks import read_kernel_tasks
from tinspect.backends.running_process import RunningProcess
from tinspect.errors import TargetRefused
from tinspect.formats.signal_stack import signal_stack_of
from tinspect.model.gap import Gap
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Thread

SignalStacks = tuple[Mapping[int, SignalStack], tuple[Gap, ...]]


class SignalStackSource(Protocol):
    """One way, or several in order."""

    def read(self, process: RunningProcess, threads: tuple[Thread, ...]) -> SignalStacks:
        """What could be learnt, by tid, and why the rest could not. Never raises."""
        ...


class NotAsked:
    """Learns nothing: signal frames and the runtime's registry are all there is then."""

    def read(self, process: RunningProcess, threads: tuple[Thread, ...]) -> SignalStacks:  # noqa: ARG002 (the protocol's)
        """See SignalStackSource."""
        return {}, ()


class ByBpf:
    """Asks the kernel by a BPF task iterator."""

    def read(self, process: RunningProcess, threads: tuple[Thread, ...]) -> SignalStacks:
        """See SignalStackSource."""
        try:
            tasks = read_kernel_tasks(process.pid, process.architecture, registers=False)
        except TargetRefused as error:
            return {}, (Gap("sigaltstack", str(error)),)
        pointers = {thread.tid: thread.registers.sp for thread in threads if thread.registers is not None}
        found = {
            task.tid: signal_stack_of(
                task.altstack_low, task.altstack_size, task.altstack_flags, pointers.get(task.tid), Source.BPF
            )
            for task in tasks
        }
        return found, ()
