"""Cores of programs that nobody wrote for us: CPython, Node.js, a Rust program."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.core_maker import ROOT, find_core, gcore
from tests.support.reports import report_of_core
from tests.support.waiting import PATIENCE_S, wait_until_still
from tinspect.model.report import ProcessReport


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    """The command with cores allowed, once it has said "ready"."""
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        if line.strip() == "ready":
            wait_until_still(process.pid)
            return process
    raise AssertionError(f"{command[0]} ended with {process.wait()}")


def core_of(process: subprocess.Popen[str], folder: Path, death: str) -> Path:
    with process:
        try:
            if death == "gcore":
                return gcore(process.pid, folder)
            process.communicate("\n", timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGABRT
    return find_core(folder, process.pid)


def check(report: ProcessReport, least: int) -> None:
    """Every thread has its bounds, holds its stack pointer in them, and unwinds to the end of its stack."""
    assert len(report.threads) >= least
    for entry in report.threads:
        assert entry.stack
        assert entry.thread.registers
        assert entry.thread.registers.sp in entry.stack.range
        assert entry.use
        assert entry.use.used
        assert entry.call_stack
        # A thread that was born this moment stands in clone3, which has no call frame information there.
        assert entry.call_stack.complete or entry.function in ("clone3", "clone"), entry.call_stack.ended


PYTHON = """
import os, sys, threading
event = threading.Event()
for _ in range(3): threading.Thread(target=event.wait, daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
os.abort()
"""


@pytest.mark.parametrize("death", ["kernel", "gcore"])
def test_cpython(tmp_path: Path, death: str) -> None:
    process = start(tmp_path, sys.executable, "-c", PYTHON)
    report = report_of_core(core_of(process, tmp_path, death))
    check(report, 4)
    assert Path(report.target.executable).samefile(sys.executable)
    assert (report.crash is not None) == (death == "kernel")
    if report.crash:
        assert report.crash.verdict == "abort"
        assert report.threads[0].thread.is_main


NODE = """
const { Worker } = require("worker_threads");
const worker = new Worker("require('worker_threads').parentPort.on('message', () => {})", { eval: true });
worker.on("online", () => console.log("ready"));
process.stdin.once("data", () => process.abort());
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_node(tmp_path: Path) -> None:
    report = report_of_core(core_of(start(tmp_path, "node", "-e", NODE), tmp_path, "kernel"))
    check(report, 6)
    assert report.crash
    assert report.crash.verdict == "abort"
    assert report.target.libc.name == "glibc"


@pytest.mark.skipif(shutil.which("rustc") is None, reason="rustc is not installed")
def test_rust(tmp_path: Path) -> None:
    program = tmp_path / "scoped"
    subprocess.run(["rustc", "-g", "-o", str(program), str(ROOT / "tests/programs/core_rust.rs")], check=True)
    report = report_of_core(core_of(start(tmp_path, str(program)), tmp_path, "kernel"))
    check(report, 3)
    assert report.crash
    assert report.crash.verdict == "abort"
    workers = [entry for entry in report.threads if not entry.thread.is_main]
    for entry in workers:
        assert entry.call_stack
        assert any("::main::" in (frame.function or "") for frame in entry.call_stack.frames)
    # What the owner lent is seen from each worker.
    lenders = {reference.from_tid for reference in report.references if reference.to_tid == report.target.pid}
    assert {entry.thread.tid for entry in workers} <= lenders
