"""Watches a program run until it ends, dies, or takes a signal that was asked for. Signals and the terminal pass through.

A phase of watching is a thread of its own, because to the kernel the tracer is a thread: when it ends, its tracees run on without
having been stopped, and can be captured as any process can. A thread that was about to take a fatal signal takes SIGSTOP in its
place, so that the process stands where it was struck while it is looked at; after that it takes the signal after all.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from tinspect.backends import tracing
from tinspect.backends.tracing import Change
from tinspect.errors import FormatError, TargetLost
from tinspect.formats.procfs import parse_status
from tinspect.formats.siginfo import SI_KERNEL, parse_siginfo
from tinspect.model.thread import SignalStop

# Taken off this process's own hands while it watches. The terminal sends the first ones to the program as well.
FORWARDED = frozenset(
    (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
)  # fmt: skip
_TERMINAL_STOPS = frozenset((signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
_STOPS = _TERMINAL_STOPS | {signal.SIGSTOP}
# A fault comes again when its instruction does.
_FAULTS = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE))
_LONGEST_WAIT = 3600.0
_STOP_PATIENCE = 1.0
_ENDED = frozenset(("zombie", "dead", ""))


@dataclass(frozen=True, slots=True)
class Held:
    """A signal kept from the thread that was about to take it, to be taken after the look."""

    pid: int
    tid: int
    number: int
    info: bytes

    @property
    def comes_again(self) -> bool:
        """Whether the thread will raise it by itself: a fault, not a signal that somebody sent."""
        return self.number in _FAULTS and len(self.info) >= 24 and parse_siginfo(self.info).code > 0


@dataclass(frozen=True, slots=True)
class Arrest:
    """A moment to look at the program. ``tid`` and ``signal`` are None when only time is up. ``fatal``: the signal will end the
    process ``pid``, which is stopped until the watch goes on."""

    pid: int
    tid: int | None = None
    signal: SignalStop | None = None
    fatal: bool = False
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The program is over; ``status`` is what a shell would say."""

    status: int


