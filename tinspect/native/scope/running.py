"""What runs in a scope's thread around the program's function: a proper Python thread, its context, its loans."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinspect.native.scope.loans import Loan


@dataclass(frozen=True, slots=True)
class Task:
    """A function and what it is called with, in a copy of the spawner's context; `loans` are the thread's own."""

    name: str
    context: contextvars.Context
    function: Callable[..., object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    loans: tuple[Loan, ...]


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


def run(task: Task) -> object:
    """Call the task's function. Its loans end with it, unless a view of one is still in use: then with the scope."""
    _become_python_thread(task.name)
    try:
        return task.context.run(task.function, *task.args, **task.kwargs)
    finally:
        for loan in task.loans:
            loan._end_with_thread()
        _leave_threading()
