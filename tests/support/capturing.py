"""What the tests of capture() share: a capture with names, and what a test program said of its threads."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.waiting import PATIENCE_S, until, wait_until_still
from tinspect.native import _inspect

StartProgram = Callable[..., Any]  # the fixture of conftest.py, which no test module can import
# Where job control, or a kill before the undoing, rightly makes epoll_wait return EINTR (signal(7)).
ALLOW_EINTR = ("env", "ALLOW_EINTR=1")

GLIBC_STACK_BLOCK = 0x690  # Debian 12's glibc 2.36: stackblock, and the word after it its size
SP = 19 * 8  # rsp in struct user_regs_struct
PC = 16 * 8


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


def told_threads(program: Any) -> list[list[str]]:
    """The "thread" lines of a program that has become ready."""
    return [line for line in program.hear_until("ready") if line[0] == "thread"]


def start_blocking_calls(start_program: StartProgram) -> tuple[Any, dict[int, str]]:
    """The program, each of its threads in its call, and their names."""
    program = start_program("blocking_calls")
    names = {int(line[2]): line[1] for line in told_threads(program)}
    wait_until_still(program.pid)
    return program, names


def start_altstack_truth(start_program: StartProgram, more: int = 0) -> tuple[Any, list[list[str]]]:
    """The program, and what its threads said; but for the one that spins they stand still."""
    program = start_program("altstack_truth", str(more))
    lines = program.hear_until("ready")
    wait_until_still(program.pid, {int(line[2]) for line in lines if line[1] != "spin"})
    return program, lines


class Seen(NamedTuple):
    tid: int
    flags: int
    registers: bytes
    thread_pointer: int
    stop_signal: int
    error: int
    vectors: bytes

    @property
    def sp(self) -> int:
        return int.from_bytes(self.registers[SP : SP + 8], "little")


class Capture:
    def __init__(self, pid: int, **options: Any) -> None:
        # How long a thread may take to its stop is the machine's affair.
        result = _inspect.capture(pid, **{"timeout_ms": 60_000, **options})
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
    wait_until_still(program.pid)
    return program, told, altstack


def uses_glibc_236() -> bool:
    return os.confstr("CS_GNU_LIBC_VERSION") == "glibc 2.36"


def rule() -> tuple[int, int, int] | None:
    return (GLIBC_STACK_BLOCK, GLIBC_STACK_BLOCK + 8, 0) if uses_glibc_236() else None
