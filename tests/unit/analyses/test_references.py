"""Findings from references, frames by address, and what a scan looks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from tinspect.analyses import reference_findings
from tinspect.analyses.frame_index import FrameIndex
from tinspect.analyses.reference_names import Names
from tinspect.analyses.reference_sources import Candidate
from tinspect.analyses.reference_targets import without
from tinspect.analyses.syscalls import pointer_arguments
from tinspect.arch.x86_64 import X86_64
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.reference import (
    Confidence,
    PlaceKind,
    ReferenceSource,
    ReferenceTarget,
    StackReference,
    Verdict,
)
from tinspect.model.report import Severity
from tinspect.model.thread import SyscallState
from tinspect.symbols.data_types import DataType, TypeKind
from tinspect.symbols.variables import Variable

REGISTER = ReferenceSource(PlaceKind.REGISTER, register="rsi", frame=0, function="read")
SLOT = ReferenceSource(PlaceKind.STACK, 0x7000, frame=1, function="work", symbol="held")


def reference(
    place: ReferenceSource, verdict: Verdict, confidence: Confidence, origin: str | None = None, value: int = 0x5000
) -> StackReference:
    return StackReference(2, place, 1, value, ReferenceTarget("stack"), verdict, confidence, origin=origin)


@pytest.mark.parametrize(
    ("place", "confidence", "severity"),
    [
        (REGISTER, Confidence.HIGH, Severity.ERROR),
        (SLOT, Confidence.HIGH, Severity.WARNING),
        (REGISTER, Confidence.MEDIUM, Severity.NOTE),
        (SLOT, Confidence.LOW, Severity.NOTE),
    ],
)
def test_a_dangling_pointer_is_as_bad_as_its_use_is_sure(
    place: ReferenceSource, confidence: Confidence, severity: Severity
) -> None:
    (finding,) = reference_findings.analyze([reference(place, Verdict.DANGLING_FRAME, confidence)], False)
    assert (finding.severity, finding.code, finding.tid) == (severity, "dangling-frame", 2)


def test_one_pointer_in_two_places_is_one_finding_of_the_worse() -> None:
    found = [reference(place, Verdict.DANGLING_FRAME, Confidence.HIGH) for place in (SLOT, REGISTER)]
    (finding,) = reference_findings.analyze(found, False)
    assert finding.severity is Severity.ERROR
    assert "and 1 more" in finding.message


def test_doubtful_words_are_counted_by_thread_and_code() -> None:
    found = [reference(SLOT, Verdict.DANGLING_FRAME, Confidence.LOW, value=value) for value in (1, 2, 3)]
    (finding,) = reference_findings.analyze(found, False)
    assert finding.message.startswith("3 words ")


def test_stack_words_of_no_frame_are_rows_alone() -> None:
    place = ReferenceSource(PlaceKind.STACK, 0x7000)
    assert reference_findings.analyze([reference(place, Verdict.DANGLING_FRAME, Confidence.LOW)], False) == ()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_libc_s_own_words_are_no_finding(verdict: Verdict) -> None:
    assert reference_findings.analyze([reference(REGISTER, verdict, Confidence.HIGH, "pthread_t")], False) == ()


def test_declared_references_are_no_finding_and_live_ones_a_note() -> None:
    assert reference_findings.analyze([reference(SLOT, Verdict.DECLARED, Confidence.HIGH)], False) == ()
    (finding,) = reference_findings.analyze([reference(SLOT, Verdict.LIVE, Confidence.HIGH)], False)
    assert (finding.severity, finding.code) == (Severity.NOTE, "undeclared-reference")
    assert "loan" not in finding.message
    (finding,) = reference_findings.analyze([reference(SLOT, Verdict.LIVE, Confidence.HIGH)], True)
    assert "covered by no loan" in finding.message


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ((1,), "2 references into the stack of thread 1: safe only while that frame outlives"),
        ((1, 3), "4 references into the stacks of threads 1 and 3: safe only while those frames outlive"),
        ((1, 3, 4), "6 references into the stacks of threads 1, 3 and 4: safe"),
        ((1, 3, 4, 5, 6), "10 references into the stacks of threads 1, 3, 4 and 2 more: safe"),
    ],
)
def test_one_note_tells_of_all_that_a_thread_points_into(targets: tuple[int, ...], words: str) -> None:
    live = reference(SLOT, Verdict.LIVE, Confidence.HIGH)
    (finding,) = reference_findings.analyze([replace(live, to_tid=tid) for tid in targets * 2], False)
    assert finding.message.startswith(words)


@dataclass(frozen=True)
class OneVariable:
    """Finds one local, wherever it is looked for."""

    variable: Variable

    def find_local(self, frame: Frame, address: int) -> Variable:
        return self.variable


@pytest.mark.parametrize(
    ("data_type", "confidence", "symbol"),
    [
        (DataType("int", 4, TypeKind.BASE), Confidence.LOW, None),
        (DataType("char[12]", 12, TypeKind.ARRAY), Confidence.MEDIUM, "held"),
        (DataType("char *", 8, TypeKind.POINTER), Confidence.HIGH, "held"),
        (DataType("?", 0), Confidence.MEDIUM, "held"),
    ],
)
def test_a_word_is_a_variable_s_only_where_all_of_it_is(
    data_type: DataType, confidence: Confidence, symbol: str | None
) -> None:
    """Of an int beside stale bytes the word is no pointer, whatever the two together look like."""
    variables: Any = OneVariable(Variable("held", 0x7000, data_type))
    names = Names(cast(Any, None), variables, cast(Any, None))
    frame = Frame(0, 0x1000, 0x6F00, 0x7100, FrameSource.REGISTERS)
    place = ReferenceSource(PlaceKind.STACK, 0x7000, frame=0, function="read")
    found = names.named(Candidate(2, place, 0x5000, Confidence.MEDIUM, "a word of its frame", frame))
    assert (found.confidence, found.place.symbol) == (confidence, symbol)


def test_frames_by_address() -> None:
    frames = tuple(
        Frame(index, 0x400000, sp, cfa, FrameSource.CFI)
        for index, (sp, cfa) in enumerate([(0x1000, 0x1040), (0x1040, 0x1100), (0x1100, None)])
    )
    index = FrameIndex({7: CallStack(7, frames)})
    found = {address: index.find(7, address) for address in (0xFFF, 0x1000, 0x103F, 0x1040, 0x10FF, 0x1100)}
    assert {address: frame.index if frame else None for address, frame in found.items()} == {
        0xFFF: None, 0x1000: 0, 0x103F: 0, 0x1040: 1, 0x10FF: 1, 0x1100: None,
    }  # fmt: skip
    assert index.find(8, 0x1000) is None
    assert index.find(None, 0x1000) is None


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ([], [(10, 50)]),
        ([(0, 10), (50, 60)], [(10, 50)]),
        ([(0, 20)], [(20, 50)]),
        ([(20, 30), (40, 60)], [(10, 20), (30, 40)]),
        ([(0, 60)], []),
    ],
)
def test_what_is_left_of_a_range(taken: list[tuple[int, int]], left: list[tuple[int, int]]) -> None:
    parts = without(AddressRange(10, 50), [AddressRange(*pair) for pair in taken])
    assert [(part.low, part.high) for part in parts] == left


@pytest.mark.parametrize(
    ("number", "arguments", "pointers"),
    [
        (0, (3, 0x5000, 1, 0, 0, 0), {"rsi"}),  # read(fd, buf, count)
        (34, (0,) * 6, set()),  # pause()
        (202, (0x5000, 128, 2, 0, 0x6000, 0), {"rdi", "r10"}),  # futex(uaddr, FUTEX_WAIT, val, timeout)
        (99999, (0x5000,) * 6, set()),  # nobody knows what it takes
    ],
)
def test_pointers_that_a_system_call_was_given(number: int, arguments: tuple[int, ...], pointers: set[str]) -> None:
    assert pointer_arguments(SyscallState(number, arguments), X86_64) == pointers
