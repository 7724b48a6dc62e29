"""The signal handlers of a process as the kernel keeps them, by a BPF task iterator. /proc tells which signals are caught, but not how."""

from __future__ import annotations

import errno

from tinspect.backends.kernel_tasks import with_kernel_offsets
from tinspect.formats.signal_action import signal_handler_of
from tinspect.model.gap import Gap
from tinspect.model.signals import SignalHandler
from tinspect.model.source import Source
from tinspect.native import _inspect

SignalHandlers = tuple[tuple[SignalHandler, ...] | None, tuple[Gap, ...]]
# Whoever lacks the rights, or a kernel that has them, is told so of the alternate stacks; a process that has ended needs no words here.
_SAID_ELSEWHERE = frozenset({errno.EPERM, errno.EACCES, errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.ENOSYS})


def read_signal_handlers(pid: int) -> SignalHandlers:
    """All handlers of ``pid`` by signal, or None where they cannot be learnt, and why. Never raises."""
    try:
        actions = with_kernel_offsets(lambda offsets: _inspect.bpf_signal_actions(pid, offsets))
    except OSError as error:
        if error.errno in _SAID_ELSEWHERE:
            return None, ()
        return None, (Gap("signal_handlers", f"{error.strerror}."),)
    found = (signal_handler_of(number, *action, Source.BPF) for number, action in enumerate(actions, 1))
    return tuple(handler for handler in found if handler is not None), ()
