"""capture(): what it reads against what the target says of itself."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path

import pytest

from tests.support.capturing import (
    PC,
    SP,
    Capture,
    StartProgram,
    finish,
    mappings_of,
    pattern,
    rule,
    start_stack_truth,
    task_state,
    tids_of,
    told_threads,
)
from tests.support.waiting import wait_until_still
from tinspect.native import _inspect


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


def is_waiting(syscall: Path) -> bool:
    return syscall.read_text() != "running\n"


def test_registers_equal_what_the_kernel_shows_of_a_waiting_thread(start_program: StartProgram) -> None:
    program, told, _ = start_stack_truth(start_program)
    for thread in told:
        wait_until_still(program.pid)  # each capture rouses it
        words = Path(f"/proc/{program.pid}/task/{thread.tid}/syscall").read_text().split()
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


def test_zombie_leader(start_program: StartProgram) -> None:
    program = start_program("leaderless")
    lines = told_threads(program)
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
    living = {int(line[1]) for line in told_threads(program)}
    assert len(living) == 1000
    seen = Capture(program.pid, mappings=mappings_of(program), stack_rule=rule())
    assert living <= set(seen.stopped())
    for tid in living:
        thread = seen.threads[tid]
        assert seen.find(thread.sp, 64) is not None
    assert finish(program) == 0
