"""capture(): what it reads against what the target says of itself, and that the target never notices."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tinspect.native import _inspect

StartProgram = Callable[..., Any]  # the fixture of conftest.py, which no test module can import
PATIENCE_S = 20.0
# Where job control, or a kill before the undoing, rightly makes epoll_wait return EINTR (signal(7)).
ALLOW_EINTR = ("env", "ALLOW_EINTR=1")

GLIBC_STACK_BLOCK = 0x690  # Debian 12's glibc 2.36 (FACTS): stackblock, and the word after it its size
SP = 19 * 8  # rsp in struct user_regs_struct
PC = 16 * 8


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a state of the kernel's that nothing announces; fails when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        os.sched_yield()


def task_state(program: Any, tid: int) -> str:
    return Path(f"/proc/{program.pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(program: Any, tid: int, states: str) -> None:
    until(lambda: task_state(program, tid) in states, f"thread {tid} in state {states}")


def tids_of(program: Any) -> list[int]:
    return sorted(int(entry.name) for entry in Path(f"/proc/{program.pid}/task").iterdir())


def mappings_of(program: Any, tid: int | None = None) -> list[tuple[int, int]]:
    lines = Path(f"/proc/{program.pid}/task/{tid or program.pid}/maps").read_text().splitlines()
    return [(int(low, 16), int(high, 16)) for low, high in (line.split()[0].split("-") for line in lines)]


def finish(program: Any) -> int:
    """Closes its input, which ends a test program by itself: it still works. Its exit status."""
    program.process.stdin.close()
    return int(program.process.wait(timeout=PATIENCE_S))


def told_threads(program: Any, count: int) -> list[list[str]]:
    """The "thread" lines; some may come after "ready"."""
    threads = [line for line in program.hear_until("ready") if line[0] == "thread"]
    while len(threads) < count:
        threads.append(program.hear())
    return threads


class Seen(NamedTuple):
    tid: int
    flags: int
    registers: bytes
    thread_pointer: int
    stop_signal: int
    error: int

    @property
    def sp(self) -> int:
        return int.from_bytes(self.registers[SP : SP + 8], "little")


class Capture:
    def __init__(self, pid: int, **options: object) -> None:
        result = _inspect.capture(pid, **options)  # type: ignore[arg-type]
        self.pause_ns, self.bytes_copied, threads, self.segments, self.gaps = result
        self.threads = {thread[0]: Seen(*thread) for thread in threads}
        assert [thread[0] for thread in threads] == sorted(self.threads), "sorted, each thread once"

    def find(self, address: int, size: int) -> bytes | None:
        for low, data in self.segments:
            if low <= address and address + size <= low + len(data):
                return data[address - low : address - low + size]
        return None

    def stopped(self) -> list[int]:
        return sorted(tid for tid, seen in self.threads.items() if seen.flags & _inspect.THREAD_STOPPED)


def tracer_of(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("TracerPid"))


def pattern(seed: int) -> bytes:
    return struct.pack("<64Q", *((seed * 0x9E3779B97F4A7C15 + index) % 2**64 for index in range(64)))


class Told(NamedTuple):
    """What a thread of stack_truth says of itself."""

    kind: str
    tid: int
    pthread: int
    low: int
    high: int
    local: int
    seed: int


def parse_hex(words: list[str]) -> tuple[int, int, int, int]:
    first, second, third, fourth = (int(word, 16) for word in words)
    return first, second, third, fourth


def start_stack_truth(start_program: StartProgram) -> tuple[Any, list[Told], tuple[int, int]]:
    program = start_program("stack_truth")
    lines = program.hear_until("ready")
    told = [
        Told(
            line[1], int(line[2]), int(line[3], 16), int(line[4], 16), int(line[5], 16), int(line[6], 16), int(line[7])
        )
        for line in lines
        if line[0] == "thread"
    ]
    altstack = next((int(line[1], 16), int(line[2], 16)) for line in lines if line[0] == "altstack")
    for thread in told:
        wait_for_state(program, thread.tid, "S")
    return program, told, altstack


def uses_glibc_236() -> bool:
    return os.confstr("CS_GNU_LIBC_VERSION") == "glibc 2.36"


def rule() -> tuple[int, int, int] | None:
    return (GLIBC_STACK_BLOCK, GLIBC_STACK_BLOCK + 8, 0) if uses_glibc_236() else None


@pytest.mark.parametrize("with_rule", [True, False])
def test_registers_and_stacks_are_what_the_target_says(start_program: StartProgram, with_rule: bool) -> None:
    if with_rule and rule() is None:
        pytest.skip("the stack rule's offsets are those of glibc 2.36")
    program, told, altstack = start_stack_truth(start_program)
    seen = Capture(program.pid, mappings=mappings_of(program), stack_rule=rule() if with_rule else None)
    assert len(told) == 5
    assert seen.stopped() == tids_of(program)
    for thread in told:
        captured = seen.threads[thread.tid]
        low, high = altstack if thread.kind == "altstack" else (thread.low, thread.high)
        assert low <= captured.sp <= thread.local < high
        assert captured.thread_pointer == thread.pthread
        assert seen.find(thread.local, 512) == pattern(thread.seed)
        assert (captured.error, captured.stop_signal) == (0, 0)
    assert not seen.gaps
    assert sum(len(data) for _, data in seen.segments) == seen.bytes_copied
    program.tell("check")
    assert program.hear() == ["intact"]
    assert finish(program) == 0


def test_registers_equal_what_the_kernel_shows_of_a_waiting_thread(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    for thread in told:
        shown = Path(f"/proc/{program.pid}/task/{thread.tid}/syscall")
        until(lambda shown=shown: shown.read_text() != "running\n", "a thread that waits")  # type: ignore[misc]
        words = shown.read_text().split()
        registers = Capture(program.pid, mappings=mappings_of(program)).threads[thread.tid].registers
        assert struct.unpack_from("<Q", registers, SP)[0] == int(words[-2], 16)
        assert struct.unpack_from("<Q", registers, PC)[0] == int(words[-1], 16)


@pytest.mark.skipif(rule() is None, reason="the stack rule's offsets are those of glibc 2.36")
def test_own_stack_of_a_thread_on_its_signal_stack_is_copied_too(start_program: StartProgram) -> None:
    program, told, altstack = start_stack_truth(start_program)
    thread = next(thread for thread in told if thread.kind == "altstack")
    seen = Capture(program.pid, mappings=mappings_of(program), stack_rule=rule())
    own = [data for low, data in seen.segments if thread.low <= low < thread.high]
    alternate = [data for low, data in seen.segments if altstack[0] <= low < altstack[1]]
    assert own
    assert alternate
    touched = _inspect.page_states(program.pid, [(thread.low, thread.high)])
    assert sum(map(len, own)) == sum(high - low for low, high, flags in touched if flags & 3)


def test_capture_touches_no_page_that_the_target_has_not(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    stacks = [(thread.low, thread.high) for thread in told]
    before = _inspect.page_states(program.pid, stacks)
    for with_rule in (rule(), None):
        Capture(program.pid, mappings=mappings_of(program), stack_rule=with_rule, red_zone=4096)
    assert _inspect.page_states(program.pid, stacks) == before
    deep = next(thread for thread in told if thread.kind == "deep")
    assert deep.high - deep.local > 1 << 20, "the deep thread's frame has a part that was never touched"


def test_fixed_relative_tables_and_lists(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    own, deep = (next(thread for thread in told if thread.kind == kind) for kind in ("own", "deep"))
    # A pointer of each descriptor to itself stands at offset 16 (glibc's tcbhead_t.self on x86-64).
    seen = Capture(
        program.pid,
        tids=[own.tid],
        fixed=[(deep.local + 8, 16)],
        thread_relative=[(0, 64)],
        thread_tables=[(16, 1, 256), (16, 1, 512, 8)],
        mappings=mappings_of(program),
    )
    assert list(seen.threads) == [own.tid]
    assert seen.find(deep.local + 8, 16) == pattern(deep.seed)[8:24]
    header = seen.find(own.pthread, 64)
    assert header
    assert struct.unpack_from("<Q", header, 16)[0] == own.pthread
    assert seen.find(own.pthread - 512, 512) is not None
    assert seen.find(own.pthread, 256) is not None
    assert seen.find(deep.pthread, 8) is None


@pytest.mark.parametrize(
    ("nexts", "limit", "expected_gap"),
    [
        ([1, 2, 3, 0], 100, None),
        ([0], 100, None),
        ([1, 2, 3, 1], 1000000, "list"),  # loops without its head
        ([1, 2, 3, 0], 2, "list"),  # longer than its limit
        ([1, 2, None], 100, "list"),  # leads nowhere
    ],
)
def test_list_walk_is_bounded(
    start_program: StartProgram, nexts: list[int | None], limit: int, expected_gap: str | None
) -> None:
    program, told, _ = start_stack_truth(start_program)
    thread = next(thread for thread in told if thread.kind == "own")
    # The list is laid where the thread's pattern stood: node N at local + 16 + 32 * N, its record 8 before that.
    with open(f"/proc/{program.pid}/mem", "r+b", buffering=0) as memory:
        for index, following in enumerate(nexts):
            address = 0x10 if following is None else thread.local + 16 + 32 * following
            os.pwrite(memory.fileno(), address.to_bytes(8, "little"), thread.local + 16 + 32 * index)
    seen = Capture(program.pid, lists=[(thread.local + 16, 8, 0, 24, limit)], mappings=mappings_of(program))
    assert [gap[0] for gap in seen.gaps if gap[0] == "list"] == ([expected_gap] if expected_gap else [])
    if expected_gap is None:
        assert all(seen.find(thread.local + 16 + 32 * index - 8, 24) for index in range(1, len(nexts)))


def test_unreadable_pages_are_gaps_and_the_rest_is_read(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    own = next(thread for thread in told if thread.kind == "own")
    guard_low = next(low for low, high in mappings_of(program) if high == own.low or low <= own.low - 4096 < high)
    top = own.low + 4096
    seen = Capture(program.pid, tids=[own.tid], fixed=[(8, 8), (own.low - 4096, 8192)], mappings=mappings_of(program))
    assert guard_low < own.low
    memory = [gap for gap in seen.gaps if gap[0] == "memory"]
    assert ("memory", 8, 8) in memory
    assert ("memory", own.low - 4096, 4096) in memory
    assert seen.find(own.low, top - own.low) == bytes(4096)


def test_caps(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    everything = Capture(program.pid, mappings=mappings_of(program))
    capped = Capture(program.pid, mappings=mappings_of(program), stack_cap=256)
    for thread in told:
        sp = capped.threads[thread.tid].sp
        assert capped.find(sp, 128) == everything.find(sp, 128) is not None
        assert capped.find(sp, 256) is None
    cut = {gap[1] for gap in capped.gaps if gap[0] == "stack"}
    assert cut == {thread.tid for thread in told}
    total = Capture(program.pid, mappings=mappings_of(program), total_cap=2048)
    assert total.bytes_copied <= 2048
    assert any(gap[0] == "stack" for gap in total.gaps)
    none = Capture(program.pid, fixed=[(told[0].local, 512)], total_cap=100)
    assert none.bytes_copied == 100
    assert ("cap", told[0].local + 100, 412) in none.gaps


def test_no_blocking_call_sees_eintr(start_program: StartProgram) -> None:
    program = start_program("blocking_calls")
    names = {int(line[2]): line[1] for line in told_threads(program, 10)}
    undone: set[str] = set()
    for _ in range(100):
        for tid in names:
            wait_for_state(program, tid, "S")
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
    program = start_program("blocking_calls")
    names = {int(line[2]): line[1] for line in told_threads(program, 10)}
    for tid in names:
        wait_for_state(program, tid, "S")
    seen = Capture(program.pid, undo_restart=False)
    flagged = {names[tid] for tid in names if seen.threads[tid].flags & _inspect.THREAD_INTERRUPTED}
    for tid in names:
        wait_for_state(program, tid, "S")
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
    assert program.hear()[0] == "alive"
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
        assert program.hear()[0] == "alive"
    assert finish(program) == 0


def test_threads_that_lived_throughout_are_always_found(start_program: StartProgram) -> None:
    program = start_program("thread_churn", "30")
    living = {int(line[1]) for line in told_threads(program, 30)} | {program.pid}
    others = 0
    for _ in range(100):
        seen = Capture(program.pid, mappings=mappings_of(program), timeout_ms=60_000)
        assert living <= set(seen.stopped())
        assert {thread.error for thread in seen.threads.values()} <= {0, errno.ESRCH}
        others += len(seen.stopped()) - len(living)
        assert tracer_of(program.pid) == 0
    assert others, "no short-lived thread was ever met: the test tests nothing"
    assert finish(program) == 0


def test_exec_and_exit_in_mid_attach(start_program: StartProgram) -> None:
    captures = failures = execs = 0
    for _ in range(5):
        program = start_program("exec_chain", "100")
        while True:
            try:
                seen = Capture(program.pid, timeout_ms=60_000)
                captures += 1
                execs += any(thread.flags & _inspect.THREAD_EXECED for thread in seen.threads.values())
            except ProcessLookupError:
                failures += 1
                assert program.process.wait(timeout=PATIENCE_S) == 7, "refused although it went on"
                break
        assert program.hear() == ["end"]
    assert captures > 20
    assert failures == 5
    assert execs, "no execve was ever met: the test tests nothing"


def test_zombie_leader(start_program: StartProgram) -> None:
    program = start_program("leaderless")
    lines = told_threads(program, 2)
    assert task_state(program, program.pid) == "Z"
    mappings = mappings_of(program, int(lines[0][1]))
    for plan in ({"mappings": mappings}, {}):
        seen = Capture(program.pid, **plan)
        leader = seen.threads[program.pid]
        assert (leader.flags, leader.error, leader.registers) == (_inspect.THREAD_ZOMBIE, errno.ESRCH, b"")
        for _, tid, local, seed in lines:
            assert seen.find(int(local, 16), 8) == int(seed).to_bytes(8, "little")
            assert int(tid) in seen.stopped()
    assert _inspect.read_memory(program.pid, int(lines[0][2], 16), 8) == int(lines[0][3]).to_bytes(8, "little")
    assert finish(program) == 0


def test_a_parent_in_vfork_is_a_gap_and_is_let_go(start_program: StartProgram) -> None:
    program = start_program("vfork_parent")
    suspended = next(int(line[1]) for line in program.hear_until("ready") if line[0] == "thread")
    wait_for_state(program, suspended, "D")
    seen = Capture(program.pid, timeout_ms=60_000)
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
    assert program.hear()[0] == "alive"


def hold_by_ptrace(pid: int) -> None:
    """In a forked child: seizes a process and waits to be killed."""
    seize = 0x4206
    ctypes.CDLL(None).ptrace(seize, pid, None, None)
    signal.pause()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"stack_rule": (0, 8, 2)}, ValueError),
        ({"fixed": [(1,)]}, TypeError),
        ({"fixed": [(-1, 8)]}, OverflowError),
        ({"thread_tables": [(0, 1 << 30, 8)]}, ValueError),
        ({"tids": []}, ValueError),
        ({"mappings": [(8, 4)]}, ValueError),
        ({"lists": 3}, TypeError),
    ],
)
def test_wrong_arguments(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        Capture(os.getppid(), **options)


def test_an_exception_from_a_signal_handler_gives_up_and_releases(start_program: StartProgram) -> None:
    program = start_program("vfork_parent")  # its suspended thread makes the capture last 100 ms
    suspended = next(int(line[1]) for line in program.hear_until("ready") if line[0] == "thread")
    wait_for_state(program, suspended, "D")

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            _inspect.capture(program.pid)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
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
            while True:
                _inspect.capture(program.pid, mappings=mappings)
        until(lambda: tracer_of(program.pid) != 0, "the first capture")
        yield
        time.sleep(chance.uniform(0, 0.005))  # the random moment itself; nothing is waited for
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_killing_the_capturing_process_does_the_target_no_harm(start_program: StartProgram) -> None:
    program = start_program("self_check", prefix=ALLOW_EINTR)
    program.hear_until("ready")
    for _ in kill_captures(program, 60):
        pass
    until(lambda: tracer_of(program.pid) == 0, "no tracer")
    program.tell("alive")
    first = int(program.hear()[1])
    for tid in tids_of(program):
        wait_for_state(program, tid, "RSD")
    program.tell("alive")
    assert int(program.hear()[1]) > first
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


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter below names x86-64's system call number")
def test_memory_is_read_where_process_vm_readv_is_refused(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    own = next(thread for thread in told if thread.kind == "own")
    mappings = mappings_of(program)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            refuse_process_vm_readv()
            seen = Capture(program.pid, mappings=mappings, fixed=[(8, 8)])
            read = _inspect.read_memory(program.pid, own.local, 512)
            status = not (seen.find(own.local, 512) == read == pattern(own.seed) and ("memory", 8, 8) in seen.gaps)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def refuse_process_vm_readv() -> None:
    """A seccomp filter of this process: process_vm_readv fails with EPERM, as container profiles have it."""
    load, jump_equal, give = 0x20, 0x15, 0x06
    steps = [(load, 0, 0, 0), (jump_equal, 0, 1, 310), (give, 0, 0, 0x50000 | errno.EPERM), (give, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def test_a_thousand_threads(start_program: StartProgram) -> None:
    program = start_program("thread_churn", "1000")
    living = {int(line[1]) for line in told_threads(program, 1000)}
    seen = Capture(program.pid, mappings=mappings_of(program), stack_rule=rule())
    assert living <= set(seen.stopped())
    for tid in living:
        thread = seen.threads[tid]
        assert seen.find(thread.sp, 64) is not None
    assert finish(program) == 0
