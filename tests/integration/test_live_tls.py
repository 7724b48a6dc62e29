"""Thread-local storage as a live attach and a passive one report it: what hangs on a thread is copied whole, and nothing is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.libcs import BUILDS, LibcBuild, build_library, running
from tests.support.standing_process import StandingProcess, build
from tests.support.waiting import PATIENCE_S
from tinspect import session
from tinspect.formats.report_json import to_json
from tinspect.model.options import AttachOptions, Section

Json = dict[str, Any]
DYNAMIC = [each for each in BUILDS if not each.static]
VALUES = {"executable_counter": 0, "needed_counter": 2, "opened_counter": 3}  # the program sets tid + this


def check_variables(lines: list[Json], threads: dict[int, Json]) -> None:
    said = [line for line in lines if line["kind"] == "variable"]
    assert {line["name"] for line in said} >= VALUES.keys()
    for line in said:
        (found,) = (v for v in threads[line["tid"]]["tls_variables"] if v["name"] == line["name"])
        assert int(found["address"], 16) == line["address"]
        assert found["data"] is not None
        if line["name"] in VALUES:
            assert int.from_bytes(bytes.fromhex(found["data"]), "little") == line["tid"] + VALUES[line["name"]]


def check_destructors(lines: list[Json], threads: dict[int, Json]) -> None:
    for line in lines:
        if line["kind"] == "exit":
            found = threads[line["tid"]]["tls_destructors"]
            assert [int(entry["function"], 16) for entry in found] == line["functions"]
            assert [int(entry["argument"], 16) for entry in found] == line["arguments"]


@pytest.mark.parametrize("options", [AttachOptions(), AttachOptions(passive=True)], ids=["live", "passive"])
@pytest.mark.parametrize("libc", DYNAMIC, ids=str)
def test_variables_and_exit_functions(libc: LibcBuild, options: AttachOptions) -> None:
    if libc.why_missing():
        pytest.skip(libc.why_missing())
    with running(libc, "tls_vars", str(build_library(libc, "tls_opened"))) as (pid, lines):
        report: Json = to_json(session.attach_report(pid, options))
    assert report["incomplete"] == []
    threads = {thread["tid"]: thread for thread in report["threads"]}
    check_variables(lines, threads)
    check_destructors(lines, threads)


@pytest.mark.parametrize("by_name", [True, False], ids=["only-tls", "all"])
def test_types_are_told_of_storage_that_was_asked_for_by_name(by_name: bool) -> None:
    options = AttachOptions(sections=frozenset({Section.TLS})) if by_name else AttachOptions()
    with running(BUILDS[0], "tls_vars", str(build_library(BUILDS[0], "tls_opened"))) as (pid, _):
        report = session.attach_report(pid, options)
    for entry in report.threads:
        assert entry.tls is not None
        (counter,) = (v for v in entry.tls.variables if v.name == "executable_counter")
        assert (counter.type_name, counter.value) == (("int", str(entry.thread.tid)) if by_name else (None, None))


def test_a_cpp_program_with_thread_exit_destructors_is_reported_whole(tmp_path: Path) -> None:
    program = build("thread_exit.cpp", tmp_path / "thread_exit", "-g", compiler="g++")
    library = build_library(BUILDS[0], "tls_opened")
    with StandingProcess([program, library]) as process:
        command = [sys.executable, "-m", "tinspect", "attach", "--json", str(process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["threads"]) == 3
    for thread in report["threads"]:
        assert len(thread["tls_destructors"]) == 2  # of `first` and `second`
        (counter,) = (v for v in thread["tls_variables"] if v["name"] == "opened_counter")
        assert int.from_bytes(bytes.fromhex(counter["data"]), "little") == 200
