"""References across stacks against programs that say of every pointer where it is and what it points to: none missed, no other found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.libcs import BUILDS, LibcBuild, running
from tests.support.reports import is_pieced_together
from tinspect import session
from tinspect.model.options import AttachOptions, SnapshotOptions
from tinspect.model.reference import Confidence, PlaceKind, StackReference, Verdict
from tinspect.model.report import ProcessReport

Json = dict[str, Any]
MASK = 0x7A5A000000000000
BELOW_SP = "below its own stack pointer"


def live(pid: int, heap: bool) -> ProcessReport:
    return session.attach_report(pid, AttachOptions(heap=heap))


def snapshot(pid: int, heap: bool) -> ProcessReport:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "snapshot")
        session.write_snapshot(pid, path, SnapshotOptions(heap=heap))
        return session.core_report(path, None, AttachOptions(heap=heap))


@dataclass(frozen=True, slots=True)
class Visit:
    """What the program said, and what was reported."""

    build: LibcBuild
    told: tuple[Json, ...]
    report: ProcessReport

    @property
    def found(self) -> list[StackReference]:
        """What counts: libc's own words are folded away, and the red zone may hold anything, for what it is worth."""
        counting = [r for r in self.report.references if r.origin is None and BELOW_SP not in r.reasons]
        return [r for r in counting if not is_pieced_together(r.value)]

    def find(self, words: Json) -> StackReference:
        return next(r for r in self.found if place_of(r) == told_place(words) and r.value == words["masked"] ^ MASK)


def told_place(words: Json) -> tuple[int | None, str, str | int]:
    """A register is of its thread; any other place has an address."""
    return words["from"] or None, words["place"], words["symbol"] if words["place"] == "register" else words["at"]


def place_of(reference: StackReference) -> tuple[int | None, str, str | int | None]:
    place = reference.place
    return reference.from_tid, place.kind.value, place.register or place.address


CASES = [(build, how) for build in BUILDS if build.folder != "glibc-bullseye" for how in (live, snapshot)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1].__name__}")
def visit(request: pytest.FixtureRequest) -> Iterator[Visit]:
    build: LibcBuild
    how: Callable[[int, bool], ProcessReport]
    build, how = request.param
    missing = build.why_missing()
    if missing:
        pytest.skip(missing)
    with running(build, "refs_cross") as (pid, lines):
        # In a stripped static glibc no symbol leads to the stacks that it keeps: all that is in them would count as heap.
        heap = not build.stripped
        report = how(pid, heap)
        told = tuple(line for line in lines if line["kind"] == "row")
        if not heap:
            assert not report.cached_stacks
            told = tuple(words for words in told if words["from"] and words["verdict"] != "dangling_thread")
            if build.family == "musl":
                told = tuple(words for words in told if words["place"] != "tls")
        yield Visit(build, told, report)


def test_every_pointer_is_found_and_nothing_else(visit: Visit) -> None:
    expected = {
        (*told_place(words), words["masked"] ^ MASK, words["to"] or None, words["verdict"]) for words in visit.told
    }
    found = {(*place_of(r), r.value, r.to_tid, r.verdict.value) for r in visit.found}
    assert expected - found == set()
    assert found - expected == set()


def test_what_lies_below_the_stack_pointer_weighs_little(visit: Visit) -> None:
    below = [r for r in visit.report.references if BELOW_SP in r.reasons]
    assert {r.confidence.value for r in below} <= {"low"}


def test_variables_at_both_ends_are_named(visit: Visit) -> None:
    if visit.build.stripped:
        pytest.skip("a stripped program has no debug information")
    for words in visit.told:
        reference = visit.find(words)
        assert (reference.target.variable or "") == words["variable"], words
        if words["place"] in {"stack", "global", "tls"}:
            assert reference.place.symbol == words["symbol"], words


def test_only_what_is_sure_is_called_wrong(visit: Visit) -> None:
    """Errors: what the kernel will write to. Warnings: what a pointer with a name points to."""
    wrong = {(f.severity.value, f.code, f.tid) for f in visit.report.findings if f.severity.value != "note"}
    expected = set()
    for words in visit.told:
        code = {
            "dangling_frame": "dangling-frame",
            "dangling_thread": "dangling-thread",
            "guard": "reference-into-guard",
        }
        if words["verdict"] not in code:
            continue
        if words["place"] == "register" and words["symbol"] == "rsi":
            expected.add(("error", code[words["verdict"]], words["from"]))
        elif words["place"] in {"stack", "global"} and not visit.build.stripped:
            expected.add(("warning", code[words["verdict"]], words["from"] or None))
    assert wrong == expected


def test_what_points_right_below_a_stack_pointer_is_gone_but_not_for_sure() -> None:
    """A function that has just returned lay there, unless the innermost one calls nothing and keeps variables there (psABI 3.2.2)."""
    build = next(build for build in BUILDS if not build.why_missing() and not build.stripped)
    with running(build, "refs_cross") as (pid, lines):
        words = next(line for line in lines if line.get("place") == "stack" and line["verdict"] == "live")
        owner = next(entry.thread for entry in live(pid, False).threads if entry.thread.tid == words["to"])
        assert owner.registers
        with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
            memory.seek(words["at"])
            memory.write((owner.registers.sp - 80).to_bytes(8, "little"))
        found = next(r for r in live(pid, False).references if r.place.address == words["at"])
    assert (found.verdict, found.confidence) == (Verdict.DANGLING_FRAME, Confidence.MEDIUM)
    assert any("right below the stack pointer" in reason for reason in found.reasons)


@pytest.mark.parametrize("heap", [False, True], ids=["stacks", "heap"])
@pytest.mark.parametrize("how", [live, snapshot])
def test_a_coroutine_s_stack_is_looked_through(how: Callable[[int, bool], ProcessReport], heap: bool) -> None:
    """It belongs to the thread that runs on it, and is not heap as well."""
    with running(BUILDS[0], "refs_coroutine") as (pid, lines):
        report = how(pid, heap)
    words = next(line for line in lines if line["kind"] == "row")
    [found] = [r for r in report.references if r.place.address == words["at"]]
    assert (found.from_tid, found.to_tid, found.value) == (words["from"], words["to"], words["value"])
    assert (found.place.kind, found.place.symbol, found.target.variable) == (PlaceKind.STACK, "held", "local")
    assert found.verdict is Verdict.LIVE
