"""Who points into whose stack, and is it still alive?

A reference is a word of one thread (or of the heap and globals) whose value lies in another thread's stack, alternate stack or guard, or
in the cached stack of a finished thread. Its verdict follows from what is there now; its confidence from where the word lies. Words that
libc itself keeps, or that a thread was born with, are no references of the program: they carry an ``origin``, and views fold them away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinspect.analyses.context import Context
from tinspect.analyses.frame_index import FrameIndex
from tinspect.analyses.reference_names import Names
from tinspect.analyses.reference_origins import Origins
from tinspect.analyses.reference_sources import Candidate, foreign_area, from_memory, from_registers, from_stack
from tinspect.analyses.reference_targets import Destination, Destinations, Region
from tinspect.model.reference import Confidence, ReferenceTarget, StackReference, Verdict
from tinspect.model.scope import Loan, Scope
from tinspect.model.stack import GuardRegion, SignalStack, StackBounds
from tinspect.model.thread import Thread
from tinspect.target.scan import WordScanner

_FROM_SURE = (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the earlier analyses found, by tid."""

    bounds: Mapping[int, StackBounds]
    guards: Mapping[int, GuardRegion]
    signal_stacks: Mapping[int, SignalStack]
    scopes: Sequence[Scope] = ()


def analyze(
    context: Context, facts: Facts, names: Names, scanner: WordScanner | None = None
) -> tuple[StackReference, ...]:
    """Every reference across stacks, by source thread and address. With ``scanner``, heap and globals are searched as well."""
    judge = _Judge(context, facts, names)
    found: list[StackReference] = []
    for thread in context.snapshot.threads:
        found += judge.references_of(thread)
    if scanner is not None:
        found += judge.references_in_memory(scanner)
    return tuple(judge.origins.with_siblings(found))


class _Judge:
    """Turns candidates into references, or into nothing."""

    def __init__(self, context: Context, facts: Facts, names: Names) -> None:
        self._context = context
        self._facts = facts
        self._names = names
        self._destinations = Destinations(context, facts.bounds, facts.guards, facts.signal_stacks)
        self.origins = Origins(context, facts.bounds)
        self._frames = FrameIndex(context.call_stacks)
        self._loans = _Loans(facts.scopes)

    def references_of(self, thread: Thread) -> Iterator[StackReference]:
        """All references that start in one thread."""
        bounds = self._facts.bounds.get(thread.tid)
        signal_stack = self._facts.signal_stacks.get(thread.tid)
        for candidate in from_registers(self._context, thread, self._destinations):
            yield from self._reference(candidate)
        for candidate in from_stack(self._context, thread, bounds, signal_stack, self._destinations, self._frames):
            yield from self._reference(candidate)

    def references_in_memory(self, scanner: WordScanner) -> Iterator[StackReference]:
        """All references that start in heap and globals."""
        bounds, signal_stacks = self._facts.bounds, self._facts.signal_stacks
        areas = (
            foreign_area(self._context, thread, bounds.get(thread.tid), signal_stacks.get(thread.tid))
            for thread in self._context.snapshot.threads
        )
        foreign = [area for area in areas if area is not None]
        for candidate in from_memory(self._context, scanner, self._destinations, foreign):
            yield from self._reference(candidate)

    def _reference(self, candidate: Candidate) -> Iterator[StackReference]:
        """The reference a candidate amounts to: none when it stays inside its own thread's stacks."""
        destination = self._destinations.find(candidate.value)
        if destination is None or _stays(candidate, destination):
            return
        origin = self.origins.find(candidate, destination)
        if origin is None:
            candidate = self._names.named(candidate)
            if _stays(candidate, destination):
                return
        verdict, target = self._verdict(destination, candidate.value, with_name=origin is None)
        loan = self._loans.find(candidate, destination) if verdict is Verdict.LIVE and origin is None else None
        doubts = tuple(self._doubts(destination, candidate.value))
        yield StackReference(
            from_tid=candidate.tid,
            place=candidate.place,
            to_tid=destination.tid,
            value=candidate.value,
            target=target,
            verdict=Verdict.DECLARED if loan is not None else verdict,
            confidence=_weakest(candidate.confidence, *(confidence for confidence, _ in doubts)),
            reasons=(candidate.reason, *(reason for _, reason in doubts)),
            scope=loan.scope if loan is not None else None,
            origin=origin,
        )

    def _doubts(self, destination: Destination, value: int) -> Iterator[tuple[Confidence, str]]:
        """Why the verdict may be wrong, and how sure it can be at most."""
        if destination.live_from is None:
            if destination.region is Region.STACK:
                yield Confidence.LOW, "the stack pointer of its target is not known"
            return
        below = destination.live_from - value
        if destination.live_from < destination.range.high and 0 < below <= self._context.snapshot.architecture.red_zone:
            # A function that calls nothing may keep variables there without moving the stack pointer (psABI 3.2.2).
            yield Confidence.MEDIUM, "right below the stack pointer, where the innermost function may keep variables"

    def _verdict(self, destination: Destination, value: int, with_name: bool) -> tuple[Verdict, ReferenceTarget]:
        region = destination.region.value
        if destination.region is Region.GUARD:
            return Verdict.GUARD, ReferenceTarget(region)
        if destination.region is Region.CACHED_STACK:
            return Verdict.DANGLING_THREAD, ReferenceTarget(region)
        if destination.live_from is not None and value < destination.live_from:
            return Verdict.DANGLING_FRAME, ReferenceTarget(region)
        frame = self._frames.find(destination.tid, value)
        if frame is None:
            return Verdict.LIVE, ReferenceTarget(region)
        variable = self._names.in_frame(frame, value) if with_name else None
        return Verdict.LIVE, ReferenceTarget(region, frame.index, frame.function, value - frame.sp, variable)


def _weakest(*confidences: Confidence) -> Confidence:
    return max(confidences, key=_FROM_SURE.index)


def _stays(candidate: Candidate, destination: Destination) -> bool:
    return candidate.tid is not None and destination.tid == candidate.tid


class _Loans:
    """The loans of all scopes: does one cover a reference?"""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._loans: list[tuple[Loan, frozenset[int]]] = [
            (loan, frozenset(scope.threads)) for scope in scopes for loan in scope.borrows
        ]

    def find(self, candidate: Candidate, destination: Destination) -> Loan | None:
        """The loan that lets the candidate's thread point there, or None. Memory outside threads has no borrower: any loan counts."""
        for loan, threads in self._loans:
            if candidate.value not in loan.range or loan.lender_tid not in {None, destination.tid}:
                continue
            borrowers = frozenset({loan.borrower_tid}) if loan.borrower_tid is not None else threads
            if candidate.tid is None or candidate.tid in borrowers:
                return loan
        return None
