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


def analyze(references: Sequence[StackReference]) -> tuple[Finding, ...]:
    """Dangling references, references into guards, and undeclared live ones; libc's own words are left out."""
    counted = [reference for reference in references if reference.origin is None]
    return (*_dangling(counted), *_undeclared(counted))


def _dangling(references: Iterable[StackReference]) -> Iterator[Finding]:
    doubtful: Counter[tuple[str, int | None]] = Counter()
    certain: defaultdict[tuple[int | None, int], list[StackReference]] = defaultdict(list)
    for reference in references:
        if reference.verdict not in _DANGLING:
            continue
        if reference.confidence is Confidence.HIGH:
            certain[reference.from_tid, reference.value].append(reference)
        else:
            doubtful[_DANGLING[reference.verdict][0], reference.from_tid] += 1
    for group in certain.values():
        yield _certain(group)
    for (code, tid), count in doubtful.items():
        yield Finding(Severity.NOTE, code, _doubtful(code, tid, count), tid)


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


def _undeclared(references: Iterable[StackReference]) -> Iterator[Finding]:
    pairs = Counter(
        (reference.from_tid, reference.to_tid)
        for reference in references
        if reference.verdict is Verdict.LIVE
        and reference.from_tid is not None
        and reference.confidence is not Confidence.LOW
    )
    for (source, to), count in pairs.items():
        times = "1 reference" if count == 1 else f"{count} references"
        message = f"{times} into the stack of thread {to}, covered by no loan: safe only while that frame outlives this thread's use."
        yield Finding(Severity.NOTE, "undeclared-reference", message, source)


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
