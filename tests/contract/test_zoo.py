"""What every backend reports of the zoo, compared field by field with what each of its threads says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.backends import BACKENDS, ContractBackend
from tests.support.libcs import BUILDS, LibcBuild, running
from tests.support.reports import is_pieced_together

Json = dict[str, Any]

# A thread says what it says a few calls above the place where it then waits.
CALLS_BELOW = 4096
PAGE = 4096
# Every backend on the system's own libc; the other libcs, whose layouts are the libc house's business, through the live one.
PAIRS = [
    # One worker for each pair: the visit is made once, and all tests look at it.
    pytest.param(
        (build, backend), marks=pytest.mark.xdist_group(f"{build}-{backend.name}"), id=f"{build}-{backend.name}"
    )
    for build, backend in [(BUILDS[0], b) for b in BACKENDS] + [(build, BACKENDS[0]) for build in BUILDS[1:]]
]


@dataclass(frozen=True, slots=True)
class Visit:
    """One standing zoo: what its threads said, and what one backend reported."""

    build: LibcBuild
    backend: ContractBackend
    told: tuple[Json, ...]
    report: Json

    def pairs(self) -> Iterator[tuple[Json, Json]]:
        """What each thread said of itself, and what was reported of it."""
        reported = {thread["tid"]: thread for thread in self.report["threads"]}
        for words in self.told:
            yield words, reported[words["tid"]]

    def by_kind(self, kind: str) -> tuple[Json, Json]:
        """What the one thread of that kind said, and what was reported of it."""
        found = [pair for pair in self.pairs() if pair[0]["kind"] == kind]
        if not found:
            pytest.skip(f"{self.build.family} has no {kind} (no makecontext)")
        return found[0]

    def lacks(self, fact: str) -> bool:
        """Whether this backend cannot have the fact."""
        return fact in self.backend.lacks


@pytest.fixture(scope="module", params=PAIRS)
def visit(request: pytest.FixtureRequest) -> Iterator[Visit]:
    build, backend = request.param
    missing = build.why_missing()
    if missing:
        pytest.skip(missing)
    with running(build, "zoo") as (pid, lines):
        yield Visit(build, backend, tuple(line for line in lines if line["kind"] != "ready"), backend.report(pid))


def number(text: str) -> int:
    return int(text, 16)


def test_every_thread_is_there_once(visit: Visit) -> None:
    tids = [thread["tid"] for thread in visit.report["threads"]]
    assert sorted(tids) == sorted(words["tid"] for words in visit.told)


def test_the_libc_is_named(visit: Visit) -> None:
    libc = visit.report["target"]["libc"]
    assert libc["name"] == visit.build.family
    assert libc["layout_source"]


def test_bounds_are_those_of_pthread_getattr_np(visit: Visit) -> None:
    for words, thread in visit.pairs():
        low, high = number(thread["stack"]["low"]), number(thread["stack"]["high"])
        if words["kind"] == "main":
            # The main stack grows between two calls of pthread_getattr_np; its end and its limit do not move.
            if visit.lacks("main_low"):
                assert thread["stack"]["source"] == "inferred"
            elif visit.build.family == "glibc":
                assert (low, high) == (words["low"], words["high"])
            assert words["local"] in range(low or 0, high or 0)
            continue
        assert (low, high) == (words["low"], words["high"]), words["kind"]
        assert thread["stack"]["size"] == words["high"] - words["low"]


def test_the_descriptor_is_pthread_self(visit: Visit) -> None:
    for words, thread in visit.pairs():
        assert number(thread["pthread"]) == words["pthread"]


def test_used_reaches_down_to_the_thread_s_own_frame(visit: Visit) -> None:
    for words, thread in visit.pairs():
        if words["kind"] in {"altstack", "foreign"}:
            continue
        deep = words["high"] if words["kind"] != "main" else number(thread["stack"]["high"])
        used_at_the_call = deep - words["local"]
        assert used_at_the_call <= thread["stack"]["used"] <= used_at_the_call + CALLS_BELOW, words["kind"]
        assert thread["stack"]["peak"] >= thread["stack"]["used"]


def test_peak_remembers_the_recursion_that_has_returned(visit: Visit) -> None:
    _, thread = visit.by_kind("deep")
    assert 500 * 1024 <= thread["stack"]["peak"] <= 640 * 1024
    assert thread["stack"]["used"] < 32 * 1024
    assert thread["stack"]["peak_source"] == ("zero_scan" if visit.lacks("exact_peak") else "pagemap")


def test_guards_are_as_asked_for(visit: Visit) -> None:
    for words, thread in visit.pairs():
        guard = thread["guard"]
        if words["kind"] == "main":
            assert guard["kind"] == "kernel_gap"
        elif words["kind"] in {"no_guard", "given"}:
            assert guard["kind"] == "none", words["kind"]
        else:
            assert guard["size"] == (16 * PAGE if words["kind"] == "large_guard" else PAGE), words["kind"]
            assert number(guard["high"]) == words["low"]
            assert guard["kind"] == expected_guard_kind(visit)


def expected_guard_kind(visit: Visit) -> str:
    if visit.lacks("guard_kind"):
        return "unknown"
    # glibc 2.42 and later mark guard pages where the kernel can; Debian's sid has such a glibc.
    return "madvise" if visit.build.folder == "glibc-sid" else "mprotect"


def test_distance_is_from_sp_to_the_guard(visit: Visit) -> None:
    for words, thread in visit.pairs():
        if thread["guard"]["high"] is None or words["kind"] in {"altstack", "foreign"}:
            assert thread["guard"]["distance"] is None
        else:
            assert thread["guard"]["distance"] == number(thread["sp"]) - number(thread["guard"]["high"])


def test_the_stack_it_runs_on(visit: Visit) -> None:
    on = {words["kind"]: thread["stack"]["running_on"] for words, thread in visit.pairs()}
    assert on.pop("altstack") == "altstack"
    assert on.pop("foreign", "foreign") == "foreign"
    assert set(on.values()) == {"stack"}


def test_what_lies_above_a_foreign_stack_is_no_gap_in_a_stack(visit: Visit) -> None:
    others = {words["tid"] for words in visit.told if words["kind"] != "main"}
    assert not [gap for gap in visit.report["incomplete"] if gap["what"] == "stack" and gap["tid"] in others]


def test_alternate_stacks_are_those_of_sigaltstack(visit: Visit) -> None:
    for words, thread in visit.pairs():
        reported = thread["sigaltstack"]
        if visit.lacks("altstack") and words["kind"] != "altstack":
            assert reported["state"] == "unknown"
            continue
        if visit.backend.name == "live-injected":
            expected = expected_injection(words)
            assert reported["source"] == expected, words["kind"]
            gaps = {gap["tid"]: gap["why"] for gap in visit.report["incomplete"] if gap["what"] == "sigaltstack"}
            if expected == "unknown":
                assert gaps.pop(words["tid"]) == "nothing was injected: it is not on its own stack."
                continue
            assert words["tid"] not in gaps
        if words["altstack_flags"] & 2:
            assert reported["state"] == "disabled", words["kind"]
            continue
        assert reported["state"] == ("onstack" if words["kind"] == "altstack" else "enabled")
        low, high = number(reported["low"]), number(reported["high"])
        assert (low, high) == (words["altstack_low"], words["altstack_low"] + words["altstack_size"])


def expected_injection(words: Json) -> str:
    """A thread that is not on its own stack is left alone; of one on its alternate stack, the signal frame there tells."""
    return {"altstack": "sigframe", "foreign": "unknown"}.get(words["kind"], "injected")


def test_names_and_start_routines(visit: Visit) -> None:
    stripped = visit.build.stripped
    for words, thread in visit.pairs():
        if not visit.lacks("name"):
            assert thread["name"] == words["name"]
        if words["kind"] == "own" and not stripped:
            assert thread["start_routine"] == "run_own"


def test_what_each_waits_for(visit: Visit) -> None:
    if visit.build.stripped:
        pytest.skip("a stripped static program names no function, so a futex stays a futex")
    for kind, expected in (("mutex", "mutex"), ("condition", "condvar"), ("join", "join"), ("own", "syscall")):
        words, thread = visit.by_kind(kind)
        waits = thread["waits_for"]
        assert waits["kind"] == expected, kind
        if kind == "mutex":
            assert abs(number(waits["address"]) - words["waits"]) < 8
            if visit.build.family == "glibc":
                assert waits["owner_tid"] == visit.by_kind("main")[0]["tid"]
            else:  # a lock of musl's normal type records no owner
                assert waits["owner_tid"] is None
        if kind == "join":
            assert waits["owner_tid"] == visit.by_kind("own")[0]["tid"]


def test_frames_reach_the_start_routine(visit: Visit) -> None:
    if visit.build.stripped:
        pytest.skip("a stripped static program names no function")
    for words, thread in visit.pairs():
        functions = [frame["function"] for frame in thread["frames"]]
        expected = {"main": "main", "altstack": "run_altstack", "foreign": "on_foreign_stack"}.get(words["kind"])
        if words["kind"] in {"own", "large_guard", "no_guard", "given"}:
            expected = "run_own"
        if expected:
            assert expected in functions, (words["kind"], functions)


def test_nothing_here_is_an_error(visit: Visit) -> None:
    """The zoo lends nothing: whatever would be called wrong would be wrong of us."""
    bad = [finding for finding in visit.report["findings"] if finding["severity"] != "note"]
    assert bad == []
    pointers = [r for r in visit.report["references"] if not is_pieced_together(number(r["value"]))]
    assert [r for r in pointers if r["verdict"] != "live" and not r["origin"]] == []
