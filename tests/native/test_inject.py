"""Injection learns what each thread says of itself, harms none, and refuses where it might."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.capturing import start_altstack_truth, start_blocking_calls
from tests.support.waiting import PATIENCE_S
from tinspect.formats.gadgets import SyscallGadgets, find_gadgets
from tinspect.native import _inspect

if TYPE_CHECKING:
    from tests.native.conftest import Program

StartProgram = Callable[..., "Program"]
Threads = Sequence[tuple[int, int, int]]

SS_DISABLE = 2
ROOT = Path(__file__).resolve().parents[2]


def may_trace() -> str | None:
    """Why a process that is no child of ours may not be traced; None when it may."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        _inspect.inject_sigaltstack(child.pid, [], (0,) * 6)
    except PermissionError as error:
        return str(error)
    except OSError as error:
        return None if error.errno == errno.EINVAL else str(error)  # EINVAL: the gadgets, as they ought to be wrong
    finally:
        child.kill()
        child.communicate()
    return "wrong gadgets were accepted"


REASON = may_trace()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def find_libc_gadgets(pid: int) -> SyscallGadgets:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = re.match(r"(\w+)-(\w+) r-xp .*/(libc\.so|libc-|ld-musl)", line)
        if match:
            low, high = (int(bound, 16) for bound in match.groups()[:2])
            gadgets = find_gadgets(_inspect.read_memory(pid, low, high - low), low)
            assert gadgets
            return gadgets
    raise AssertionError(f"process {pid} has no libc")


def inject(pid: int, threads: Threads) -> dict[int, tuple[int, int, int, int, str | None]]:
    # How long a thread may take to its stop is the machine's affair.
    answers = _inspect.inject_sigaltstack(pid, threads, find_libc_gadgets(pid), timeout_ms=60_000)
    assert [answer[0] for answer in answers] == [thread[0] for thread in threads]
    return {answer[0]: answer[1:] for answer in answers}


def all_threads(pid: int) -> Threads:
    """Every thread that sleeps, with the writable mapping around its sp in the place of its stack."""
    mappings = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        bounds, permissions = line.split()[:2]
        if permissions.startswith("rw"):
            low, high = (int(bound, 16) for bound in bounds.split("-"))
            mappings.append((low, high))
    threads = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        words = (task / "syscall").read_text().split()
        sp = int(words[-2], 16) if words[0] != "running" else 0
        threads += [(int(task.name), low, high) for low, high in mappings if low <= sp < high]
    return threads


def test_the_answers_are_what_each_thread_says(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program, 40)
    threads = [(int(line[2]), int(line[7], 16), int(line[8], 16)) for line in lines]
    for _ in range(3):
        answers = inject(program.pid, threads)
        for _, kind, tid, sp, size, flags, *_ in lines:
            *answer, error, why = answers[int(tid)]
            if kind == "onstack":
                assert (error, why) == (errno.EOPNOTSUPP, "it is not on its own stack")
            else:
                assert (error, why) == (0, None), kind
                assert answer == [int(sp, 16), int(size), int(flags, 16)], kind
    assert program.process.poll() is None


def test_injection_and_bpf_agree(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program, 40)
    try:
        tasks = _inspect.bpf_tasks(program.pid, dict(_inspect.btf_offsets()), False)
    except OSError as error:
        pytest.skip(str(error))
    answers = inject(program.pid, [(int(line[2]), int(line[7], 16), int(line[8], 16)) for line in lines])
    compared = 0
    for tid, sp, size, flags, *_ in tasks:
        answer_sp, answer_size, answer_flags, refused, _ = answers[tid]
        if not refused:
            assert (answer_size, answer_flags) == (size, flags)
            assert flags & SS_DISABLE or answer_sp == sp
            compared += 1
    assert compared == len(lines) - 1


def test_blocked_calls_go_on(start_program: StartProgram) -> None:
    program, _ = start_blocking_calls(start_program)
    threads = all_threads(program.pid)
    assert len(threads) == 11  # main and ten that wait
    for _ in range(20):
        assert all(answer[3] == 0 for answer in inject(program.pid, threads).values())
    program.tell("count")
    counts = {line[1]: line[2:] for line in program.hear_until("done")}
    assert counts == {name: ["0", "0"] for name in counts}  # no EINTR, and none has returned
    assert len(counts) == 10


def test_no_signal_is_lost(start_program: StartProgram) -> None:
    program = start_program("signal_counter")
    number = int(program.hear_until("ready")[0][1])
    threads = [(int(task.name), *stack_of(program.pid, int(task.name))) for task in tasks_of(program.pid)]
    sent = 0
    for _ in range(50):
        for _ in range(10):
            os.kill(program.pid, number)
            sent += 1
        inject(program.pid, threads)
    program.tell("count")
    counts = {name: int(count) for name, count in (program.hear(), program.hear(), program.hear())}
    assert counts["sent"] == counts["handled"]
    assert counts["received"] == sent


