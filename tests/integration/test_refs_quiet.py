"""Programs that do nothing wrong get no error and no warning, with and without the heap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.libcs import BUILDS, LibcBuild, running
from tests.support.reports import is_pieced_together
from tests.support.standing_process import PROGRAMS
from tests.support.waiting import PATIENCE_S, wait_until_still
from tinspect import session
from tinspect.model.options import AttachOptions
from tinspect.model.reference import Confidence, StackReference, Verdict
from tinspect.model.report import ProcessReport

HEAP = pytest.mark.parametrize("heap", [False, True], ids=["stacks", "heap"])
DANGEROUS = {Verdict.DANGLING_FRAME, Verdict.DANGLING_THREAD, Verdict.GUARD}


@contextmanager
def standing(*command: str | Path) -> Iterator[int]:
    """The program, from when it has said that it is ready and stands still."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready"), words
            wait_until_still(process.pid)
            yield process.pid
        finally:
            process.kill()


def report_of(pid: int, heap: bool) -> ProcessReport:
    return session.attach_report(pid, AttachOptions(heap=heap))


def bad_news(report: ProcessReport) -> list[str]:
    return [f"{f.severity.value} {f.code}: {f.message}" for f in report.findings if f.severity.value != "note"]


def of_threads(report: ProcessReport) -> list[StackReference]:
    """What is shown as a reference that starts in a thread, apart from what is said to be worth little."""
    return [
        r
        for r in report.references
        if r.origin is None and r.from_tid is not None and r.confidence is not Confidence.LOW
        if not is_pieced_together(r.value)
    ]


@HEAP
@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_a_pool_of_threads(build: LibcBuild, heap: bool) -> None:
    if build.why_missing():
        pytest.skip(build.why_missing())
    with running(build, "refs_idle") as (pid, _):
        report = report_of(pid, heap)
    assert bad_news(report) == []
    # glibc 2.41 leaves the address of a flag of pthread_create's frame in slots that cond_wait does not write: nobody uses them.
    sure = [r for r in of_threads(report) if r.verdict in DANGEROUS and r.confidence is Confidence.HIGH]
    assert sure == []


PYTHON = """
import concurrent.futures, queue, sys, threading
jobs = queue.Queue()
def consume():
    while True: jobs.get()
for _ in range(3): threading.Thread(target=consume, daemon=True).start()
pool = concurrent.futures.ThreadPoolExecutor(4)
list(pool.map(lambda n: sum(range(n)), range(2000)))
for _ in range(5):
    brief = threading.Thread(target=lambda: sum(range(1000))); brief.start(); brief.join()
held = threading.Lock(); held.acquire()
threading.Thread(target=threading.Event().wait, daemon=True).start()
threading.Thread(target=held.acquire, daemon=True).start()
print("ready", flush=True); sys.stdin.read()
"""


@HEAP
def test_cpython(heap: bool) -> None:
    with standing(sys.executable, "-c", PYTHON) as pid:
        report = report_of(pid, heap)
    assert bad_news(report) == []
    # Since 3.13, threads that wait in one bucket of the parking lot do point to each other (Python/parking_lot.c, _PyParkingLot_Park).
    parked = {"wait"} if sys.version_info >= (3, 13) else set()
    assert [r for r in of_threads(report) if r.place.symbol not in parked] == []


NODE = """
const { Worker } = require('worker_threads');
const code = "const {parentPort: p} = require('worker_threads'); let a = []; for (let i = 0; i < 1e5; i++) a.push({i});" +
  "p.on('message', () => {}); p.postMessage(1);";
let left = 3;
for (let i = 0; i < 3; i++) new Worker(code, {eval: true}).on('message', () => {
  if (--left === 0) require('fs').readFile('/etc/passwd', () => console.log('ready'));
});
setInterval(() => {}, 1e6);
"""


@HEAP
def test_node_with_workers(heap: bool) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    with standing("node", "-e", NODE) as pid:
        report = report_of(pid, heap)
    assert bad_news(report) == []
    assert [r for r in of_threads(report) if r.place.register is not None and r.verdict in DANGEROUS] == []


@HEAP
def test_cpp_threads_and_futures(tmp_path: Path, heap: bool) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    program = tmp_path / "program"
    source = PROGRAMS / "refs_cpp.cpp"
    subprocess.run(["g++", "-O2", "-g", "-pthread", source, "-o", program], check=True, timeout=PATIENCE_S)
    with standing(program) as pid:
        report = report_of(pid, heap)
    assert bad_news(report) == []
    assert of_threads(report) == []


def test_an_openmp_pool_that_keeps_the_last_job_s_data(tmp_path: Path) -> None:
    """The frame that the job's data lay in has returned; the idle workers still hold its address, and will not use it."""
    program = tmp_path / "program"
    done = subprocess.run(
        ["gcc", "-O2", "-g", "-fopenmp", PROGRAMS / "refs_openmp.c", "-o", program], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this gcc has no OpenMP")
    with standing(program) as pid:
        report = report_of(pid, heap=False)
    assert bad_news(report) == []


def test_rust_scoped_threads(tmp_path: Path) -> None:
    """The example of RFC 3151: each thread holds &var, and that is what is reported: live, into main."""
    rustc = shutil.which("rustc") or str(Path.home() / ".cargo/bin/rustc")
    if not Path(rustc).exists():
        pytest.skip("rustc is not installed")
    program = tmp_path / "program"
    subprocess.run([rustc, "-O", "-g", PROGRAMS / "refs_scope.rs", "-o", program], check=True, timeout=PATIENCE_S)
    with standing(program) as pid:
        report = report_of(pid, heap=False)
    assert bad_news(report) == []
    held = of_threads(report)
    assert {r.verdict for r in held} == {Verdict.LIVE}
    assert {r.target.function for r in held} == {"refs_scope::main"}
    assert {r.from_tid for r in held} == {t.thread.tid for t in report.threads if not t.thread.is_main}
