"""What the references across stacks mean for their program.

A dangling pointer does harm when it is used. That is certain where the kernel was given it (an error), and likely where a pointer
variable with a name holds it (a warning). Any other word may be left over from a use long past: threads of a pool keep the last job's
data in a register that they will not read again. Those are counted in a note, and listed in full in the references themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tinspect.model.reference import Confidence, PlaceKind, StackReference, Verdict
from tinspect.model.report import Finding, Severity

_DANGLING = {
    Verdict.DANGLING_FRAME: (
        "dangling-frame",
        "below the stack pointer of {to}: the frame it pointed to has returned.",
    ),
    Verdict.DANGLING_THREAD: ("dangling-thread", "into the stack of a thread that has ended."),
    Verdict.GUARD: ("reference-into-guard", "into the guard of {to}."),
}
_NAMED_THREADS = 3


def analyze(references: Sequence[StackReference], has_runtime: bool) -> tuple[Finding, ...]:
    """Dangling references, references into guards, and undeclared live ones; libc's own words are left out. ``has_runtime``: the
    program could have declared them."""
    counted = [reference for reference in references if reference.origin is None]
    return (*_dangling(counted), *_undeclared(counted, has_runtime))


def _dangling(references: Iterable[StackReference]) -> Iterator[Finding]:
    doubtful: Counter[tuple[str, int | None]] = Counter()
    certain: defaultdict[tuple[int | None, int], list[StackReference]] = defaultdict(list)
    for reference in references:
        if reference.verdict not in _DANGLING:
            continue
        if reference.confidence is Confidence.HIGH:
            certain[reference.from_tid, reference.value].append(reference)
        elif not _is_in_no_frame(reference):
            doubtful[_DANGLING[reference.verdict][0], reference.from_tid] += 1
    for group in certain.values():
        yield _certain(group)
    for (code, tid), count in doubtful.items():
        yield Finding(Severity.NOTE, code, _doubtful(code, tid, count), tid)


def _is_in_no_frame(reference: StackReference) -> bool:
    """A stack word that no frame holds: left below the stack pointer, or above the last frame that could be followed."""
    place = reference.place
    return place.kind is PlaceKind.STACK and place.frame is None and reference.confidence is Confidence.LOW


def _certain(group: list[StackReference]) -> Finding:
    """One finding for one pointer, however many places hold it."""
    worst = min(group, key=_severity_rank)
    code, words = _DANGLING[worst.verdict]
    whose = f"thread {worst.to_tid}" if worst.to_tid is not None else "a finished thread"
    more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    message = f"{describe_place(worst)}{more} holds {worst.value:#x}, {words.format(to=whose)}"
    severity = Severity.ERROR if worst.place.kind is PlaceKind.REGISTER else Severity.WARNING
    return Finding(severity, code, message, worst.from_tid)


def _severity_rank(reference: StackReference) -> bool:
    return reference.place.kind is not PlaceKind.REGISTER


def _doubtful(code: str, tid: int | None, count: int) -> str:
    where = "heap and static data" if tid is None else "its registers and frames"
    words = "1 word" if count == 1 else f"{count} words"
    into = {
        "dangling-frame": "frames that have returned",
        "dangling-thread": "stacks of threads that have ended",
        "reference-into-guard": "guards",
    }[code]
    verb = "points" if count == 1 else "point"
    return f"{words} in {where} {verb} into {into}, and may be left over: nothing shows that they are still used."


def _undeclared(references: Iterable[StackReference], has_runtime: bool) -> Iterator[Finding]:
    """One finding for each thread that holds any."""
    found: defaultdict[int, Counter[int | None]] = defaultdict(Counter)
    for reference in references:
        if (
            reference.verdict is Verdict.LIVE
            and reference.from_tid is not None
            and reference.confidence is not Confidence.LOW
        ):
            found[reference.from_tid][reference.to_tid] += 1
    no_loan = ", covered by no loan" if has_runtime else ""
    for source, targets in found.items():
        count = targets.total()
        times = "1 reference" if count == 1 else f"{count} references"
        while_valid = "that frame outlives" if len(targets) == 1 else "those frames outlive"
        message = f"{times} into {_stacks(list(targets))}{no_loan}: safe only while {while_valid} this thread's use."
        yield Finding(Severity.NOTE, "undeclared-reference", message, source)


def _stacks(tids: Sequence[int | None]) -> str:
    if len(tids) == 1:
        return f"the stack of thread {tids[0]}"
    named, more = tids[:_NAMED_THREADS], len(tids) - _NAMED_THREADS
    words = (
        ", ".join(map(str, named)) + f" and {more} more"
        if more > 0
        else f"{', '.join(map(str, named[:-1]))} and {named[-1]}"
    )
    return f"the stacks of threads {words}"


def describe_place(reference: StackReference) -> str:
    """Where the pointing word lies, in words."""
    place = reference.place
    inside = f" in {place.function}" if place.function else ""
    if place.kind is PlaceKind.REGISTER:
        return f"register {place.register}{inside}"
    if place.symbol is not None:
        return f"{place.symbol}{inside} ({place.kind.value}, {place.address:#x})"
    if place.kind is PlaceKind.STACK:
        return f"the stack word at {place.address:#x}{inside}"
    return f"the {place.kind.value} word at {place.address:#x}"