def tasks_of(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def stack_of(pid: int, tid: int) -> tuple[int, int]:
    """The writable mapping that holds the thread's sp, found while the thread is stopped for a moment."""
    _, _, threads, *_ = _inspect.capture(pid, tids=[tid])
    sp = int.from_bytes(threads[0][2][19 * 8 : 20 * 8], "little")
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        low, high = (int(bound, 16) for bound in line.split()[0].split("-"))
        if low <= sp < high:
            return low, high
    raise AssertionError(f"thread {tid} has no stack")


def test_under_a_seccomp_filter_nothing_is_injected(start_program: StartProgram) -> None:
    program = start_program("filtered")
    threads = [(int(tid), int(low, 16), int(high, 16)) for _, tid, low, high in program.hear_until("ready")]
    for _ in range(20):
        for *_, error, why in inject(program.pid, threads).values():
            assert error == errno.EPERM
            assert "seccomp" in str(why)
    program.tell("still there?")
    assert program.hear() == ["alive"]


def test_within_a_restartable_sequence_nothing_is_injected(start_program: StartProgram) -> None:
    program = start_program("rseq_section")
    first = program.hear()
    if first == ["none"]:
        pytest.skip("this libc registers no restartable sequences")
    threads = [(int(first[1]), int(first[2], 16), int(first[3], 16))]
    assert program.hear() == ["ready"]
    reasons = {why for _ in range(50) for *_, why in inject(program.pid, threads).values()}
    assert "it is within a restartable sequence" in reasons
    assert reasons <= {None, "it is within a restartable sequence"}
    program.tell("go on")
    assert program.hear()[0] == "alive"


def test_without_room_nothing_is_written(start_program: StartProgram) -> None:
    program, told = start_altstack_truth(start_program)
    lines = {line[1]: line for line in told}
    tid, low, high = (int(lines["none"][2]), int(lines["none"][7], 16), int(lines["none"][8], 16))
    sp = stack_pointer(program.pid, tid)
    answers = [inject(program.pid, [(tid, bound, high)])[tid] for bound in (sp - 4096, sp + 8, low)]
    assert [answer[3] for answer in answers] == [errno.ENOSPC, errno.EOPNOTSUPP, 0]
    outside = inject(program.pid, [(tid, high, high + 4096)])[tid]
    assert outside[3:] == (errno.EOPNOTSUPP, "it is not on its own stack")


def stack_pointer(pid: int, tid: int) -> int:
    """Of a thread that sleeps."""
    return int(Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()[-2], 16)


def test_the_stack_is_as_it_was(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program, 10)
    told = [line for line in lines if line[1] not in ("onstack", "spin")]
    for line in told:
        tid, low, high = int(line[2]), int(line[7], 16), int(line[8], 16)
        sp = stack_pointer(program.pid, tid)
        before = _inspect.read_memory(program.pid, sp - 4096, 4096)
        assert inject(program.pid, [(tid, low, high)])[tid][3] == 0
        assert _inspect.read_memory(program.pid, sp - 4096, 4096) == before


def test_a_process_that_job_control_stopped_stays_stopped(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program)
    threads = [(int(line[2]), int(line[7], 16), int(line[8], 16)) for line in lines]
    os.kill(program.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, program.pid, os.WSTOPPED)
    answers = inject(program.pid, threads)
    assert {answer[3:] for answer in answers.values()} == {(errno.EOPNOTSUPP, "job control has stopped it")}
    os.kill(program.pid, signal.SIGCONT)
    program.tell("end")
    assert program.process.wait(PATIENCE_S) == 0


def test_wrong_requests_are_errors(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program)
    gadgets = find_libc_gadgets(program.pid)
    for index in range(6):
        wrong = [address + (position == index) for position, address in enumerate(gadgets)]
        with pytest.raises(OSError, match="gadgets") as caught:
            _inspect.inject_sigaltstack(program.pid, [(int(lines[0][2]), 0, 1)], wrong)
        assert caught.value.errno == errno.EINVAL
    assert _inspect.inject_sigaltstack(program.pid, [(os.getpid(), 0, 2**47)], gadgets)[0][4] == errno.ESRCH
    with pytest.raises(ProcessLookupError):
        _inspect.inject_sigaltstack(2**22 + 1, [], gadgets)


def test_the_target_survives_kill_after_kill_of_its_injector() -> None:
    driver = [sys.executable, "tests/native/soak_inject.py", "--kills", "200"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run(
        driver, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 kills" in done.stdout
