"""Frames against gdb's: pc, CFA and the function's start, for every kind of call stack and several ways to compile."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.gdb_stacks import GdbThread, gdb_stacks
from tests.support.live_process import LiveFiles, LiveProcess
from tests.support.standing_process import PROGRAMS, StandingProcess, build
from tinspect.arch.x86_64 import X86_64
from tinspect.model.frame import CallStack, FrameSource
from tinspect.model.module import Module
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import open_symbols
from tinspect.unwind.steps import StepStore
from tinspect.unwind.unwinder import END_OF_STACK, Unwinder

KINDS = ("plain", "recursion", "alloca", "aligned", "noreturn", "altstack", "handler", "null_call", "main")
WITH_CFI = {
    "O0": ("-g", "-O0"),
    "O2-omit-frame-pointer": ("-g", "-O2", "-fomit-frame-pointer"),
    "O2-no-pie-static": ("-g", "-O2", "-static", "-no-pie"),
    "debug-frame-only": ("-g", "-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
}


@dataclass
class Compared:
    """One thread as gdb and as tinspect see it."""

    truth: GdbThread
    stack: CallStack


class StrippedFiles(LiveFiles):
    """Gives a stripped copy of the executable: what an unwinder sees when there is no call frame information."""

    def __init__(self, files: LiveFiles, executable: Path, copy: Path) -> None:
        self._files, self._executable, self._copy = files, executable, copy

    def open_image(self, module: Module) -> bytes | memoryview | None:
        return self._copy.read_bytes() if module.path == str(self._executable) else self._files.open_image(module)

    def open_debug(self, build_id: str) -> bytes | memoryview | None:
        return self._files.open_debug(build_id)

    def open_debug_link(self, module: Module, name: str) -> bytes | memoryview | None:
        return None


def unwind_all(
    process: LiveProcess, truth: dict[int, GdbThread], files: LiveFiles | None = None
) -> dict[int, Compared]:
    files = files or process.files
    images = ImageStore(files)
    symbols = open_symbols(process.modules, images)
    unwinder = Unwinder(
        process.memory, process.modules, files, X86_64, symbols, mappings=process.mappings, steps=StepStore(images)
    )
    return {tid: Compared(thread, unwinder.unwind(tid, thread.registers)) for tid, thread in truth.items()}


def assert_same_frames(compared: Compared, names: bool = True) -> None:
    ours, theirs = compared.stack.frames, compared.truth.frames
    assert [hex(f.pc) for f in ours] == [hex(f.pc) for f in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        where = f"frame {mine.index} ({other.function})"
        if other.cfa and not (mine.is_signal_frame and mine.cfa != other.cfa):
            assert mine.cfa == other.cfa, where
        assert mine.is_signal_frame == (other.kind == "signal"), where
        if names and other.start is not None and not mine.is_signal_frame:
            assert mine.offset is not None, where
            assert mine.pc - mine.offset == other.start, where
    assert compared.stack.complete, compared.stack.ended
    assert compared.stack.ended == END_OF_STACK


@pytest.fixture(scope="module", params=WITH_CFI)
def with_cfi(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Compared]]:
    program = build("call_stacks.c", tmp_path_factory.mktemp("program") / "call_stacks", *WITH_CFI[request.param])
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        found = unwind_all(process, gdb_stacks(standing.pid))
        yield {kind: found[tid] for kind, tid in standing.tids.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_frames_equal_gdb(with_cfi: dict[str, Compared], kind: str) -> None:
    assert_same_frames(with_cfi[kind])


def test_recursion_gives_every_frame(with_cfi: dict[str, Compared]) -> None:
    names = [frame.function for frame in with_cfi["recursion"].stack.frames]
    assert names.count("recurse") == 101


def test_extents_tile_the_stack(with_cfi: dict[str, Compared]) -> None:
    frames = with_cfi["plain"].stack.frames
    for callee, caller in itertools.pairwise(frames):
        assert callee.cfa == caller.sp


def test_signal_frame_ends_with_its_alternate_stack(with_cfi: dict[str, Compared]) -> None:
    frames = with_cfi["altstack"].stack.frames
    index = next(frame.index for frame in frames if frame.is_signal_frame)
    trampoline, interrupted = frames[index], frames[index + 1]
    assert interrupted.source is FrameSource.SIGFRAME
    assert trampoline.cfa is not None
    assert trampoline.cfa != interrupted.sp
    assert 0 < trampoline.cfa - trampoline.sp < 65536
    assert (trampoline.cfa) % 4096 == 0  # the end of the mapping that the program gave to sigaltstack


def test_signal_frame_on_the_same_stack_reaches_the_interrupted_frame(with_cfi: dict[str, Compared]) -> None:
    frames = with_cfi["handler"].stack.frames
    index = next(frame.index for frame in frames if frame.is_signal_frame)
    assert frames[index].cfa == frames[index + 1].sp


def test_call_through_null_finds_the_caller(with_cfi: dict[str, Compared]) -> None:
    frames = with_cfi["null_call"].stack.frames
    index = next(frame.index for frame in frames if frame.pc == 0)
    assert frames[index].source is FrameSource.SIGFRAME
    assert frames[index + 1].function == "calls_null"


WITHOUT_CFI = {
    "frame-pointer": ("-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"),
    "O0": ("-O0",),
}


@pytest.fixture(scope="module", params=WITHOUT_CFI)
def without_cfi(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Compared]]:
    directory = tmp_path_factory.mktemp("program")
    flags = (*WITHOUT_CFI[request.param], "-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
    program = build("call_stacks.c", directory / "call_stacks", *flags)
    # gdb reads .debug_frame of the program; tinspect is given a copy without it.
    copy = directory / "copy"
    subprocess.run(["objcopy", "-R", ".debug_frame", str(program), str(copy)], check=True)
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        files = StrippedFiles(process.files, program, copy)
        found = unwind_all(process, gdb_stacks(standing.pid), files)
        yield {kind: found[tid] for kind, tid in standing.tids.items()}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "aligned"])
def test_frame_pointers_lead_where_there_is_no_cfi(without_cfi: dict[str, Compared], kind: str) -> None:
    compared = without_cfi[kind]
    assert_same_frames(compared)
    guessed = [f for f in compared.stack.frames if f.source in (FrameSource.FRAME_POINTER, FrameSource.STACK_SCAN)]
    assert guessed or kind == "main"  # frames of the program itself are marked as guesses


def test_scan_finds_callers_without_frame_pointers(tmp_path: Path) -> None:
    flags = ("-g", "-O2", "-fomit-frame-pointer", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
    program = build("call_stacks.c", tmp_path / "call_stacks", *flags)
    copy = tmp_path / "copy"
    subprocess.run(["objcopy", "-R", ".debug_frame", str(program), str(copy)], check=True)
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        found = unwind_all(process, gdb_stacks(standing.pid), StrippedFiles(process.files, program, copy))
        for kind in ("plain", "recursion", "noreturn", "main"):
            compared = found[standing.tids[kind]]
            theirs = [frame.pc for frame in compared.truth.frames]
            ours = [frame.pc for frame in compared.stack.frames]
            assert set(theirs) <= set(ours), kind  # a scan may add a stale call, and says that it guesses
            assert any(frame.source is FrameSource.STACK_SCAN for frame in compared.stack.frames)


def test_cpython_with_threads() -> None:
    python = shutil.which("python3")
    assert python is not None
    program = (
        "import threading\n"
        "gate = threading.Lock(); gate.acquire()\n"
        "def wait(depth):\n    wait(depth - 1) if depth else gate.acquire()\n"
        "threads = [threading.Thread(target=wait, args=(n * 3,), daemon=True) for n in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "print('ready', flush=True)\n"
        "threads[0].join()\n"
    )
    with StandingProcess([python, "-c", program]) as standing, LiveProcess(standing.pid) as process:
        found = unwind_all(process, gdb_stacks(standing.pid))
    assert len(found) == 5
    for compared in found.values():
        assert_same_frames(compared)


def test_node_frames_through_generated_code() -> None:
    """gdb loses its way in V8's code. What it sees below must be the same; above, the stack must reach its beginning."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = (
        "(function f(n){ if (n) return 1 + f(n - 1);"
        " console.log('ready'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); })(7)"
    )
    with StandingProcess([node, "-e", script]) as standing, LiveProcess(standing.pid) as process:
        found = unwind_all(process, gdb_stacks(standing.pid))
    for tid, compared in found.items():
        if tid == standing.pid:
            ours, theirs = compared.stack.frames, compared.truth.frames
            first_guess = next(f.index for f in ours if f.source is FrameSource.FRAME_POINTER)
            assert [f.pc for f in ours[:first_guess]] == [f.pc for f in theirs[:first_guess]]
            assert ours[-1].function == "_start"
            assert (
                "main" in [f.function for f in ours] or "_ZN4node5StartEiPPc" in str(ours) or "node::Start" in str(ours)
            )
        else:
            assert_same_frames(compared)