@dataclass(slots=True)
class Watch:
    """What to wait for. ``signals`` are arrested also where they are handled; ``deadline`` is by time.monotonic().

    ``held`` and ``dying`` come from the arrest before: signals to be taken now, and processes that stand stopped and whose death has
    been looked at. ``gate`` is the descriptor that lets a new program begin.
    """

    pid: int
    signals: frozenset[int] = frozenset()
    deadline: float | None = None
    children: bool = False
    held: tuple[Held, ...] = ()
    dying: frozenset[int] = frozenset()
    gate: int | None = None
    _outcome: Arrest | Ended | None = field(default=None, init=False)
    _unsettled: set[int] = field(default_factory=set, init=False)
    _error: BaseException | None = field(default=None, init=False)
    _native_id: int = field(default=0, init=False)

    def run(self) -> Arrest | Ended:
        """Watches until something happens; afterwards nothing is traced. Raises PermissionError when tracing is not allowed.

        The caller has FORWARDED and SIGCHLD blocked in every thread.
        """
        thread = threading.Thread(target=self._run, name="watch")
        thread.start()
        thread.join()
        # The thread is joined a little before the kernel lets its tracees go (do_exit); its entry in /proc goes after that.
        while os.path.exists(f"/proc/self/task/{self._native_id}"):  # noqa: PTH110 (a tight loop)
            time.sleep(0.0001)
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise TargetLost(f"Process {self.pid} was lost while it was watched.")
        return self._outcome

    def _run(self) -> None:
        self._native_id = threading.get_native_id()
        try:
            self._seize_all()
            self._start()
            self._wait()
            if isinstance(self._outcome, Arrest) and self._outcome.fatal:
                self._settle(self._outcome.pid)
        except BaseException as error:  # handed over to the thread that waits
            self._error = error

    def _seize_all(self) -> None:
        """Every thread of the program, and with ``children`` of its descendants. Threads that come meanwhile are found by looking
        again; those of a traced thread are traced by birth."""
        seized: set[int] = set()
        pids = [self.pid]
        for pid in pids:
            while fresh := set(tracing.tasks(pid)) - seized:
                for tid in fresh:
                    seized.add(tid)
                    self._seize(tid)
            if self.children:
                pids += [child for child in tracing.children(pid) if child not in pids]

    def _seize(self, tid: int) -> None:
        try:
            tracing.seize(tid, self.children)
        except ProcessLookupError:
            return  # it ended
        except PermissionError:
            # Traced by birth already, or a zombie, or not ours to trace: then the leader's refusal counts.
            if tid == self.pid and tracing.state(tid) not in _ENDED:
                raise

    def _start(self) -> None:
        """Lets the program run: for the first time, or on after an arrest."""
        if self.gate is not None:
            os.write(self.gate, b"x")
            os.close(self.gate)
            self.gate = None
        for held in self.held:
            if not held.comes_again:
                tracing.send(held.pid, held.tid, held.number)
        for pid in self.dying:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _wait(self) -> None:
        waited = {signal.SIGCHLD, *FORWARDED}
        while not self._is_over():
            left = _LONGEST_WAIT if self.deadline is None else self.deadline - time.monotonic()
            if left <= 0:
                self._outcome = Arrest(self.pid)
                return
            received = signal.sigtimedwait(waited, min(left, _LONGEST_WAIT))
            if received is not None and received.si_signo != signal.SIGCHLD:
                self._forward(received.si_signo, received.si_code)

    def _is_over(self) -> bool:
        self._take_changes()
        return self._outcome is not None

    def _settle(self, pid: int) -> None:
        """Waits until every thread of an arrested process stands. One that is about to take a fatal signal of its own would end the
        process as soon as it is let go, before anybody has looked: it takes SIGSTOP as well."""
        deadline = time.monotonic() + _STOP_PATIENCE
        self._unsettled = {tid for tid in tracing.tasks(pid) if tracing.state(tid) not in {"stopped", *_ENDED}}
        while self._unsettled and time.monotonic() < deadline:
            self._take_changes()
            self._unsettled = {tid for tid in self._unsettled if tracing.state(tid) not in {"stopped", *_ENDED}}
            time.sleep(0.0005)

    def _forward(self, number: int, code: int) -> None:
        """A signal to this process goes on to the program, unless the terminal has sent it to both."""
        if code != SI_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _take_changes(self) -> None:
        """Deals with all there is now."""
        while True:
            try:
                change = tracing.next_change()
            except ChildProcessError:
                return
            if change is None:
                return
            if change.exit_status is not None:
                self._take_end(change.tid, change.exit_status)
                if isinstance(self._outcome, Ended):
                    return
            elif change.event == 0:
                self._take_signal(change.tid, change.signal)
            else:
                self._take_event(change)

    def _take_end(self, tid: int, status: int) -> None:
        tracing.forget(tid)
        if tid == self.pid:
            self._outcome = Ended(status)

    def _take_event(self, change: Change) -> None:
        if change.event == tracing.EVENT_STOP and change.signal in _STOPS:
            # Job control stopped the program: it stays so, and with it, where a terminal did it, this process.
            tracing.forget(change.tid)
            tracing.listen(change.tid)
            if change.tid == self.pid and change.signal in _TERMINAL_STOPS:
                os.kill(os.getpid(), signal.SIGSTOP)
        else:
            tracing.go_on(change.tid)

    def _take_signal(self, tid: int, number: int) -> None:
        held = next((entry for entry in self.held if (entry.tid, entry.number) == (tid, number)), None)
        if held is not None:
            self.held = tuple(entry for entry in self.held if entry is not held)
            tracing.write_siginfo(tid, held.info)
            tracing.go_on(tid, number)
            return
        pid, fatal = _disposition(tid, number)
        if pid in self.dying or (not fatal and (number not in self.signals or self._outcome is not None)):
            tracing.go_on(tid, number)
            return
        taken = Held(pid or self.pid, tid, number, tracing.read_siginfo(tid))
        tracing.let_go(tid, signal.SIGSTOP if fatal else 0)
        self._outcome = self._arrest(taken, fatal)

    def _arrest(self, taken: Held, fatal: bool) -> Arrest:
        if isinstance(self._outcome, Arrest):
            earlier = self._outcome
            return Arrest(earlier.pid, earlier.tid, earlier.signal, earlier.fatal or fatal, (*earlier.held, taken))
        stop = SignalStop(taken.number)
        with suppress(FormatError):
            info = parse_siginfo(taken.info)
            stop = SignalStop(taken.number, info.code, info.address)
        return Arrest(taken.pid, taken.tid, stop, fatal, (taken,))


def _disposition(tid: int, number: int) -> tuple[int | None, bool]:
    """The process of a thread, and whether a signal it takes now would end that: not caught, not ignored (proc_pid_status(5))."""
    if not tracing.may_end(number):
        return None, False
    try:
        with open(f"/proc/{tid}/status", "rb") as stream:
            status = parse_status(stream.read())
    except (OSError, FormatError):
        return None, False
    masks = (status.caught_signals or 0) | (status.ignored_signals or 0)
    return status.tgid, not masks >> (number - 1) & 1


def take_late_signals() -> tuple[int, ...]:
    """The signals sent to this process that came too late for the program, still blocked: to be taken by this process instead. Those
    that the terminal has sent to both are dropped, as the program has had them: a Ctrl-C that ended it must not end this process too."""
    late = []
    while (received := signal.sigtimedwait(FORWARDED, 0)) is not None:
        if received.si_code != SI_KERNEL:
            late.append(received.si_signo)
    return tuple(late)


def watched_signals() -> Iterable[int]:
    """What a caller of Watch.run blocks."""
    return (signal.SIGCHLD, *FORWARDED)
