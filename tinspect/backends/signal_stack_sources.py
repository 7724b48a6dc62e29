"""The ways to learn the alternate signal stacks of a running process, and its signal handlers; /proc shows neither (sigaltstack(2))."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Protocol

from tinspect.backends.injection_places import find_own_stacks, find_process_gadgets
from tinspect.backends.kernel_actions import SignalHandlers, read_signal_handlers
from tinspect.backends.kernel_tasks import read_kernel_tasks
from tinspect.backends.running_process import RunningProcess
from tinspect.backends.signal_stack_reasons import NOT_ASKED
from tinspect.backends.stopping import Stop
from tinspect.errors import TargetRefused
from tinspect.formats.signal_stack import signal_stack_of
from tinspect.model.gap import Gap
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack
from tinspect.native import _inspect
from tinspect.target.plan import StackRule

SignalStacks = tuple[Mapping[int, SignalStack], tuple[Gap, ...]]


class SignalStackSource(Protocol):
    """One way to learn them."""

    def read(self, process: RunningProcess, stop: Stop, rule: StackRule | None) -> SignalStacks:
        """What could be learnt of the threads of ``stop``, by tid, and why the rest could not. Never raises. ``rule`` is the plan's."""
        ...

    def read_handlers(self, process: RunningProcess) -> SignalHandlers:
        """The process's signal handlers, or None and why they could not be learnt. Never raises."""
        ...


class NotAsked:
    """Learns nothing: signal frames and the runtime's registry are all there is then."""

    def read(self, process: RunningProcess, stop: Stop, rule: StackRule | None) -> SignalStacks:  # noqa: ARG002 (the protocol's)
        """See SignalStackSource."""
        return {}, (NOT_ASKED,)

    def read_handlers(self, process: RunningProcess) -> SignalHandlers:  # noqa: ARG002 (the protocol's)
        """See SignalStackSource."""
        return None, ()


class ByBpf:
    """Asks the kernel by a BPF task iterator."""

    def read(self, process: RunningProcess, stop: Stop, rule: StackRule | None) -> SignalStacks:  # noqa: ARG002 (the protocol's)
        """See SignalStackSource."""
        try:
            tasks = read_kernel_tasks(process.pid, process.architecture, registers=False)
        except TargetRefused as error:
            return {}, (Gap("sigaltstack", f"{error} --altstack inject asks the threads themselves."),)
        pointers = {thread.tid: thread.registers.sp for thread in stop.threads if thread.registers is not None}
        found = {
            task.tid: signal_stack_of(
                task.altstack_low, task.altstack_size, task.altstack_flags, pointers.get(task.tid), Source.BPF
            )
            for task in tasks
        }
        return found, ()

    def read_handlers(self, process: RunningProcess) -> SignalHandlers:
        """See SignalStackSource."""
        return read_signal_handlers(process.pid)


class ByInjection:
    """Lets each thread run sigaltstack(NULL, …) once, stopped anew for it: the only way that touches the target, and so never chosen
    but when asked for. A thread that might be harmed is left alone, and the reason is its gap (inject_check.c has them)."""

    def __init__(self, timeout_ms: int) -> None:
        """``timeout_ms`` bounds the wait for the threads of a batch to stop."""
        self._timeout_ms = timeout_ms

    def read(self, process: RunningProcess, stop: Stop, rule: StackRule | None) -> SignalStacks:
        """See SignalStackSource."""
        gadgets = find_process_gadgets(process)
        if gadgets is None:
            return {}, (
                Gap("sigaltstack", "nothing was injected: its libc lacks the instructions that are needed for it."),
            )
        stacks = find_own_stacks(process, stop, rule)
        threads = [thread for thread in stop.threads if thread.registers is not None]
        gaps = [_left_alone(thread.tid, "its own stack is not known") for thread in threads if thread.tid not in stacks]
        places = [(tid, stack.low, stack.high) for tid, stack in stacks.items()]
        try:
            answers = _inspect.inject_sigaltstack(process.pid, places, gadgets, timeout_ms=self._timeout_ms)
        except OSError as error:
            return {}, (Gap("sigaltstack", f"nothing was injected: {_words(error)}."),)
        pointers = {thread.tid: thread.registers.sp for thread in threads if thread.registers is not None}
        found = {
            tid: signal_stack_of(low, size, flags, pointers.get(tid), Source.INJECTED)
            for tid, low, size, flags, _, why in answers
            if why is None
        }
        gaps += [_left_alone(tid, why) for tid, *_, why in answers if why is not None]
        return found, tuple(gaps)

    def read_handlers(self, process: RunningProcess) -> SignalHandlers:  # noqa: ARG002 (the protocol's)
        """See SignalStackSource."""
        return None, ()


def _left_alone(tid: int, why: str) -> Gap:
    return Gap("sigaltstack", f"nothing was injected: {why}.", tid)


def _words(error: OSError) -> str:
    return "it works on x86-64 alone" if error.errno == errno.ENOSYS else error.strerror or str(error)
