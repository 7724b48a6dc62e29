"""The tutorial's program, taken from its page, built as the page says, and watched: what the page says is so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime_programs import ROOT, build_runtime
from tests.support.waiting import PATIENCE_S, wait_until_still
from tinspect import session
from tinspect.model.options import AttachOptions
from tinspect.model.reference import Verdict
from tinspect.model.report import ProcessReport

PAGE = ROOT / "docs/tutorials/lend-a-local.md"
THREADS, PER_THREAD = 8, 4000


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of one language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def build_as_told(folder: Path, program: str) -> Path:
    """Runs the page's own build command, with this tinspect in the place of the installed one."""
    build_runtime()
    (folder / "lend.c").write_text(program)
    command = blocks("sh")[0].splitlines()[0].replace("tinspect native", f"{sys.executable} -m tinspect native")
    subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        check=True,
        timeout=PATIENCE_S,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    return folder / "lend"


@pytest.fixture(scope="module")
def lend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (program,) = blocks("c")
    return build_as_told(tmp_path_factory.mktemp("lend"), program)


@pytest.fixture(scope="module")
def watched(lend: Path) -> Iterator[tuple[ProcessReport, str]]:
    """The report of the program while its threads stand still, and what the program printed at its end."""
    with subprocess.Popen([lend], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "eight threads" in process.stdout.readline()
            wait_until_still(process.pid)
            yield session.attach_report(process.pid, AttachOptions()), process.communicate("\n", timeout=PATIENCE_S)[0]
        finally:
            process.kill()


def test_the_scope_is_as_the_page_says(watched: tuple[ProcessReport, str]) -> None:
    (scope,) = watched[0].scopes
    adders = {entry.thread.tid for entry in watched[0].threads if entry.thread.name == "adder"}
    assert (scope.name, scope.owner_tid, set(scope.threads)) == ("adding up", watched[0].target.pid, adders)
    assert len(adders) == THREADS
    assert {loan.borrower_tid for loan in scope.borrows} == adders
    assert {(loan.mode, loan.range.size) for loan in scope.borrows} == {("shared", PER_THREAD)}


def test_the_eight_pointers_to_the_local_are_declared(watched: tuple[ProcessReport, str]) -> None:
    report = watched[0]
    (scope,) = report.scopes
    starts = {loan.borrower_tid: loan.range.low for loan in scope.borrows}
    verdicts = {
        reference.from_tid: reference.verdict
        for reference in report.references
        if reference.value == starts.get(reference.from_tid) and reference.place.function == "add_up"
    }
    assert verdicts == dict.fromkeys(scope.threads, Verdict.DECLARED)


def test_the_pointers_to_the_shares_are_live(watched: tuple[ProcessReport, str]) -> None:
    report = watched[0]
    live = {
        r.from_tid for r in report.references
        if r.place.function == "add_up" and r.to_tid == report.target.pid and r.verdict is Verdict.LIVE
    }  # fmt: skip
    assert live == set(report.scopes[0].threads)


def test_it_prints_the_total(watched: tuple[ProcessReport, str]) -> None:
    assert watched[1] == "total 31996000\n"
    assert "total 31996000" in PAGE.read_text()


def test_the_broken_rule_says_what_the_page_says(tmp_path: Path) -> None:
    (program,) = blocks("c")
    broken = program.replace("ti_cell_borrow(", "ti_cell_borrow_mut(").replace("const void *data", "void *data")
    broken = broken.replace("share->cell, offset, PER_THREAD * sizeof(int)", "share->cell, 0 * offset, 0")
    assert broken.count("ti_cell_borrow_mut") == 1
    path = build_as_told(tmp_path, broken)
    (words,) = blocks("")
    with subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            # Enter lets the first loan end: pressed too early, another thread would get it.
            panics = [process.stderr.readline() for _ in range(THREADS - 1)]
            assert all(line.endswith(f"panicked: {words}") for line in panics), panics
            _, rest = process.communicate("\n", timeout=PATIENCE_S)
            assert len(re.findall(r"^adder \d: ", rest, re.MULTILINE)) == THREADS - 1
        finally:
            process.kill()
