"""Words that point across stacks and are no references of the program: libc's own, and what a thread was born with.

pthread_create(3) starts a thread by clone(2), which hands every register of the creator down. Those that a called function preserves
then hold addresses in the creator's frames, long returned, until somebody needs the register; every function that saves it in between
writes a copy to the stack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinspect.analyses.context import Context
from tinspect.analyses.descriptor_index import DescriptorIndex
from tinspect.analyses.reference_sources import Candidate
from tinspect.analyses.reference_targets import Destination, Region
from tinspect.model.frame import CallStack, FrameSource
from tinspect.model.reference import Confidence, PlaceKind, ReferenceSource, StackReference, Verdict
from tinspect.model.stack import StackBounds
from tinspect.model.thread import Thread

INHERITED = "left over from pthread_create"
_CERTAIN = frozenset({FrameSource.REGISTERS, FrameSource.CFI, FrameSource.SIGFRAME})
# The functions of libc that a thread begins in (glibc nptl/pthread_create.c, musl src/thread/pthread_create.c and clone.s).
_BIRTH = frozenset({"start_thread", "clone", "clone3", "__clone", "__clone3", "start", "start_c11"})
_BIRTH_FRAMES = 2
_CREATION_FRAMES = 1024  # bytes that pthread_create and what it calls have on the stack


class Origins:
    """Knows where the words of one capture come from."""

    def __init__(self, context: Context, bounds: Mapping[int, StackBounds]) -> None:
        self._context = context
        self._bounds = bounds
        self._own: dict[int, str] = {}
        self._own_registers: dict[tuple[int | None, str | None], str] = {}
        if context.libc is not None:
            pointers = context.libc.own_pointers(context.snapshot, context.libc_threads)
            self._own = {p.address: p.origin for p in pointers if p.address is not None}
            self._own_registers = {(p.tid, p.register): p.origin for p in pointers if p.register is not None}
        self._descriptors = DescriptorIndex(context.libc_threads.descriptors.values())
        self._inherited = {thread.tid: self._inherited_values(thread) for thread in context.snapshot.threads}

    def find(self, candidate: Candidate, destination: Destination) -> str | None:
        """Why the word is no reference of the program, or None when it is one."""
        place, value = candidate.place, candidate.value
        if place.address is not None and place.address in self._own:
            return self._own[place.address]
        if place.register is not None and (candidate.tid, place.register) in self._own_registers:
            return self._own_registers[candidate.tid, place.register]
        if place.kind is PlaceKind.REGISTER and candidate.confidence is Confidence.LOW:
            return "a register its system call does not use"
        if place.address is not None and self._is_of_libc(place):
            return "libc's own data"
        if value in destination.bases:
            return "base address of a stack"
        if candidate.tid is None:
            return _above_frames(self._context, destination, value)
        own = self._bounds.get(candidate.tid)
        if own is not None and value == own.range.high:
            return "end of its own stack"
        return _above_frames(self._context, destination, value) or self._birth(candidate, candidate.tid)

    def _is_of_libc(self, place: ReferenceSource) -> bool:
        """Whether the word lies in a descriptor or in libc's static data."""
        if place.kind is PlaceKind.GLOBAL:
            module = self._context.snapshot.modules.find(place.address or 0)
            libc = self._context.libc.own_module if self._context.libc is not None else None
            return libc is not None and module is not None and module.path == libc
        return place.kind is not PlaceKind.STACK and self._descriptors.find(place.address or 0) is not None

    def _birth(self, candidate: Candidate, tid: int) -> str | None:
        descriptor = self._context.libc_threads.descriptors.get(tid)
        if descriptor is not None and candidate.value == descriptor.start_argument:
            return None  # given on purpose
        if candidate.value in self._inherited[tid] or self._is_birth_frame(candidate, tid):
            return INHERITED
        return None

    def _is_birth_frame(self, candidate: Candidate, tid: int) -> bool:
        """Whether the word lies in the frame of libc's that the thread began in, and not in a function of the program of that name."""
        frame, call_stack = candidate.frame, self._context.call_stacks.get(tid)
        if frame is None or call_stack is None or frame.function not in _BIRTH:
            return False
        libc = self._context.libc.own_module if self._context.libc is not None else None
        return frame.index >= len(call_stack.frames) - _BIRTH_FRAMES and libc in {None, frame.module}

    def _inherited_values(self, thread: Thread) -> frozenset[int]:
        """The preserved registers as they were in the thread's first frame: the creator's, where every frame is known."""
        call_stack = self._context.call_stacks.get(thread.tid)
        if call_stack is None or thread.is_main or not call_stack.complete:
            return frozenset()
        kept = self._context.snapshot.architecture.callee_saved
        return frozenset(value for name, value in call_stack.outermost if name in kept)

    def with_siblings(self, references: Sequence[StackReference]) -> list[StackReference]:
        """The references, those marked as inherited that only a comparison of threads shows to be.

        Where libc's code comes without call frame information (musl), nobody can follow a thread's registers back to its birth; and the
        registers that a call need not preserve are handed down as well, and spilled by whoever was never given a value for them. But
        threads with one creator are born with the same values: a value into a returned frame that several of them hold in the same
        place, outside every variable that has a name, is such a birth mark.
        """
        doubtful = {id(r) for r in references if self._may_be_inherited(r)}
        holders: defaultdict[tuple[int, str | int | None], set[int | None]] = defaultdict(set)
        for reference in references:
            if id(reference) in doubtful:
                holders[reference.value, self._place_in_thread(reference)].add(reference.from_tid)
        marks = {value for (value, _), tids in holders.items() if len(tids) > 1}
        marks |= {r.value for r in references if r.origin == INHERITED and r.verdict is Verdict.DANGLING_FRAME}
        marks -= {descriptor.start_argument for descriptor in self._context.libc_threads.descriptors.values()}
        return [
            replace(r, origin=INHERITED, confidence=Confidence.LOW) if id(r) in doubtful and r.value in marks else r
            for r in references
        ]

    def _may_be_inherited(self, reference: StackReference) -> bool:
        tid = reference.from_tid
        if tid is None or reference.origin is not None or reference.verdict is not Verdict.DANGLING_FRAME:
            return False
        if reference.confidence is Confidence.HIGH:
            return False
        return not _is_certain(self._context.call_stacks.get(tid)) or self._is_among_inherited(tid, reference.value)

    def _is_among_inherited(self, tid: int, value: int) -> bool:
        """Whether ``value`` points between two that the thread certainly inherited: into the frames of pthread_create itself."""
        near = [mark for mark in self._inherited[tid] if abs(mark - value) <= _CREATION_FRAMES]
        return bool(near) and min(near) <= value <= max(near)

    def _place_in_thread(self, reference: StackReference) -> str | int | None:
        """The register, or how far from the end of its thread's stack the word lies."""
        own = self._bounds.get(reference.from_tid) if reference.from_tid is not None else None
        if reference.place.address is None or own is None:
            return reference.place.register
        return own.range.high - reference.place.address


def _is_certain(call_stack: CallStack | None) -> bool:
    return call_stack is None or (call_stack.complete and all(frame.source in _CERTAIN for frame in call_stack.frames))


def _above_frames(context: Context, destination: Destination, value: int) -> str | None:
    if value < destination.frames_end or destination.region in {Region.GUARD, Region.ALTSTACK}:
        return None
    if destination.region is Region.CACHED_STACK:
        return "pthread_t or thread-local storage of a finished thread"
    descriptor = context.libc_threads.descriptors.get(destination.tid or 0)
    if destination.tid == context.snapshot.facts.pid:
        return "arguments and environment"
    if descriptor is None:
        return "above the thread's first frame"
    return "pthread_t" if value >= descriptor.address else "thread-local storage"
