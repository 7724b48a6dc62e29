"""The runtime seen from outside: what the demo says of itself, the inspector reports, by every backend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.backends import BACKENDS, ContractBackend
from tests.support.runtime_programs import Speaker, build_runtime, link_program, speaking
from tests.support.waiting import PATIENCE_S
from tinspect import session
from tinspect.analyses.assemble import build_report
from tinspect.analyses.registry import RegistryRecords, read_registries
from tinspect.formats.registry import Kind, Record
from tinspect.model.address import AddressRange
from tinspect.model.options import AttachOptions
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.stack import GuardKind, SignalStackState
from tinspect.views.layout import table_lines
from tinspect.views.span import plain_text
from tinspect.views.tls import tls_tables

Json = dict[str, Any]
ADOPTED = 2


@pytest.fixture(scope="module")
def demo() -> Iterator[Speaker]:
    with speaking(build_runtime() / "tinspect-demo") as speaker:
        yield speaker


@pytest.fixture(
    scope="module",
    params=[pytest.param(b, id=b.name, marks=pytest.mark.xdist_group("demo-scopes")) for b in BACKENDS],
)
def seen(request: pytest.FixtureRequest, demo: Speaker) -> tuple[ContractBackend, Json, Json]:
    """The backend, what the demo said, and the backend's report of it."""
    return request.param, demo.truth, request.param.report(demo.pid)


Seen = tuple[ContractBackend, Json, Json]


def test_the_tree_of_scopes(seen: Seen) -> None:
    _, truth, report = seen
    names = ("id", "name", "owner_tid", "parent")
    assert [{n: s[n] for n in names} for s in report["scopes"]] == [{n: s[n] for n in names} for s in truth["scopes"]]
    for told, scope in zip(truth["scopes"], report["scopes"], strict=True):
        assert sorted(scope["threads"]) == sorted(told["threads"])
        assert scope["running"] == len(told["threads"])
        assert (scope["phase"], scope["closed"], scope["panicked"], scope["orphaned"]) == ("body", False, False, False)
        assert int(scope["frame"], 16) in owner_stack(report, scope["owner_tid"])


def owner_stack(report: Json, tid: int) -> AddressRange:
    stack = next(thread["stack"] for thread in report["threads"] if thread["tid"] == tid)
    return AddressRange(int(stack["low"] or "0", 16), int(stack["high"], 16))


def test_loans_with_range_mode_lender_frame_and_borrower(seen: Seen) -> None:
    _, truth, report = seen
    names = ("scope", "lender_tid", "borrower_tid", "mode", "low", "high")
    loans = [loan for scope in report["scopes"] for loan in scope["borrows"]]
    told = sorted(tuple(loan[n] for n in names) for loan in truth["loans"])
    assert sorted(tuple(loan[n] for n in names) for loan in loans) == told
    bodies = {scope["id"]: f"{scope['name']}_body" for scope in truth["scopes"]}
    threads = {thread["tid"]: thread for thread in report["threads"]}
    for loan in loans:
        frames = {frame["sp"]: frame["function"] for frame in threads[loan["lender_tid"]]["frames"]}
        assert frames[loan["lender_frame"]] == bodies[loan["scope"]]
        assert int(loan["low"], 16) >= int(loan["lender_frame"], 16)


def test_keys_have_the_names_that_their_program_gave_them(tmp_path: Path) -> None:
    source = tmp_path / "keyed.c"
    source.write_text("""#include <stdio.h>
#include <stdlib.h>
#include <tinspect/local.h>
static ti_key key = TI_KEY_INIT("session cache", free);
int main(void) {
    pthread_key_t plain;
    pthread_key_create(&plain, free);
    if (ti_key_set(&key, malloc(8)) == TI_OK)
        printf("{\\"plain\\": %u}\\n", plain);
    fflush(stdout);
    return getchar();
}
""")
    with speaking(link_program(source, tmp_path / "keyed")) as speaker:
        report = session.attach_report(speaker.pid, AttachOptions())
    names = {key.key: key.name for key in report.tls_keys}
    assert names.pop(speaker.truth["plain"]) is None
    assert [name for name in names.values() if name] == ["session cache"]
    assert "session cache" in plain_text(line for table in tls_tables(report) for line in table_lines(table, 120))


def test_locks_with_owner_and_waiters(seen: Seen) -> None:
    _, truth, report = seen
    names = ("name", "kind", "address", "owner_tid", "waiters")
    assert [{n: lock[n] for n in names} for lock in report["locks"]] == truth["locks"]
    (lock,) = truth["locks"]
    assert [lock["held"] for lock in report["locks"]] == [True]
    waits = next(t["waits_for"] for t in report["threads"] if t["tid"] == lock["waiters"][0])
    assert (waits["kind"], waits["address"], waits["owner_tid"]) == ("mutex", lock["address"], lock["owner_tid"])


def test_thread_names(seen: Seen) -> None:
    backend, truth, report = seen
    if "name" in backend.lacks:
        pytest.skip(backend.lacks["name"])
    names = {thread["tid"]: thread["name"] for thread in report["threads"]}
    assert names == {thread["tid"]: thread["name"][:15] for thread in truth["threads"]}


