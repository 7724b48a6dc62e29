"""Who points into whose stack, and is it still alive?

A reference is a word of one thread (or of the heap and globals) whose value lies in another thread's stack, alternate stack or guard, or
in the cached stack of a finished thread. Its verdict follows from what is there now; its confidence from where the word lies. Words that
libc itself keeps, or that a thread was born with, are no references of the program: they carry an ``origin``, and views fold them away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinspect.analyses.context import Context
from tinspect.analyses.reference_sources import Candidate, Frames, from_memory, from_registers, from_stack
from tinspect.analyses.reference_targets import Destination, Destinations, Region
from tinspect.model.reference import Confidence, PlaceKind, ReferenceTarget, StackReference, Verdict
from tinspect.model.scope import Loan, Scope
from tinspect.model.stack import GuardRegion, SignalStack, StackBounds
from tinspect.model.thread import Thread
from tinspect.target.scan import WordScanner

# Functions a thread is born in: what stands in their registers and frames came from the creator (glibc, musl, Rust has none of its own).
_BIRTH = frozenset(
    {"start_thread", "clone", "clone3", "__clone", "__clone3", "thread_start", "start", "start_c11", "__thread_start"}
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the earlier analyses found, by tid."""

    bounds: Mapping[int, StackBounds]
    guards: Mapping[int, GuardRegion]
    signal_stacks: Mapping[int, SignalStack]
    scopes: Sequence[Scope] = ()


def analyze(context: Context, facts: Facts, scanner: WordScanner | None = None) -> tuple[StackReference, ...]:
    """Every reference across stacks, by source thread and address. With ``scanner``, heap and globals are searched as well."""
    destinations = Destinations(context, facts.bounds, facts.guards, facts.signal_stacks)
    judge = _Judge(context, facts, destinations)
    found: list[StackReference] = []
    for thread in context.snapshot.threads:
        found += judge.references_of(thread)
    if scanner is not None:
        for candidate in from_memory(context, scanner, destinations.ranges):
            found += judge.reference(candidate, None)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Born:
    """What a thread got from its creator: left-over register values, and the argument that it was given on purpose."""

    leftovers: frozenset[int]
    argument: int | None


class _Judge:
    """Turns candidates into references, or into nothing."""

    def __init__(self, context: Context, facts: Facts, destinations: Destinations) -> None:
        self._context = context
        self._facts = facts
        self._destinations = destinations
        self._loans = _Loans(facts.scopes)
        self._own: dict[int, str] = {}
        self._own_registers: dict[tuple[int | None, str | None], str] = {}
        if context.libc is not None:
            pointers = context.libc.own_pointers(context.snapshot, context.libc_threads)
            self._own = {p.address: p.origin for p in pointers if p.address is not None}
            self._own_registers = {(p.tid, p.register): p.origin for p in pointers if p.register is not None}

    def references_of(self, thread: Thread) -> Iterator[StackReference]:
        """All references that start in one thread."""
        bounds = self._facts.bounds.get(thread.tid)
        signal_stack = self._facts.signal_stacks.get(thread.tid)
        born = self._birth(thread)
        for candidate in from_registers(self._context, thread):
            yield from self.reference(candidate, born)
        for candidate in from_stack(self._context, thread, bounds, signal_stack, self._destinations.ranges):
            yield from self.reference(candidate, born)

    def reference(self, candidate: Candidate, born: _Born | None) -> Iterator[StackReference]:
        """The reference a candidate amounts to: none when it stays inside its own thread's stacks."""
        destination = self._destinations.find(candidate.value)
        if destination is None or (candidate.tid is not None and destination.tid == candidate.tid):
            return
        verdict, target = _verdict(destination, candidate.value)
        origin = self._origin(candidate, destination, born)
        loan = self._loans.find(candidate, destination) if verdict is Verdict.LIVE else None
        weak = destination.live_from is None and destination.region is Region.STACK
        yield StackReference(
            candidate.tid,
            candidate.place,
            destination.tid,
            candidate.value,
            target,
            Verdict.DECLARED if loan is not None else verdict,
            Confidence.LOW if weak else candidate.confidence,
            (candidate.reason, *(("the stack pointer of its target is not known",) if weak else ())),
            loan.scope if loan is not None else None,
            None,
            origin,
        )

    def _birth(self, thread: Thread) -> _Born:
        call_stack = self._context.call_stacks.get(thread.tid)
        descriptor = self._context.descriptor(thread)
        argument = descriptor.start_argument if descriptor is not None else None
        values: set[int] = set()
        if call_stack is not None and not thread.is_main:
            kept = self._context.snapshot.architecture.callee_saved
            values = {value for name, value in call_stack.outermost if name in kept}
        return _Born(frozenset(values), argument)

    def _origin(self, candidate: Candidate, destination: Destination, born: _Born | None) -> str | None:
        """Why the word is no reference of the program, or None when it is one."""
        place, value = candidate.place, candidate.value
        if place.address is not None and place.address in self._own:
            return self._own[place.address]
        if (candidate.tid, place.register) in self._own_registers:
            return self._own_registers[candidate.tid, place.register]
        if place.kind is PlaceKind.TLS and place.symbol == "thread descriptor":
            return "libc's thread descriptor"
        if value in {destination.block_low, destination.range.low}:
            return "base address of a stack"
        own = self._facts.bounds.get(candidate.tid) if candidate.tid is not None else None
        if own is not None and value == own.range.high:
            return "end of its own stack"
        if value >= destination.frames_end and destination.region is not Region.GUARD:
            return self._above_frames(destination, value)
        if born is None or value == born.argument:
            return None
        inherited = value in born.leftovers or place.function in _BIRTH
        return "left over from pthread_create" if inherited else None

    def _above_frames(self, destination: Destination, value: int) -> str:
        if destination.cached is not None:
            return "pthread_t or thread-local storage of a finished thread"
        descriptor = self._context.libc_threads.descriptors.get(destination.tid or 0)
        if descriptor is None or descriptor.is_main:
            return "arguments and environment"
        return "pthread_t" if value >= descriptor.address else "thread-local storage"


def _verdict(destination: Destination, value: int) -> tuple[Verdict, ReferenceTarget]:
    region = destination.region.value
    if destination.region is Region.GUARD:
        return Verdict.GUARD, ReferenceTarget(region)
    if destination.region is Region.CACHED_STACK:
        return Verdict.DANGLING_THREAD, ReferenceTarget(region)
    if destination.live_from is not None and value < destination.live_from:
        return Verdict.DANGLING_FRAME, ReferenceTarget(region)
    frame = Frames(destination.call_stack).find(value)
    if frame is None:
        return Verdict.LIVE, ReferenceTarget(region)
    return Verdict.LIVE, ReferenceTarget(region, frame.index, frame.function, value - frame.sp)


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
