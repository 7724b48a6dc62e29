"""What every analysis is given: the snapshot and what was already concluded from it. Later facts build on earlier ones, never back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinspect.libc.protocol import Libc, LibcThreads, ThreadDescriptor
from tinspect.model.frame import CallStack
from tinspect.model.thread import Thread
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.target import Snapshot


@dataclass(frozen=True, slots=True)
class Context:
    """The ground all analyses stand on. ``libc`` is None when the target has none that we know; ``call_stacks`` are by tid."""

    snapshot: Snapshot
    symbols: Symbolizer
    libc: Libc | None
    libc_threads: LibcThreads
    call_stacks: Mapping[int, CallStack] = field(default_factory=dict)

    def descriptor(self, thread: Thread) -> ThreadDescriptor | None:
        """libc's descriptor of ``thread``, or None for a thread no libc knows."""
        return self.libc_threads.descriptors.get(thread.tid)
