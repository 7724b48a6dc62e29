"""Page states are what the program itself did to its pages."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinspect.native import _inspect

if TYPE_CHECKING:
    from tests.native.conftest import Program

StartProgram = Callable[..., "Program"]
PAGE = mmap.PAGESIZE
PRESENT, SWAPPED, GUARD, ZERO, FILE, MAYBE_GUARD = 1, 2, 4, 8, 16, 32
KERNEL = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
IOCTL_TELLS_ALL = KERNEL >= (6, 16) or (6, 7) <= KERNEL < (6, 13)


def flags_of(pid: int, low: int, high: int, use_ioctl: bool) -> dict[int, int]:
    """The flags of every page of a range; 0 for those in no run."""
    runs = _inspect.page_states(pid, [(low, high)], use_ioctl=use_ioctl)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(runs))
    flags = dict.fromkeys(range(low, high, PAGE), 0)
    for run_low, run_high, run_flags in runs:
        assert run_flags
        flags |= dict.fromkeys(range(run_low, run_high, PAGE), run_flags)
    return flags


def expected_flags(kind: str, use_ioctl: bool) -> int:
    return {
        "written": PRESENT,
        "read": PRESENT | (ZERO if use_ioctl and IOCTL_TELLS_ALL else 0),
        "untouched": 0,
        "dropped": 0,
        "guard": MAYBE_GUARD if KERNEL in ((6, 13), (6, 14)) else GUARD,
        "file": PRESENT | FILE,
        "shared": PRESENT | FILE,
    }[kind]


@pytest.mark.parametrize("use_ioctl", [True, False])
def test_every_page_is_in_the_state_the_program_put_it_into(start_program: StartProgram, use_ioctl: bool) -> None:
    program = start_program("page_truth")
    pages = {int(address, 16): kind for _, kind, address in program.hear_until("ready")}
    assert set(pages.values()) >= {"written", "read", "untouched", "dropped", "file", "shared"}
    ranges = [(address, address + PAGE) for address in pages]
    seen: dict[int, int] = {}
    for low, high in ranges:
        seen |= flags_of(program.pid, low, high, use_ioctl)
    assert seen == {address: expected_flags(kind, use_ioctl) for address, kind in pages.items()}
    block = sorted(address for address, kind in pages.items() if kind not in ("file", "shared"))
    whole = flags_of(program.pid, block[0], block[-1] + PAGE, use_ioctl)
    assert whole == {address: seen[address] for address in block}
    merged = _inspect.page_states(program.pid, [(block[0] + 1, block[1] + 1)], use_ioctl=use_ioctl)
    assert merged == ((block[0], block[2], PRESENT),)  # rounded outward, two equal pages in one run


def resident_kib(pid: int) -> int:
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return int(words[1]) * PAGE >> 10


@pytest.mark.parametrize("use_ioctl", [True, False])
def test_looking_touches_nothing(start_program: StartProgram, use_ioctl: bool) -> None:
    program = start_program("page_truth")
    block = [int(address, 16) for _, _, address in program.hear_until("ready")][:64]
    before = resident_kib(program.pid)
    first = _inspect.page_states(program.pid, [(block[0], block[-1] + PAGE)] * 100, use_ioctl=use_ioctl)
    assert resident_kib(program.pid) == before
    assert len(first) % 100 == 0
    assert first[: len(first) // 100] == first[-len(first) // 100 :]


@pytest.mark.parametrize("use_ioctl", [True, False])
def test_a_large_range_with_many_runs_is_walked_to_its_end(use_ioctl: bool) -> None:
    memory = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, len(memory) // PAGE, 2):
        memory[page * PAGE] = 1
    view = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(view)
    runs = _inspect.page_states(os.getpid(), [(address, address + len(memory))], use_ioctl=use_ioctl)
    assert runs == tuple((a, a + PAGE, PRESENT) for a in range(address, address + len(memory), 2 * PAGE))
    del view


def test_the_whole_address_space_is_no_problem() -> None:
    runs = _inspect.page_states(os.getpid(), [(0, 2**64 - 1)])
    assert any(flags & PRESENT for _, _, flags in runs)
    assert _inspect.page_states(os.getpid(), [(2**64 - 2 * PAGE, 2**64 - PAGE), (5, 5)]) == ()


def test_an_ended_process_is_an_error_and_not_an_empty_one() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ProcessLookupError):
        _inspect.page_states(pid, [(0x400000, 0x401000)])
    os.waitpid(pid, 0)
    with pytest.raises(ProcessLookupError):
        _inspect.page_states(pid, [(0x400000, 0x401000)])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_without_the_right_to_trace_it_says_so(start_program: StartProgram) -> None:
    program = start_program("page_truth")
    program.hear_until("ready")
    reader = os.fork()
    if reader == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            _inspect.page_states(program.pid, [(0, PAGE)])
        except PermissionError as error:
            os._exit(0 if str(program.pid) in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == 0
