"""What threads wait for, by what little may be known of their registers, and across pid namespaces."""

from __future__ import annotations

import struct

import pytest

from tests.support.made_up_process import MadeUpLibc, made_up_context
from tinspect.analyses import waits
from tinspect.analyses.syscalls import find_syscall
from tinspect.arch.x86_64 import X86_64
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.lock import WaitKind
from tinspect.model.registers import RegisterSet
from tinspect.model.thread import SyscallState, Thread
from tinspect.target.memory import SegmentMemory

ARGUMENTS = X86_64.syscall_arguments
LOCK = 0x80_1000


def with_registers(**values: int) -> Thread:
    known = {"rip": 0x40_1000, "rsp": 0x6020_FF00, **values}
    return Thread(2, registers=RegisterSet(tuple(known), tuple(known.values()), known["rip"], known["rsp"]))


@pytest.mark.parametrize(
    "thread",
    [
        with_registers(),  # /proc/PID/task/TID/syscall tells no more of a thread that waits outside a call
        with_registers(**dict.fromkeys(ARGUMENTS, 7)),
        with_registers(orig_rax=0, rdi=3),
        with_registers(orig_rax=(1 << 64) - 1, **dict.fromkeys(ARGUMENTS, 7)),
    ],
)
def test_a_call_that_no_register_tells_is_not_taken_for_read(thread: Thread) -> None:
    assert find_syscall(thread, X86_64, SegmentMemory([])) is None


def test_a_call_by_its_registers() -> None:
    registers = {name: number for number, name in enumerate(ARGUMENTS)}
    assert find_syscall(with_registers(orig_rax=0, **registers), X86_64, SegmentMemory([])) == SyscallState(
        0, (0, 1, 2, 3, 4, 5)
    )


@pytest.mark.parametrize(("owner", "tid"), [(7, 3), (3, None), (0, None)])
def test_the_owner_of_a_lock_is_told_by_its_id_out_here(owner: int, tid: int | None) -> None:
    """Thread 3 is 7 in its own pid namespace; nobody is 3 there."""
    waiting = Thread(2, namespace_tid=6, syscall=SyscallState(202, (LOCK, 128, 2, 0, 0, 0)))
    frames = (Frame(0, 0x40_1000, 0x6020_FF00, None, FrameSource.REGISTERS, "pthread_mutex_lock"),)
    context = made_up_context(
        MadeUpLibc(),
        SegmentMemory([(LOCK, struct.pack("<iIi", 2, 0, owner))]),
        waiting,
        Thread(3, namespace_tid=7),
        call_stacks=(CallStack(2, frames),),
    )
    waiter = waits.analyze(context)[2]
    assert (waiter.kind, waiter.owner_tid) == (WaitKind.MUTEX, tid)
