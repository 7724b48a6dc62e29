"""What runs in a scope's thread around the program's function: a proper Python thread, and its loans."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from tinspect.native.scope.loans import Loan


def _become_python_thread(name: str) -> None:
    """Make threading.current_thread() answer, by name; follow threading.settrace and setprofile as its threads do."""
    thread = threading.current_thread()
    if name:
        thread.name = name
    trace, profile = threading.gettrace(), threading.getprofile()
    if trace is not None:
        sys.settrace(trace)
    if profile is not None:
        sys.setprofile(profile)


def _leave_threading() -> None:
    """Before Python 3.12 the entry of a thread that threading did not start stays, for the next one with its ident."""
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    active.pop(threading.get_ident(), None)


def run(name: str, call: Callable[[], object], loans: tuple[Loan, ...]) -> object:
    """Call the program's function. The thread's loans end with it; one that has a view in use ends with the scope."""
    _become_python_thread(name)
    try:
        return call()
    finally:
        for loan in loans:
            loan._end_with_thread()
        _leave_threading()