def build_rust(target: Path, *flags: str) -> Path:
    if shutil.which("rustc") is None:
        pytest.skip("rustc is not installed")
    command = ["rustc", *flags, "--edition", "2021", "-o", str(target), str(PROGRAMS / "scoped.rs")]
    subprocess.run(command, check=True, timeout=100)
    return target


@pytest.mark.parametrize("flags", [("-g",), ("-g", "-O")])
def test_rust_scoped_threads(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = build_rust(tmp_path / "scoped", *flags)
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        found = unwind_all(process, gdb_stacks(standing.pid))
        assert len(standing.tids) == 4
        for kind, tid in standing.tids.items():
            assert_same_frames(found[tid])
            names = [frame.function for frame in found[tid].stack.frames]
            if kind != "main":
                assert "scoped::use_borrowed" in names


def test_a_function_pointer_on_the_stack_is_no_return_address(tmp_path: Path) -> None:
    """With panic=abort Rust's ``main`` has no call frame information, and holds a pointer to the program's own main right where a
    return address could be: gdb 13 takes it for a frame."""
    program = build_rust(tmp_path / "scoped", "-O", "-C", "panic=abort")
    with StandingProcess([program]) as standing, LiveProcess(standing.pid) as process:
        frames = unwind_all(process, gdb_stacks(standing.pid))[standing.pid].stack.frames
    names = [frame.function for frame in frames]
    assert names[-4:] == ["main", "__libc_start_call_main", "__libc_start_main", "_start"]
    assert names[-5] == "std::rt::lang_start_internal"
    assert frames[-3].source is FrameSource.STACK_SCAN