def test_keys_with_their_destructors(seen: Seen) -> None:
    _, truth, report = seen
    keys = {key["key"]: key["destructor"] for key in report["tls_keys"]}
    values = {t["tid"]: {slot["key"]: slot["value"] for slot in t["tls_values"]} for t in report["threads"]}
    for told in truth["keys"]:
        assert int(keys[told["key"]] or "0", 16) == int(told["destructor"], 16)
        assert told["key"] in values[told["tid"]]
    assert values[truth["keys"][1]["tid"]][truth["keys"][1]["key"]] == "0x5eed"


def test_declared_stray_and_dangling(seen: Seen) -> None:
    _, truth, report = seen
    references = {(r["from_tid"], r["from"]["address"]): r for r in report["references"]}
    for loan in truth["loans"]:
        reference = references[loan["borrower_tid"], loan["held_at"]]
        assert (reference["verdict"], reference["scope"]) == ("declared", loan["scope"])
        assert (reference["value"], reference["to_tid"]) == (loan["low"], loan["lender_tid"])
    verdicts = {"frame": "dangling_frame", "thread": "dangling_thread"}
    pointers = [(truth["stray"], "live")] + [(pointer, verdicts[pointer["kind"]]) for pointer in truth["dangling"]]
    for told, verdict in pointers:
        reference = references[told["from_tid"], told["at"]]
        assert (reference["value"], reference["to_tid"]) == (told["value"], told["to_tid"])
        assert (reference["verdict"], reference["scope"]) == (verdict, None)


def test_nothing_else_is_called_declared(seen: Seen) -> None:
    _, truth, report = seen
    lent = [(int(loan["low"], 16), int(loan["high"], 16), loan["borrower_tid"]) for loan in truth["loans"]]
    for reference in report["references"]:
        covered = any(low <= int(reference["value"], 16) < high and reference["from_tid"] == b for low, high, b in lent)
        assert (reference["verdict"] == "declared") <= covered


def test_no_gap_is_of_the_registry(seen: Seen) -> None:
    assert [gap for gap in seen[2]["incomplete"] if gap["what"] == "scopes"] == []


def measure_from_outside(pid: int) -> tuple[ProcessReport, RegistryRecords]:
    """The report made without the registry's help, and the registry, both of one capture."""
    options = AttachOptions()
    with session.attach(pid) as inspector:
        snapshot, tools = inspector.capture(options)
        (records,), gaps = read_registries(snapshot.memory, tools.registries)
        assert gaps == ()
        return build_report(snapshot, replace(tools, registries=()), options), records


def area(record: Record, low: str, high: str) -> tuple[int, int]:
    return record.number(low), record.number(high)


def test_what_is_measured_from_outside_equals_the_registry(demo: Speaker) -> None:
    report, registry = measure_from_outside(demo.pid)
    measured = {entry.thread.tid: entry for entry in report.threads}
    told = {record.number("tid"): record for record in registry.of_kind(Kind.THREAD)}
    assert told.keys() == measured.keys() == {thread["tid"] for thread in demo.truth["threads"]}
    for tid, record in told.items():
        entry = measured[tid]
        name = record.text("name").encode()[:15].decode()
        # The runtime adopted the thread on its own stack, which named itself without the runtime.
        assert entry.thread.name == (name or "own stack")
        assert bool(name) != bool(record.number("flags") & ADOPTED) or entry.thread.is_main
        assert entry.pthread == record.number("pthread")
        assert entry.stack is not None
        assert (entry.stack.range.low, entry.stack.range.high) == area(record, "stack_low", "stack_high"), name
        check_guard(entry, record)
        check_signal_stack(entry, record)


def check_guard(entry: ThreadReport, record: Record) -> None:
    low, high = area(record, "guard_low", "guard_high")
    assert entry.guard is not None
    if low == high:
        assert entry.guard.kind in {GuardKind.NONE, GuardKind.KERNEL_GAP}, record.text("name")
        return
    assert entry.guard.range is not None
    assert (entry.guard.range.low, entry.guard.range.high) == (low, high)


def check_signal_stack(entry: ThreadReport, record: Record) -> None:
    measured = entry.signal_stack
    if measured is None or measured.state is SignalStackState.UNKNOWN:
        pytest.skip("alternate stacks cannot be seen from outside here: no BPF (tinspect doctor)")
    low, high = area(record, "altstack_low", "altstack_high")
    if not low:
        assert measured.state is SignalStackState.DISABLED, record.text("name")
        return
    assert measured.range is not None
    assert (measured.range.low, measured.range.high) == (low, high), record.text("name")


def test_keys_measured_from_outside_equal_the_registry(demo: Speaker) -> None:
    report, registry = measure_from_outside(demo.pid)
    measured = {key.key: key.destructor for key in report.tls_keys}
    keys = registry.of_kind(Kind.KEY)
    assert {key.text("name") for key in keys} >= {key["name"] for key in demo.truth["keys"]}
    for key in keys:
        assert measured[key.number("pthread_key")] == key.number("destructor")


def test_the_only_section_prints_the_tree(demo: Speaker) -> None:
    command = [sys.executable, "-m", "tinspect", "attach", str(demo.pid), "--only", "scopes", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode in {0, 1}, done.stderr
    for words in ("“outer”", "“inner”", "exclusive", "shared", "first reader", "grandchild"):
        assert words in done.stdout, words
