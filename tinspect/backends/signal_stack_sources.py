"""The ways to learn the alternate signal stacks of a running process; /proc shows them nowhere (sigaltstack(2))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tinspect.backends.running_process import RunningProcess
from tinspect.model.gap import Gap
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
