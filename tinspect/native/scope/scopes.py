"""`Scope`: a block that ends after its threads have."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tinspect.native import _scope
from tinspect.native.scope.handles import Handle
from tinspect.native.scope.loans import Loan
from tinspect.native.scope.running import run
from tinspect.native.scope.traits import LOAN_ONLY, traits_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULT_STACK = 0 if "TINSPECT_MIN_STACK" in os.environ else 8 << 20
"""Bytes, 0: the runtime's own, which suits C. The interpreter recurses deeper, and has this much from threading."""


class Scope:
    """Threads spawned into it have ended, Python and C thread-locals included, when its `with` block has.

    Leaving waits for them with the GIL released; Ctrl-C is served after that. If the block or threads that nobody
    joined raised, an ExceptionGroup with all of them is raised, the block's own first; a block that raised alone raises
    just that. KeyboardInterrupt and other non-Exceptions of the block go on as themselves, with the group as context.
    With `fail_fast` the first failure closes the scope and sets its stop token.
    """

    def __init__(self, name: str = "", *, fail_fast: bool = False) -> None:
        self._name = name
        self._fail_fast = fail_fast
        self._frame: _scope.Frame | None = None
        self._loans: list[Loan] = []

    @property
    def name(self) -> str:
        """Its name in the registry; empty if it has none."""
        return self._name

    @property
    def id(self) -> int:
        """Its id in the runtime and its registry, never reused."""
        return self._entered().id

    @property
    def stopped(self) -> bool:
        """The stop token is set, or the scope has ended: threads look at this when it suits them."""
        return self._frame is not None and self._frame.stopped

    def _entered(self) -> _scope.Frame:
        if self._frame is None or not self._frame.entered:
            raise _scope.ScopeError("the scope is not entered, or over: use it inside its with block")
        return self._frame

    def __enter__(self) -> Scope:
        if self._frame is not None:
            raise _scope.ScopeError("a scope is entered once: make another one")
        self._frame = _scope.Frame(self._name, self._fail_fast)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        frame = self._entered()
        if error is not None and self._fail_fast:
            frame.close()
            frame.stop()
        interrupt, raised = frame.leave()
        forgotten = sum(loan._expire() for loan in self._loans)
        self._loans.clear()
        if forgotten:
            views = f"{forgotten} view(s) of the scope's loans are still in use: release them inside the scope"
            raised = (*raised, _scope.BorrowError(views))
        self._raise_outcome(interrupt, error, raised)

    def _raise_outcome(
        self, interrupt: BaseException | None, error: BaseException | None, raised: tuple[BaseException, ...]
    ) -> None:
        """Raise what the scope comes to; returning means: nothing, or the block's own error as it is."""
        failures = raised if error is None or not isinstance(error, Exception) else (error, *raised)
        group = BaseExceptionGroup(f"threads of the scope {self._name!r} failed", failures) if raised else None
        if interrupt is not None:
            raise interrupt from group or error
        if group is not None and isinstance(error, (Exception, type(None))):
            raise group from None
        if group is not None and error is not None and error.__context__ is None:
            error.__context__ = group

    def spawn(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Run function(*args, **kwargs) in a new thread of the scope.

        Arguments move: handles are dead here afterwards, mutable loans too. Raises BorrowError for a buffer that is not
        lent (also one that the function has captured), ScopeError when the scope is closed or over.
        """
        return self._spawn(_name_of(function), 0, function, args, kwargs)

    def thread(self, name: str = "", *, stack_size: int = 0) -> ThreadBuilder:
        """Say more about a thread before spawning it: its name, and its usable stack in bytes (0: 8 MiB)."""
        return ThreadBuilder(self, name, stack_size)

    def _spawn(
        self,
        name: str,
        stack_size: int,
        function: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> Handle[T]:
        frame = self._entered()
        _refuse_captured_buffers(function)
        given = [_hand_over(value) for value in args]
        given_by_name = {name: _hand_over(value) for name, value in kwargs.items()}
        values = [*given, *given_by_name.values()]
        loans = tuple(value for value in values if isinstance(value, Loan))
        call = partial(contextvars.copy_context().run, function, *given, **given_by_name)
        size = stack_size or threading.stack_size() or _DEFAULT_STACK
        child = frame.spawn(run, (name, call, loans), name, size, tuple(loan._loan for loan in loans))
        self._loans += loans
        for value in (*args, *kwargs.values()):
            if isinstance(value, Handle):
                value._die()
        return Handle(frame, child, name)

    def loan(self, buffer: Buffer, *, mutable: bool = False) -> Loan:
        """Lend a C-contiguous buffer (a bytearray, array, memoryview slice …) to this scope's threads.

        Only the scope's owner lends. Raises BorrowError, with where the other loan was taken, when a loan of
        overlapping bytes stands in the way; BufferError when `mutable` is asked of read-only bytes.
        """
        caller = sys._getframe(1)
        where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        loan = Loan(_scope.Loan(self._entered(), buffer, mutable, where))
        self._loans.append(loan)
        return loan

    def close(self) -> None:
        """Refuse new threads from now on."""
        self._entered().close()

    def stop(self) -> None:
        """Set the stop token: a request that threads look at when it suits them."""
        self._entered().stop()

    def wait_stop(self, timeout: float | None = None) -> bool:
        """Wait for the stop token with the GIL released; False when `timeout` seconds passed first."""
        return self._entered().wait_stop(timeout)


@dataclass(frozen=True, slots=True)
class ThreadBuilder:
    """What is to be known about a thread before it is spawned. `stack_size` in bytes; 0: threading's, else 8 MiB."""

    scope: Scope
    name: str = ""
    stack_size: int = 0

    def spawn(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """As `Scope.spawn`. Raises ValueError for a name with a zero byte in it."""
        return self.scope._spawn(self.name or _name_of(function), self.stack_size, function, args, kwargs)


def scope(name: str = "", *, fail_fast: bool = False) -> Scope:
    """A scope to be entered: `with scope("name") as s:`."""
    return Scope(name, fail_fast=fail_fast)


def _hand_over(value: object) -> object:
    """What the thread gets for an argument."""
    if isinstance(value, Loan):
        return value._for_thread()
    if isinstance(value, Handle):
        return value._move()
    if not traits_of(value).send:
        raise _scope.BorrowError(
            f"a {type(value).__qualname__} does not move to another thread: lend it with loan(), or declare() its type"
        )
    return value


def _refuse_captured_buffers(function: Callable[..., object]) -> None:
    """A captured variable is used by both threads; a buffer among them would be written without a loan."""
    if not isinstance(function, FunctionType):
        return
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if traits_of(value) == LOAN_ONLY:
            raise _scope.BorrowError(
                f"{function.__qualname__} captures a {type(value).__qualname__}: pass it as an argument, lent by loan()"
            )


def _name_of(function: Callable[..., object]) -> str:
    name = getattr(function, "__name__", "")
    return "" if name == "<lambda>" else str(name)
