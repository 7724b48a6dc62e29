"""System calls of threads on a processor whose registers do not say that a thread is in one."""

from __future__ import annotations

import struct

import pytest

from tinspect.analyses.syscalls import find_syscall
from tinspect.arch.aarch64 import AARCH64
from tinspect.model.registers import RegisterSet
from tinspect.model.thread import SignalStop, SyscallState, Thread
from tinspect.target.memory import SegmentMemory

CODE = 0x400000
FUTEX, WORD = 98, 0x5500001000
SVC, NOP = 0xD4000001, 0xD503201F
MEMORY = SegmentMemory([(CODE, struct.pack("<4I", NOP, SVC, NOP, NOP))])
ARGUMENTS = (WORD, 0, 2, 0, 0, 0)


def thread_at(pc: int, number: int = FUTEX, first: int = WORD, signal: SignalStop | None = None) -> Thread:
    values = {**dict.fromkeys(AARCH64.registers.names, 0), "x0": first, "x2": 2, "x8": number, "pc": pc}
    return Thread(7, registers=RegisterSet(tuple(values), tuple(values.values()), pc, 0), signal=signal)


@pytest.mark.parametrize("pc", [CODE + 8, CODE + 4])  # behind the call, or on it where the kernel will restart it
def test_the_instruction_tells_of_the_call(pc: int) -> None:
    assert find_syscall(thread_at(pc), AARCH64, MEMORY) == SyscallState(FUTEX, ARGUMENTS)


@pytest.mark.parametrize(
    "thread",
    [
        thread_at(CODE),
        thread_at(CODE + 12),
        thread_at(0x500000),  # no code there
        thread_at(0),
        thread_at(CODE + 8, number=1 << 40),  # no call has this number
        thread_at(CODE + 8, first=(1 << 64) - 11),  # -EAGAIN: the call has returned
        thread_at(CODE + 8, signal=SignalStop(6)),  # it died: by a signal, not in a wait
        Thread(7),
    ],
)
def test_nothing_else_is_taken_for_a_call(thread: Thread) -> None:
    assert find_syscall(thread, AARCH64, MEMORY) is None


def test_the_kernel_s_own_word_comes_first() -> None:
    told = Thread(7, syscall=SyscallState(-1, ()), registers=thread_at(CODE + 8).registers)
    assert find_syscall(told, AARCH64, MEMORY) is None
