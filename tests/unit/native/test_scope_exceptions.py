"""Exceptions out of scoped threads and through scopes, and the signals that interrupt them."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from tests.support.waiting import PATIENCE_S
from tinspect.native.scope import (
    ScopeError,
    scope,
)


def run_python(program: str, *, send: signal.Signals | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of its own; `send` is a signal it gets once it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = ""
    if send is not None:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(send)
    out, err = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(process.args, process.returncode, first + out, err)


class TestExceptions:
    def test_panic_propagate_spawn(self) -> None:
        with pytest.raises(ExceptionGroup) as caught, scope("failing") as s:
            s.spawn(int, "x")
        assert "failing" in str(caught.value)
        assert [type(error) for error in caught.value.exceptions] == [ValueError]

    def test_panic_many(self) -> None:
        def fail(number: int) -> None:
            raise LookupError(number)

        def run() -> None:
            with scope() as s:
                for number in range(5):
                    s.spawn(fail, number)

        with pytest.raises(ExceptionGroup) as caught:
            run()
        assert sorted(error.args[0] for error in caught.value.exceptions) == [0, 1, 2, 3, 4]

    def test_the_blocks_own_error_alone_stays_itself(self) -> None:
        def run() -> None:
            with scope() as s:
                s.spawn(len, "")
                raise KeyError("body")

        with pytest.raises(KeyError):
            run()

    def test_the_blocks_own_error_comes_first(self) -> None:
        def run() -> None:
            with scope() as s:
                s.spawn(int, "x")
                raise KeyError("body")

        with pytest.raises(ExceptionGroup) as caught:
            run()
        assert [type(error) for error in caught.value.exceptions] == [KeyError, ValueError]

    def test_panic_propagate_still_execute(self) -> None:
        done: list[int] = []

        def run() -> None:
            with scope() as s:
                s.spawn(done.append, 1)
                raise KeyError("body")

        with pytest.raises(KeyError):
            run()
        assert done == [1]

    def test_a_child_that_exits(self) -> None:
        with pytest.raises(BaseExceptionGroup) as caught, scope() as s:
            s.spawn(sys.exit, 3)
        assert isinstance(caught.value.exceptions[0], SystemExit)

    def test_keyboard_interrupt_in_the_block_stays_itself(self) -> None:
        def run() -> None:
            with scope() as s:
                s.spawn(int, "x")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            run()
        assert isinstance(caught.value.__context__, ExceptionGroup)

    def test_traceback_shows_the_childs_frames(self) -> None:
        def deep() -> None:
            raise RuntimeError("here")

        with scope() as s:
            handle = s.spawn(deep)
            with pytest.raises(RuntimeError) as caught:
                handle.join()
        assert "deep" in [entry.name for entry in caught.traceback]

    def test_fail_fast(self) -> None:
        def fail() -> None:
            raise ValueError

        def run() -> None:
            with scope(fail_fast=True) as s:
                s.spawn(fail)
                assert s.wait_stop(60)
                with pytest.raises(ScopeError, match="closed"):
                    s.spawn(len, "")

        with pytest.raises(ExceptionGroup):
            run()

    def test_a_failing_str_does_not_hide_the_exception(self) -> None:
        class OddError(Exception):
            def __str__(self) -> str:
                raise TypeError

        def fail() -> None:
            raise OddError

        with scope() as s, pytest.raises(OddError):
            s.spawn(fail).join()


class TestSignals:
    def test_importing_installs_no_handler(self) -> None:
        result = run_python(
            """
            import signal, tinspect.native.scope as scope
            with scope.scope() as s:
                s.spawn(len, "")
            handlers = [line for line in open("/proc/self/status") if line.startswith("SigCgt")]
            caught = int(handlers[0].split()[1], 16)
            print([n for n in (signal.SIGSEGV, signal.SIGBUS) if caught >> (n - 1) & 1])
            """
        )
        assert result.stdout == "[]\n", result.stderr

    def test_report_overflows_names_the_thread(self) -> None:
        result = run_python(
            """
            import ctypes, tinspect.native.scope as scope
            assert scope.report_overflows()
            CALL = ctypes.CFUNCTYPE(None)
            def again(): callback()
            callback = CALL(again)
            import sys; sys.setrecursionlimit(10**6)
            with scope.scope() as s:
                s.thread("deep thinker", stack_size=1 << 20).spawn(again)
            """
        )
        assert result.returncode == -signal.SIGABRT
        assert "deep thinker" in result.stderr

    def test_keyboard_interrupt_waits_for_the_join(self) -> None:
        result = run_python(
            """
            import os, signal, time, tinspect.native.scope as scope
            read, write = os.pipe()
            os.set_blocking(write, False)
            signal.set_wakeup_fd(write)  # tells of the signal before Python's handler can run
            def work():
                print("working", flush=True)
                os.read(read, 1)
                time.sleep(0.05)
                print("done", flush=True)
            try:
                with scope.scope() as s:
                    s.spawn(work)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            """,
            send=signal.SIGINT,
        )
        assert result.stdout.split() == ["working", "done", "interrupted"], result.stderr

    def test_keyboard_interrupt_ends_an_explicit_join(self) -> None:
        result = run_python(
            """
            import threading, tinspect.native.scope as scope
            release = threading.Event()
            def work():
                print("working", flush=True)
                release.wait()
            with scope.scope() as s:
                try:
                    s.spawn(work).join()  # the signal may come before the join has begun
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
                release.set()
            """,
            send=signal.SIGINT,
        )
        assert result.stdout.split() == ["working", "interrupted"], result.stderr

    def test_fork_in_a_scope(self) -> None:
        result = run_python(
            """
            import os, threading, tinspect.native.scope as scope
            release = threading.Event()
            child = None
            try:
                with scope.scope() as s:
                    s.spawn(release.wait)
                    child = os.fork()
                    release.set()
            except scope.ScopeError as error:
                assert child == 0
                assert "fork" in str(error)
                os._exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            """
        )
        assert result.stdout == "7\n", result.stderr
