"""What a thread waits for, where its registers and the registry may be of two moments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.made_up_process import MadeUpLibc, made_up_context
from tinspect.analyses.waits import analyze
from tinspect.model.lock import Waiter, WaitKind
from tinspect.model.scope import RuntimeThread
from tinspect.model.source import Source
from tinspect.model.thread import SyscallState, Thread

FUTEX, READ, FUTEX_WAIT_PRIVATE = 202, 0, 128
LOCK = 0x5000


def waiter_of(number: int, argument: int, kind: str, address: int | None, *, stood_still: bool) -> Waiter:
    thread = Thread(7, syscall=SyscallState(number, (argument, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0)))
    runtime = RuntimeThread(
        1, 7, None, None, None, "", "blocked", None, None, None, None, waits_kind=kind, waits_address=address
    )
    context = made_up_context(MadeUpLibc(), None, thread)
    context = replace(context, snapshot=replace(context.snapshot, stood_still=stood_still))
    return analyze(context, {7: runtime})[7]


@pytest.mark.parametrize("stood_still", [True, False])
@pytest.mark.parametrize("kind", ["mutex", "rwlock read", "condvar", "join", "park"])
def test_the_registry_tells_the_wait_that_the_registers_show(kind: str, stood_still: bool) -> None:
    found = waiter_of(FUTEX, LOCK + 8, kind, LOCK, stood_still=stood_still)
    assert (found.source, found.address) == (Source.REGISTRY, LOCK)


@pytest.mark.parametrize(("number", "argument"), [(FUTEX, LOCK + 4096), (FUTEX, LOCK - 8), (READ, LOCK)])
def test_a_wait_of_another_moment_is_not_put_to_these_registers(number: int, argument: int) -> None:
    found = waiter_of(number, argument, "mutex", LOCK, stood_still=False)
    assert found.source is Source.KERNEL
    assert found.kind in {WaitKind.FUTEX, WaitKind.SYSCALL}
    assert found.address == (argument if number == FUTEX else None)
