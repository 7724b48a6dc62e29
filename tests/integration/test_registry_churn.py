"""The registry in the middle of an update, after a fork, and of a version that is not known."""

from __future__ import annotations

import signal
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support.core_maker import find_core, gcore
from tests.support.runtime_programs import ROOT, Speaker, build_runtime, link_program, speaking
from tests.support.waiting import PATIENCE_S, wait_until_still
from tinspect import session
from tinspect.analyses.registry import find_registries, plan_capture, read_registries
from tinspect.backends.slot_reader import read_slots
from tinspect.errors import TargetLost, TargetNotFound, TargetRefused
from tinspect.formats.registry import Kind
from tinspect.model.options import AttachOptions, SnapshotOptions
from tinspect.model.report import ProcessReport
from tinspect.model.scope import Scope
from tinspect.native import _inspect
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import SymbolStore, SymbolTable
from tinspect.target.memory import LayeredMemory, MemoryReader, SegmentMemory

PASSIVE, STOPPED = AttachOptions(passive=True), AttachOptions()
STAGES = ("looking at the target", "capturing", "analysing")
CHURNERS = 3
CHILDREN = 4


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("churn")
    return link_program(ROOT / "tests/programs/scope_churn.c", folder / "scope_churn")


def check_churn(report: ProcessReport) -> None:
    """What is said of the churn is possible, whatever the moment was."""
    tids = {entry.thread.tid for entry in report.threads}
    assert len(report.scopes) <= CHURNERS
    assert len({scope.id for scope in report.scopes}) == len(report.scopes)
    for scope in report.scopes:
        if scope.phase == "torn":
            assert f"scope {scope.id}" in torn_words(report)
            continue
        check_scope(scope, tids)
    for lock in report.locks:
        assert (lock.kind, lock.name) == ("mutex", "a lock of one scope")
    for gap in report.incomplete:
        assert gap.what != "scopes" or "torn" in gap.why or "giving out a record" in gap.why, gap.why


def check_scope(scope: Scope, tids: set[int]) -> None:
    assert (scope.name, scope.parent, scope.orphaned) == ("churn", None, False)
    assert scope.phase in {"body", "joining", "done"}
    assert len(scope.threads) <= CHILDREN
    for loan in scope.borrows:
        assert loan.mode == "shared"
        assert loan.range.size == 64
        assert loan.lender_frame is not None
        assert loan.range.low >= loan.lender_frame
        assert loan.lender_tid in tids | {None}


def torn_words(report: ProcessReport) -> str:
    return " ".join(gap.why for gap in report.incomplete if "torn" in gap.why)


def read_while_it_churns(churn: Path, rounds: int) -> None:
    with speaking(churn, "churn", still=False) as speaker:
        for number in range(rounds):
            check_churn(session.attach_report(speaker.pid, PASSIVE if number % 2 else STOPPED))


def kill_while_it_is_read(churn: Path, rounds: int) -> None:
    """kill -9 at every stage of the reading: a report, or the words that it is gone."""
    for number in range(rounds):
        with speaking(churn, "churn", still=False) as speaker, session.attach(speaker.pid) as inspector:
            options = PASSIVE if number % 2 else STOPPED
            fatal_stage = STAGES[number % len(STAGES)]

            def kill(stage: str, _: int, __: int | None, speaker: Speaker = speaker, fatal: str = fatal_stage) -> None:
                if stage == fatal:
                    speaker.process.kill()

            check_churn(inspector.report(options))
            with suppress(TargetLost, TargetRefused, TargetNotFound):
                check_churn(inspector.report(options, kill))


def dump_by_the_kernel(churn: Path, folder: Path, rounds: int) -> None:
    for number in range(rounds):
        here = folder / str(number)
        here.mkdir()
        with speaking(churn, "churn", cwd=here, cores=True, still=False) as speaker:
            speaker.process.communicate("\n", timeout=PATIENCE_S)
            assert speaker.process.returncode == -signal.SIGABRT
            core = find_core(here, speaker.pid)
        check_churn(session.core_report(str(core), None, AttachOptions()))
        core.unlink()


