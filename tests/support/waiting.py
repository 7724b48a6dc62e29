"""Waiting for what nobody announces: states that only the kernel knows, looked at until they are there."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

# Of anything that is merely to happen: such a limit is for what hangs, on the slowest machine. Less than pytest's own, which knows
# less of what was waited for.
PATIENCE_S = 200.0

_STATE = re.compile(r"^(?:State:\t(\w)|\w+_ctxt_switches:\t(\d+))", re.MULTILINE)
_ASLEEP = {"S", "Z"}  # proc_pid_status(5); a zombie runs no more


def until(condition: Callable[[], bool], what: str) -> None:
    """Returns once ``condition`` holds; fails when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        os.sched_yield()


def wait_until_still(pid: int, tids: Collection[int] | None = None) -> None:
    """Returns once all threads of ``pid``, or ``tids`` of them, sleep for good.

    A thread that has said its last word is still on its way to where it will wait, and one that sleeps may have been woken by a
    thread looked at before it. But if all sleep at two looks and none has run meanwhile, there was a moment between the looks at
    which all of them slept: nobody is left to wake anybody, unless it comes from outside.
    """
    last: dict[int, list[str]] = {}

    def is_still() -> bool:
        nonlocal last
        before, last = last, _look(pid, tids)
        return last == before and all(state in _ASLEEP for state, *_ in last.values())

    until(is_still, f"process {pid} to stand still")


def _look(pid: int, tids: Collection[int] | None) -> dict[int, list[str]]:
    """The state of each thread and how often it was switched away from."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        if tids is None or int(task.name) in tids:
            with suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
                found[int(task.name)] = [a or b for a, b in _STATE.findall((task / "status").read_text())]
    assert found, f"process {pid} has ended"
    return found
