"""The scoped-thread runtime. Hands over ints and tuples; imports nothing of tinspect. Installs no signal handler."""

from collections.abc import Callable
from typing import final

from typing_extensions import Buffer

class ScopeError(RuntimeError):
    """A scope, thread or handle was used in a way its life does not allow."""

class BorrowError(ScopeError):
    """A loan stands in the way, has ended, or is another thread's."""

@final
class Frame:
    """One scope, entered by the calling thread."""

    def __new__(cls, name: str, fail_fast: bool) -> Frame: ...
    @property
    def id(self) -> int:
        """The scope's id in the runtime, never reused."""

    @property
    def entered(self) -> bool:
        """It has not been left."""

    @property
    def stopped(self) -> bool:
        """The stop token is set, or the scope has ended."""

    def spawn(
        self,
        call: Callable[..., object],
        arguments: tuple[object, ...],
        name: str,
        stack_size: int,
        loans: tuple[Loan, ...],
        /,
    ) -> Child:
        """Run call(*arguments) in a new thread. `stack_size` in bytes, 0: the runtime's default.

        The `loans`, which the caller holds, are the thread's before it runs any Python. Raises ScopeError (the system
        refuses, the scope is closed or over, a loan is not the caller's) and ValueError (a name with a zero byte).
        """

    def leave(self) -> tuple[BaseException | None, tuple[BaseException, ...]]:
        """Join every thread of the scope, with the GIL released.

        What a signal handler raised meanwhile, or None; and the exceptions of threads that nobody joined, oldest first.
        Raises ScopeError, and joins nothing, for another thread than the one that entered and while an inner scope is
        entered; also when threads were lost in a fork.
        """

    def close(self) -> None:
        """Refuse new threads from now on."""

    def stop(self) -> None:
        """Set the stop token."""

    def wait_stop(self, timeout: float | None, /) -> bool:
        """Wait for the stop token, with the GIL released; False when the time (seconds) is over."""

    def counts(self) -> tuple[int, int, int, int]:
        """Threads spawned so far, running, not joined, and ended by an exception."""

@final
class Child:
    """One thread of a scope."""

    @property
    def id(self) -> int:
        """The thread's id in the runtime, never reused."""

    def join(self, timeout: float | None, /) -> object:
        """Wait for the thread's end, with the GIL released; its result, or raises what it raised.

        `timeout` in seconds. Raises TimeoutError, and ScopeError when it was joined already or its scope is over.
        """

    def is_finished(self) -> bool:
        """Has its function ended? Never blocks."""

    def unpark(self) -> None:
        """Give the thread its token. Raises ScopeError when it is gone."""

@final
class Loan(Buffer):
    """A buffer lent to a scope; itself a buffer for the thread that holds it."""

    def __new__(cls, frame: Frame, buffer: Buffer, writable: bool, where: str) -> Loan: ...
    @property
    def alive(self) -> bool:
        """It has not ended."""

    @property
    def held(self) -> bool:
        """It has not ended, and the calling thread holds it."""

    @property
    def writable(self) -> bool:
        """It is exclusive."""

    @property
    def range(self) -> tuple[int, int]:
        """The lent addresses: low, and one past the last."""

    def share(self) -> Loan:
        """One more loan of the same bytes, for reading, held by the caller. Raises ScopeError for an exclusive one."""

    def end(self) -> None:
        """End the loan. Raises BorrowError while views of it are in use."""

    def expire(self) -> int:
        """End the loan with its scope; how many views outlive it."""

def park(timeout: float | None, /) -> bool:
    """Wait for the calling thread's token, with the GIL released; False when the time (seconds) is over."""

def current_id() -> int:
    """The calling thread's id in the runtime."""

def available_parallelism() -> int:
    """How many threads can run at once: affinity and cgroup quota honoured, at least 1."""

def report_overflows() -> bool:
    """Report stack overflows from now on; False when SIGSEGV and SIGBUS are somebody else's already."""
