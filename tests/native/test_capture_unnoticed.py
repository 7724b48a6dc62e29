"""capture(): the target never notices, whatever happens to its threads, to its signals, or to the one who captures."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from tests.support.capturing import (
    ALLOW_EINTR,
    Capture,
    StartProgram,
    finish,
    mappings_of,
    pattern,
    start_blocking_calls,
    start_stack_truth,
    tids_of,
    told_threads,
    tracer_of,
    wait_for_state,
)
from tests.support.waiting import PATIENCE_S, until, wait_until_still
from tinspect.native import _inspect


def test_no_blocking_call_sees_eintr(start_program: StartProgram) -> None:
    program, names = start_blocking_calls(start_program)
    undone: set[str] = set()
    assert len(names) == 10
    for _ in range(100):
        wait_until_still(program.pid)
        seen = Capture(program.pid)
        undone |= {names[tid] for tid in names if seen.threads[tid].flags & _inspect.THREAD_RESTARTED}
        assert all(
            bool(thread.flags & _inspect.THREAD_INTERRUPTED) == bool(thread.flags & _inspect.THREAD_RESTARTED)
            for thread in seen.threads.values()
        )
    program.tell("count")
    counts = {line[1]: (int(line[2]), int(line[3])) for line in program.hear_until("done") if line[0] == "eintr"}
    assert counts == dict.fromkeys(names.values(), (0, 0))
    # The proof that there was something to undo: these calls never restart by themselves (signal(7)).
    assert undone == {"epoll_wait", "recv_timeout", "read_socket_timeout", "sigtimedwait", "semop"}
    assert finish(program) == 0


def test_eintr_is_left_when_not_asked_to_undo(start_program: StartProgram) -> None:
    program, names = start_blocking_calls(start_program)
    seen = Capture(program.pid, undo_restart=False)
    flagged = {names[tid] for tid in names if seen.threads[tid].flags & _inspect.THREAD_INTERRUPTED}
    wait_until_still(program.pid)
    program.tell("count")
    counts = {line[1]: int(line[2]) for line in program.hear_until("done") if line[0] == "eintr"}
    assert {name for name, count in counts.items() if count} == flagged
    assert "epoll_wait" in flagged


def count_signals(program: Any) -> dict[str, int]:
    program.tell("count")
    return {name: int(count) for name, count in (program.hear() for _ in range(3))}


def test_signals_during_captures_are_all_delivered(start_program: StartProgram) -> None:
    program = start_program("signal_counter")
    outside = int(program.hear_until("ready")[0][1])

    def send() -> None:
        for _ in range(5000):
            os.kill(program.pid, outside)
            os.sched_yield()

    sender = threading.Thread(target=send)
    sender.start()
    in_delivery = 0
    while sender.is_alive() or not in_delivery:
        seen = Capture(program.pid)
        in_delivery += sum(bool(t.flags & _inspect.THREAD_SIGNAL_DELIVERY) for t in seen.threads.values())
    sender.join()
    counts = count_signals(program)
    assert counts["handled"] == counts["sent"]
    assert counts["received"] == 5000
    assert finish(program) == 0


def test_no_signal_is_lost_when_the_capturing_process_is_killed(start_program: StartProgram) -> None:
    program = start_program("signal_counter")
    outside = int(program.hear_until("ready")[0][1])
    for _ in kill_captures(program, 60):
        os.kill(program.pid, outside)
    counts = count_signals(program)
    assert counts["handled"] == counts["sent"]
    assert counts["received"] == 60
    assert finish(program) == 0


def test_a_stopped_process_stays_stopped_and_continues(start_program: StartProgram) -> None:
    program = start_program("self_check", prefix=ALLOW_EINTR)
    program.hear_until("ready")
    os.kill(program.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(program.pid, os.WUNTRACED)[1])
    for _ in range(10):
        seen = Capture(program.pid)
        assert all(thread.flags & _inspect.THREAD_GROUP_STOP for thread in seen.threads.values())
        assert {thread.stop_signal for thread in seen.threads.values()} == {signal.SIGSTOP}
        for tid in tids_of(program):
            wait_for_state(program, tid, "T")
        assert tracer_of(program.pid) == 0
    os.kill(program.pid, signal.SIGCONT)
    program.tell("alive")
    assert program.hear() == ["alive"]
    assert finish(program) == 0


def test_a_stop_signal_during_captures_takes_effect(start_program: StartProgram) -> None:
    program = start_program("self_check", prefix=ALLOW_EINTR)
    program.hear_until("ready")
    for _ in range(20):
        os.kill(program.pid, signal.SIGSTOP)
        Capture(program.pid)  # may meet the signal delivered, pending, or half of the group stopped
        for tid in tids_of(program):
            wait_for_state(program, tid, "T")
        os.kill(program.pid, signal.SIGCONT)
        Capture(program.pid)
        program.tell("alive")
        assert program.hear() == ["alive"]
    assert finish(program) == 0


def test_threads_that_lived_throughout_are_always_found(start_program: StartProgram) -> None:
    program = start_program("thread_churn", "30")
    living = {int(line[1]) for line in told_threads(program)} | {program.pid}
    others = 0
    for _ in range(100):
        seen = Capture(program.pid, mappings=mappings_of(program))
        assert living <= set(seen.stopped())
        assert {thread.error for thread in seen.threads.values()} <= {0, errno.ESRCH}
        others += len(seen.stopped()) - len(living)
        assert tracer_of(program.pid) == 0
    assert others, "no short-lived thread was ever met: the test tests nothing"
    assert finish(program) == 0


def test_exec_and_exit_in_mid_attach(start_program: StartProgram) -> None:
    execs = 0
    for _ in range(5):
        program = start_program("exec_chain")
        for captures in itertools.count(1):
            seen = Capture(program.pid)
            execs += any(thread.flags & _inspect.THREAD_EXECED for thread in seen.threads.values())
            if captures >= 5 and execs:
                break
        program.tell("end")
        with pytest.raises(ProcessLookupError):
            capture_for_ever(program)
        assert program.process.wait(timeout=PATIENCE_S) == 7
        assert program.hear() == ["end"]


def capture_for_ever(program: Any, **options: object) -> NoReturn:
    while True:
        Capture(program.pid, **options)


def test_a_parent_in_vfork_is_a_gap_and_is_let_go(start_program: StartProgram) -> None:
    program = start_program("vfork_parent")
    suspended = next(int(line[1]) for line in program.hear_until("ready") if line[0] == "thread")
    wait_for_state(program, suspended, "D")
    seen = Capture(program.pid)
    assert seen.threads[suspended].error == errno.ETIMEDOUT
    assert seen.stopped() == [program.pid]
    assert seen.pause_ns < 30e9, "the others wait 100 ms for it, not until the time is up"
    assert all(tracer_of(tid) == 0 for tid in tids_of(program))
    program.tell("go")
    program.hear_until("end")
    assert finish(program) == 0


def test_refusals(start_program: StartProgram) -> None:
    with pytest.raises(ProcessLookupError):
        _inspect.capture(4194304)
    with pytest.raises(PermissionError, match="may not be traced"):
        _inspect.capture(os.getpid())
    program = start_program("self_check")
    program.hear_until("ready")
    tracer = os.fork()
    if tracer == 0:
        hold_by_ptrace(program.pid)
    until(lambda: tracer_of(program.pid) == tracer, "the other tracer")
    with pytest.raises(PermissionError, match="traced already"):
        _inspect.capture(program.pid, tids=[program.pid])
    os.kill(tracer, signal.SIGKILL)
    os.waitpid(tracer, 0)
    program.tell("alive")
    assert program.hear() == ["alive"]


def hold_by_ptrace(pid: int) -> None:
    """In a forked child: seizes a process and waits to be killed."""
    seize = 0x4206
    ctypes.CDLL(None).ptrace(seize, pid, None, None)
    signal.pause()


def test_an_exception_from_a_signal_handler_gives_up_and_releases(start_program: StartProgram) -> None:
    program = start_program("vfork_parent")  # its suspended thread makes the capture last 100 ms
    suspended = next(int(line[1]) for line in program.hear_until("ready") if line[0] == "thread")
    wait_for_state(program, suspended, "D")

    def interrupt(number: int, frame: object) -> None:
        raise InterruptedError("by the handler")

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(InterruptedError, match="by the handler"):
            capture_for_ever(program)  # on a busy machine the first may be over before the signal comes
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert all(tracer_of(tid) == 0 for tid in tids_of(program))
    program.tell("go")
    program.hear_until("end")


def kill_captures(program: Any, times: int) -> Iterator[None]:
    """Lets children capture the program in a loop, and kills each at a random moment; yields while a child is at it."""
    chance = random.Random(1)
    mappings = mappings_of(program)
    for _ in range(times):
        child = os.fork()
        if child == 0:
            try:
                capture_for_ever(program, mappings=mappings)
            finally:
                os._exit(1)
        until(lambda: tracer_of(program.pid) != 0, "the first capture")
        yield
        time.sleep(chance.uniform(0, 0.005))  # the random moment itself; nothing is waited for
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, "it ended by itself"


def test_killing_the_capturing_process_does_the_target_no_harm(start_program: StartProgram) -> None:
    program = start_program("self_check", prefix=ALLOW_EINTR)
    program.hear_until("ready")
    for _ in kill_captures(program, 60):
        pass
    until(lambda: tracer_of(program.pid) == 0, "no tracer")
    for tid in tids_of(program):
        wait_for_state(program, tid, "RSD")
    program.tell("alive")
    assert program.hear() == ["alive"]
    assert finish(program) == 0


def test_reading_without_stopping(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    own, deep = (next(thread for thread in told if thread.kind == kind) for kind in ("own", "deep"))
    assert _inspect.read_memory(program.pid, own.local, 512) == pattern(own.seed)
    ranges = [(own.local, 512), (8, 8), (deep.local, 512), (own.low - 8, 16), (own.local, 0)]
    expected = (pattern(own.seed), None, pattern(deep.seed), None, b"")
    assert _inspect.read_ranges(program.pid, ranges) == expected
    with pytest.raises(OSError, match="cannot read 8 bytes at 0x8 ") as refused:
        _inspect.read_memory(program.pid, 8, 8)
    assert refused.value.errno == errno.EFAULT
    finish(program)
    for read in (lambda: _inspect.read_memory(program.pid, 0, 8), lambda: _inspect.read_ranges(program.pid, [(0, 8)])):
        with pytest.raises(ProcessLookupError):
            read()
