"""capture(): the optional parts of a plan, which lie one step beyond what descriptors and their tables hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until_still
from tinspect.native import _inspect

StartProgram = Callable[..., Any]  # the fixture of conftest.py
RDI = 14 * 8  # struct user_regs_struct
FUTEX, PPOLL = 202, 271
Segments = tuple[tuple[int, bytes], ...]


class FarPlaces:
    """The running program, and what it told."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.pid: int = program.pid
        lines = program.hear_until("ready")
        self.offsets = {line[2]: int(line[3]) for line in lines if line[0] == "thread"}
        self.tid = next(int(line[1]) for line in lines if line[0] == "thread")
        self.said = {line[0]: [int(word, 16) for word in line[1:]] for line in lines if line[0] != "thread"}
        wait_until_still(self.pid)
        assert self.system_call(self.tid) == FUTEX
        assert PPOLL in map(self.system_call, self.tids())

    def tids(self) -> list[int]:
        return [int(entry.name) for entry in Path(f"/proc/{self.pid}/task").iterdir()]

    def system_call(self, tid: int) -> int | None:
        with open(f"/proc/{self.pid}/task/{tid}/syscall") as stream:
            first = stream.read().split()[0]
        return None if first == "running" else int(first)

    def capture(self, **plan: Any) -> Segments:
        _, _, _, segments, gaps = _inspect.capture(self.pid, **plan)
        assert gaps == ()
        return segments


@pytest.fixture
def far(start_program: StartProgram) -> FarPlaces:
    return FarPlaces(start_program("far_places"))


def find(segments: Segments, address: int, size: int) -> bytes | None:
    for low, data in segments:
        if low <= address and address + size <= low + len(data):
            return data[address - low : address - low + size]
    return None


def test_inner_blocks_are_copied_and_pointers_to_nothing_are_no_gap(far: FarPlaces) -> None:
    (inner,) = far.said["inner"]
    table = (far.offsets["table"], 3, 0, 16, ((8, 64),))
    only = {"tids": [far.tid]}
    assert find(far.capture(thread_tables=[table], **only), inner, 64) == b"i" * 64
    assert find(far.capture(thread_tables=[table[:4]], **only), inner, 64) is None


def test_chains_are_followed_to_their_end(far: FarPlaces) -> None:
    chains = [(far.offsets[name], 0, 16, 0, 4096) for name in ("chain", "loop", "broken")]
    segments = far.capture(thread_chains=chains, tids=[far.tid])
    marks = [find(segments, node + 8, 8) for node in far.said["chain"]]
    assert marks == [(0x1111 * (1 + index)).to_bytes(8, "little") for index in range(3)]


def test_a_chain_ends_at_its_limit(far: FarPlaces) -> None:
    segments = far.capture(thread_chains=[(far.offsets["chain"], 8, 8, 0, 2)], tids=[far.tid])
    marks = [find(segments, node + 8, 8) is not None for node in far.said["chain"]]
    assert marks == [True, True, False]


def test_what_a_register_points_to_is_copied(far: FarPlaces) -> None:
    (word,) = far.said["word"]
    expected = bytes(4) + b"w" * 60
    assert find(far.capture(register_pointers=[(RDI, 0, 64)]), word, 64) == expected
    assert find(far.capture(register_pointers=[(RDI, 64, 8)]), word, 8) == expected[:8]


def test_a_page_that_was_never_touched_stays_so(far: FarPlaces) -> None:
    (untouched,) = far.said["untouched"]
    segments = far.capture(register_pointers=[(RDI, 0, 64)])
    assert find(segments, untouched, 1) is None
    far.program.tell("resident?")
    assert far.program.hear() == ["resident", "0"]


@pytest.mark.parametrize(
    "plan",
    [
        {"thread_tables": [(0, 1, 0, 8, ((1,),))]},
        {"thread_tables": [(0, 1, 0, 8, 5)]},
        {"thread_chains": [(0, 0, 8, 0)]},
        {"register_pointers": [(27 * 8, 0, 64)]},
        {"register_pointers": [(-8, 0, 64)]},
    ],
)
def test_wrong_plans_are_refused(far: FarPlaces, plan: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        far.capture(**plan)
