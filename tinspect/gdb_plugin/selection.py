"""Threads as gdb's users write them: ``1 3-5``, ``2.1`` for thread 1 of inferior 2, ``all``; to kernel thread ids."""

from __future__ import annotations

import re

import gdb

_ITEM = re.compile(r"(?:(\d+)\.)?(\d+)(?:-(\d+))?")


def selected_tids(argument: str) -> frozenset[int] | None:
    """The threads the argument names, None for all. Raises gdb.GdbError."""
    words = argument.replace(",", " ").split()
    if not words or words == ["all"]:
        return None
    inferior = gdb.selected_inferior()
    by_number = {thread.num: thread.ptid[1] or thread.ptid[0] for thread in inferior.threads()}
    tids: set[int] = set()
    for word in words:
        match = _ITEM.fullmatch(word)
        if match is None:
            raise gdb.GdbError(f'Invalid thread ID: {word}. Write numbers as "info threads" shows them: 1 3-5.')
        if match[1] is not None and int(match[1]) != inferior.num:
            raise gdb.GdbError(f"Thread {word} is of another inferior. Select that one first: inferior {match[1]}")
        numbers = range(int(match[2]), int(match[3] or match[2]) + 1)
        found = {by_number[number] for number in by_number if number in numbers}
        if not found:
            raise gdb.GdbError(f'Unknown thread {word}. "info threads" lists them.')
        tids |= found
    return frozenset(tids)


def thread_number(tid: int) -> int:
    """gdb's number of a kernel thread id, 0 when gdb has no such thread."""
    return next((t.num for t in gdb.selected_inferior().threads() if (t.ptid[1] or t.ptid[0]) == tid), 0)
