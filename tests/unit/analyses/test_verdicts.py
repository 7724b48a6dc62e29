"""Verdicts and findings about a death: what the evidence bears, and no more."""

from __future__ import annotations

import signal

import pytest

from tests.support.made_up_process import STACKS, MadeUpLibc, made_up_context
from tinspect.analyses import crash, stack_findings
from tinspect.model.address import AddressRange
from tinspect.model.crash import Crash
from tinspect.model.registers import RegisterSet
from tinspect.model.report import Finding
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, GuardRegion, StackBounds
from tinspect.model.thread import SignalStop, Thread

STACK = STACKS[2]
GUARD = AddressRange(STACK.low - 4096, STACK.low)


def death(stop: SignalStop, sp: int) -> tuple[Crash, list[Finding]]:
    registers = RegisterSet(("rip", "rsp"), (0x40_1000, sp), 0x40_1000, sp)
    context = made_up_context(MadeUpLibc(), None, Thread(2, "worker", registers=registers, signal=stop))
    bounds = {2: StackBounds(STACK, Source.DESCRIPTOR)}
    guards = {2: GuardRegion(GuardKind.MPROTECT, GUARD, Source.MAPS)}
    found = crash.analyze(context, bounds, guards)
    assert found is not None
    return found, [f for f in stack_findings.analyze(context, bounds, {}, guards) if f.code == "stack-overflow"]


def test_a_guard_touched_from_its_own_end_is_an_overflow() -> None:
    found, findings = death(SignalStop(signal.SIGSEGV, 2, GUARD.high - 8), STACK.low + 64)
    assert found.verdict == "stack-overflow"
    assert [finding.tid for finding in findings] == [2]


def test_a_guard_touched_from_afar_is_a_stray_pointer() -> None:
    found, findings = death(SignalStop(signal.SIGSEGV, 2, GUARD.high - 8), STACK.high)
    assert found.verdict == "bad-access"
    assert findings == []


@pytest.mark.parametrize(("number", "verdict"), [(signal.SIGSEGV, "unknown"), (signal.SIGABRT, "abort")])
def test_a_signal_whose_cause_the_core_left_out_is_blamed_on_nobody(number: int, verdict: str) -> None:
    found, _ = death(SignalStop(number), STACK.high - 64)
    assert found.verdict == verdict
    assert "no siginfo tells why" in found.message
    assert "kill" not in found.message
    assert "called abort" not in found.message


def test_an_abort_that_was_sent_is_none_of_the_thread_s_own() -> None:
    found, _ = death(SignalStop(signal.SIGABRT, 0), STACK.high - 64)
    assert (found.verdict, found.message) == ("unknown", "Thread 2 (worker) got SIGABRT: sent by kill.")
