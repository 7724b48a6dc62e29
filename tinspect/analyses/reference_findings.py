"""What the references across stacks mean for their program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tinspect.model.reference import Confidence, PlaceKind, StackReference, Verdict
from tinspect.model.report import Finding, Severity

# Certain enough to call an error; likely enough to warn; left-over bytes as likely as not.
_SEVERITY = {Confidence.HIGH: Severity.ERROR, Confidence.MEDIUM: Severity.WARNING, Confidence.LOW: Severity.NOTE}
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


def _dangling(references: Iterable[StackReference]) -> Iterable[Finding]:
    for reference in references:
        if reference.verdict not in _DANGLING:
            continue
        code, words = _DANGLING[reference.verdict]
        whose = f"thread {reference.to_tid}" if reference.to_tid is not None else "a finished thread"
        message = f"{describe_place(reference)} holds {reference.value:#x}, {words.format(to=whose)}"
        yield Finding(_SEVERITY[reference.confidence], code, message, reference.from_tid)


def _undeclared(references: Iterable[StackReference]) -> Iterable[Finding]:
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
    if place.kind is PlaceKind.STACK:
        return f"the stack word at {place.address:#x}{inside}"
    if place.kind is PlaceKind.GLOBAL:
        return f"the global {place.symbol or 'word'} at {place.address:#x}"
    return f"the {place.kind.value} word at {place.address:#x}"
