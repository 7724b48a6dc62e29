"""`Loan`: a buffer that a scope's owner lends to its threads, checked as it runs."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING

from tinspect.native import _scope

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Loan:
    """Any number of loans for reading, or one that may write, of any byte at a time.

    Used as a context manager it gives a memoryview and ends with the block:

        with loan as view:
            view[:] = bytes(len(view))

    Given to a thread as an argument, a mutable loan moves there; one for reading is shared. It ends with its block,
    with the thread it was given to, at the latest with its scope. What other code does with the buffer itself, or with
    a view it was handed, is not watched.
    """

    __slots__ = ("_loan", "_view")

    def __init__(self, loan: _scope.Loan) -> None:
        self._loan = loan
        self._view: memoryview | None = None

    @property
    def mutable(self) -> bool:
        """It may be written through, and is the only one of its bytes."""
        return self._loan.writable

    @property
    def alive(self) -> bool:
        """It has not ended."""
        return self._loan.alive

    def __enter__(self) -> memoryview:
        if self._view is not None:
            raise _scope.BorrowError("the loan is in use already: one view at a time, slice that one")
        self._view = _view_of(self._loan)
        return self._view

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.release()
        self._loan.end()

    def end(self) -> None:
        """End the loan now. Raises BorrowError while views of it are in use."""
        self._loan.end()

    def _for_thread(self) -> Loan:
        """The loan a thread gets that this one is passed to: itself if mutable, else one more for reading."""
        if not self._loan.held:
            raise _scope.BorrowError("the loan has ended, or another thread holds it: take another one")
        return self if self.mutable else Loan(self._loan.share())

    def _end_with_thread(self) -> None:
        """The thread that has it is over. A view that it left behind keeps the loan until the scope ends."""
        self._view = None
        with contextlib.suppress(_scope.BorrowError):
            self._loan.end()

    def _expire(self) -> int:
        """The scope is over; how many views outlive it."""
        return self._loan.expire()


def _view_of(loan: Buffer) -> memoryview:
    return memoryview(loan)