def dump_by_gcore(churn: Path, folder: Path, rounds: int) -> None:
    with speaking(churn, "churn", still=False) as speaker:
        for _ in range(rounds):
            core = gcore(speaker.pid, folder)
            check_churn(session.core_report(str(core), None, AttachOptions()))
            core.unlink()


def test_read_in_mid_update(churn: Path) -> None:
    read_while_it_churns(churn, 6)


def test_killed_in_mid_update(churn: Path) -> None:
    kill_while_it_is_read(churn, 6)


def test_a_kernel_core_of_mid_update(churn: Path, tmp_path: Path) -> None:
    dump_by_the_kernel(churn, tmp_path, 2)


def test_a_gcore_of_mid_update(churn: Path, tmp_path: Path) -> None:
    dump_by_gcore(churn, tmp_path, 2)


@pytest.mark.slow
def test_mid_update_a_thousand_times(churn: Path, tmp_path: Path) -> None:
    read_while_it_churns(churn, 1000)


@pytest.mark.slow
def test_killed_and_dumped_a_hundred_times(churn: Path, tmp_path: Path) -> None:
    kill_while_it_is_read(churn, 100)
    dump_by_the_kernel(churn, tmp_path, 60)


@pytest.mark.slow
def test_gcore_fifty_times(churn: Path, tmp_path: Path) -> None:
    dump_by_gcore(churn, tmp_path, 50)


def test_after_a_fork_the_child_has_orphans_and_the_parent_has_none(churn: Path) -> None:
    with speaking(churn, "fork") as speaker:
        wait_until_still(speaker.truth["child"])
        parent = session.attach_report(speaker.pid, STOPPED)
        child = session.attach_report(speaker.truth["child"], STOPPED)
    assert {scope.name: scope.orphaned for scope in parent.scopes} == {"forking": False, "lost with its owner": False}
    scopes = {scope.name: scope for scope in child.scopes}
    assert {name: scope.orphaned for name, scope in scopes.items()} == {"forking": False, "lost with its owner": True}
    assert scopes["forking"].owner_tid == speaker.truth["child"]
    assert scopes["lost with its owner"].owner_tid is None
    assert scopes["lost with its owner"].threads == scopes["forking"].threads == ()
    assert [f.code for f in child.findings if f.code == "scope-orphaned"] == ["scope-orphaned"]
    assert [f for f in parent.findings if f.code in {"scope-orphaned", "thread-lost"}] == []


def check_names(memory: MemoryReader, registries: tuple[int, ...]) -> int:
    """Name and length, and all of the name's letters, are of one moment, or the record is said to be torn. How many were whole."""
    (registry,), gaps = read_registries(memory, registries)
    threads = registry.of_kind(Kind.THREAD)
    torn = " ".join(gap.why for gap in gaps)
    for thread in threads:
        name, length = thread.text("name"), thread.number("name_length")
        assert thread.torn or name == (chr(ord("A") + length - 1) * length if length else ""), name
        assert not thread.torn or f"thread {thread.id}" in torn
    return sum(not thread.torn for thread in threads)


def test_names_read_while_they_change_are_each_one_name(churn: Path) -> None:
    with speaking(churn, "rename", still=False) as speaker, session.attach(speaker.pid) as inspector:
        snapshot, tools = inspector.capture(PASSIVE)
        assert check_names(snapshot.memory, tools.registries) > 0
        # The reading alone, many times, to meet writers in the middle (tests/unit/backends/test_slot_reader.py does so for certain).
        plan = plan_capture(snapshot, tools.registries)
        read = partial(_inspect.read_ranges, speaker.pid)
        for _ in range(300):
            slots = SegmentMemory(read_slots(plan.slot_groups, read))
            check_names(LayeredMemory([slots, snapshot.memory]), tools.registries)


