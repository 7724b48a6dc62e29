"""Starts a program under supervision, so that it can be looked at in the moment it dies (`tinspect run`)."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from tinspect.backends.refusal import explain_refusal
from tinspect.backends.supervisor import Arrest, Ended, Watch, take_late_signals, watched_signals
from tinspect.errors import TargetNotFound, TargetRefused, UsageError
from tinspect.model.thread import Thread
from tinspect.target.plan import CapturePlan
from tinspect.target.scan import WordScanner
from tinspect.target.target import Backend, Snapshot, Target

_CANNOT_RUN: Final = 126  # as env(1) and its like say
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_command(
    command: Sequence[str],
    attend: Callable[[Arrest], None],
    *,
    signals: frozenset[int] = frozenset(),
    after: float | None = None,
    children: bool = False,
) -> int:
    """Runs ``command`` to its end; its exit status as a shell would say it (128 + number for a death by signal).

    ``attend`` is called at a fatal signal, at one of ``signals``, and once ``after`` seconds, with nothing traced: the process can be
    captured then. Call it from the main thread. Raises TargetNotFound, TargetRefused when it cannot be started or traced; what
    ``attend`` raises, after the program was let go.
    """
    if not command:
        raise UsageError("There is no command to run.", "tinspect run -- COMMAND [ARGUMENT ...]")
    path = _find_program(command[0])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched_signals())
    disposition = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        pid, gate = _start(path, command, before)
        return _supervise(Watch(pid, signals, _deadline(after), children, gate=gate), attend)
    finally:
        late = take_late_signals()
        signal.signal(signal.SIGCHLD, disposition)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in late:
            os.kill(os.getpid(), number)


def _deadline(after: float | None) -> float | None:
    return None if after is None else time.monotonic() + after


def _supervise(watch: Watch, attend: Callable[[Arrest], None]) -> int:
    """Watches phase by phase. An error of ``attend`` is raised when the program has ended, as it would have without us."""
    failure: BaseException | None = None
    try:
        outcome = watch.run()
    except PermissionError:
        _abandon(watch.pid)
        raise explain_refusal(watch.pid) from None
    while not isinstance(outcome, Ended):
        if failure is None:
            try:
                attend(outcome)
            except BaseException as error:  # the program is not ours to leave stopped
                failure = error
        deadline = watch.deadline if outcome.signal is not None else None
        signals = watch.signals if failure is None else frozenset()
        dying = watch.dying | ({outcome.pid} if outcome.fatal else set())
        watch = Watch(watch.pid, signals, deadline, watch.children, outcome.held, dying)
        outcome = watch.run()
    if failure is not None:
        raise failure
    return outcome.status


def _abandon(pid: int) -> None:
    """Ends a child that never came past its gate."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _start(path: str, command: Sequence[str], mask: set[int | signal.Signals]) -> tuple[int, int]:
    """A child that waits behind a gate (the descriptor to write a byte to) before it becomes ``command``."""
    gate_out, gate_in = os.pipe()
    libc = ctypes.CDLL(None)  # before the fork: the child has no need to load anything
    pid = os.fork()
    if pid == 0:
        os.close(gate_in)
        # If this process is killed while the program stands arrested, the program goes on, into its own death.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
        _become(path, command, mask, gate_out)
    os.close(gate_out)
    return pid, gate_in


def _become(path: str, command: Sequence[str], mask: set[int | signal.Signals], gate: int) -> NoReturn:
    """The child: waits to be traced, and executes the command with the signals as this process found them."""
    try:
        if not os.read(gate, 1):  # the supervisor is gone
            os._exit(_CANNOT_RUN)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # Python took these for itself
            # ... but for a SIGINT that was ignored before it, as in a job in the background: that stays so.
            if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execv(path, list(command))
    except OSError as error:
        os.write(2, f"tinspect: {path} cannot be run: {error.strerror}\n".encode("utf-8", "surrogateescape"))
    finally:
        os._exit(_CANNOT_RUN)


def _find_program(name: str) -> str:
    """The file that ``name`` stands for, by PATH. Raises TargetNotFound, TargetRefused."""
    found = shutil.which(name)
    if found is not None:
        return found
    if "/" in name and os.path.exists(name):  # noqa: PTH110 (a command, not a path to work with)
        raise TargetRefused(f"{name} may not be executed.", "Look at its permissions: ls -l.")
    raise TargetNotFound(f"There is no command {name}.", "Look for its name in PATH, or name its file.")


@dataclass(frozen=True, slots=True)
class ArrestedBackend:
    """A Backend over another one, whose captures show the signal that the arrested thread was about to take, and that thread first,
    as in a core."""

    inner: Backend
    arrest: Arrest

    @property
    def target(self) -> Target:
        """See Backend."""
        return self.inner.target

    @property
    def scanner(self) -> WordScanner:
        """See Backend."""
        return self.inner.scanner

    def capture(self, plan: CapturePlan) -> Snapshot:
        """See Backend."""
        snapshot = self.inner.capture(plan)
        marked = map(self._marked, snapshot.threads)
        return replace(snapshot, threads=tuple(sorted(marked, key=lambda thread: thread.signal is None)))

    def close(self) -> None:
        """See Backend."""
        self.inner.close()

    def _marked(self, thread: Thread) -> Thread:
        return replace(thread, signal=self.arrest.signal) if thread.tid == self.arrest.tid else thread