@pytest.mark.parametrize("options", [STOPPED, PASSIVE], ids=["stopped", "passive"])
def test_a_registry_that_a_fork_left_behind_is_orphaned(churn: Path, options: AttachOptions) -> None:
    """The child has the parent's registry, and the runtime was not told: nothing in it is of the child's threads."""
    with speaking(churn, "inherit") as speaker:
        parent = session.attach_report(speaker.pid, options)
        child = session.attach_report(speaker.truth["child"], options)
    assert [scope.orphaned for scope in parent.scopes] == [False, False]
    assert {scope.name for scope in child.scopes} == {"forking", "lost with its owner"}
    assert all(scope.orphaned and not scope.threads and scope.owner_tid is None for scope in child.scopes)
    (why,) = [gap.why for gap in child.incomplete if gap.what == "scopes"]
    assert f"is that of process {speaker.pid}: this process was forked from it" in why
    assert not [gap for gap in parent.incomplete if gap.what == "scopes"]
    assert not [finding for finding in child.findings if finding.code == "thread-lost"]


def test_a_core_that_cannot_tell_a_fork_from_a_namespace_says_both(churn: Path, tmp_path: Path) -> None:
    with speaking(churn, "inherit") as speaker:
        core = gcore(speaker.truth["child"], tmp_path)
    report = session.core_report(str(core), None, AttachOptions())
    (why,) = [gap.why for gap in report.incomplete if gap.what == "scopes"]
    assert f"is that of process {speaker.pid}: " in why
    assert "own pid namespace" in why
    assert [scope.orphaned for scope in report.scopes] == [False, False]
    assert not [finding for finding in report.findings if finding.code == "thread-lost"]


def test_only_who_ended_unseen_is_lost(churn: Path) -> None:
    with speaking(churn, "ends") as speaker:
        seen = [
            session.attach_report(speaker.pid, options)
            for options in (STOPPED, PASSIVE, AttachOptions(tids=frozenset({speaker.pid})))
        ]
    lost = [[finding.message for finding in report.findings if finding.code == "thread-lost"] for report in seen]
    assert len(lost[0]) == 1
    assert f"thread {speaker.truth['lost']} " in lost[0][0]
    # While threads run, one that is not listed may have begun meanwhile: nothing is concluded from that.
    assert lost[1:] == [[], []]


@pytest.fixture
def demo() -> Iterator[Speaker]:
    with speaking(build_runtime() / "tinspect-demo") as speaker:
        yield speaker


NEWER = "the runtime's registry has format 2, and this tinspect reads format 1"


def scopes_words(report: ProcessReport) -> str:
    assert report.scopes == ()
    assert report.locks == ()
    return " ".join(gap.why for gap in report.incomplete if gap.what == "scopes")


@pytest.mark.parametrize("options", [STOPPED, PASSIVE], ids=["stopped", "passive"])
def test_a_newer_major_is_refused_in_words(demo: Speaker, options: AttachOptions) -> None:
    header = int(demo.truth["registry"], 16)
    with Path(f"/proc/{demo.pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(header + 16)
        memory.write(struct.pack("<H", 2))
    report = session.attach_report(demo.pid, options)
    assert NEWER in scopes_words(report)
    assert len(report.threads) == len(demo.truth["threads"])


def test_a_newer_major_in_a_snapshot_is_refused_in_words(demo: Speaker, tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    session.write_snapshot(demo.pid, str(path), SnapshotOptions())
    data = bytearray(path.read_bytes())
    found = data.find(b"TINSPREG" + struct.pack("<II", 0x01020304, 8))
    assert found > 0
    data[found + 16 : found + 18] = struct.pack("<H", 2)
    path.write_bytes(data)
    assert NEWER in scopes_words(session.core_report(str(path), None, AttachOptions()))


def test_the_three_ways_find_the_same_registry(demo: Speaker) -> None:
    with session.attach(demo.pid) as inspector:
        snapshot, _ = inspector.capture(STOPPED)
        symbols = SymbolTable(snapshot.modules, SymbolStore(ImageStore(snapshot.files)))
        header = int(demo.truth["registry"], 16)
        assert find_registries(snapshot, symbols)[0] == (header,)
        assert any(m.name == "/memfd:tinspect" and m.range.low == header for m in snapshot.mappings)
        anchor = symbols.find_address("ti_registry_v1")
        assert anchor is not None
    with Path(f"/proc/{demo.pid}/mem").open("rb") as memory:
        memory.seek(anchor + 16)
        assert int.from_bytes(memory.read(8), "little") == header
