"""Scoped threads in Python: lifetimes, exceptions, loans, and what a proper Python thread is."""

from __future__ import annotations

import array
import contextlib
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, cast

import pytest

import tinspect.native.scope as scope_module
from tests.support.waiting import PATIENCE_S
from tinspect.native.scope import (
    BorrowError,
    Handle,
    Loan,
    ScopeError,
    Traits,
    available_parallelism,
    current_id,
    declare,
    park,
    scope,
    traits_of,
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


class TestLives:
    def test_join(self) -> None:
        with scope("join") as s:
            handle = s.spawn(lambda a, b: a + b, 1, b=2)
            assert handle.join() == 3

    def test_scope_empty(self) -> None:
        with scope() as s:
            assert s.name == ""
            assert s.id > 0

    def test_counter(self) -> None:
        seen: list[int] = []
        with scope("counter") as s:
            for number in range(8):
                s.spawn(seen.append, number)
        assert sorted(seen) == list(range(8))

    def test_nesting(self) -> None:
        order: list[str] = []

        def inner() -> None:
            with scope("inner") as nested:
                nested.spawn(order.append, "leaf")
            order.append("inner")

        with scope("outer") as s:
            s.spawn(inner)
        order.append("outer")
        assert order == ["leaf", "inner", "outer"]

    def test_children_spawn_into_the_same_scope(self) -> None:
        seen: list[int] = []
        with scope() as s:

            def spawn_more(depth: int) -> None:
                seen.append(depth)
                if depth > 0:
                    s.spawn(spawn_more, depth - 1)

            s.spawn(spawn_more, 5)
        assert seen == [5, 4, 3, 2, 1, 0]

    def test_scope_divide_and_conquer(self) -> None:
        def fibonacci(n: int) -> int:
            if n < 2:
                return n
            with scope() as s:
                left = s.spawn(fibonacci, n - 1)
                return fibonacci(n - 2) + left.join()

        assert fibonacci(9) == 34

    def test_leaving_waits_for_thread_local_destructors(self) -> None:
        class Slow:
            def __init__(self, ended: list[int]) -> None:
                self.ended = ended

            def __del__(self) -> None:
                time.sleep(0.01)  # lets go of the GIL: an owner that did not wait would overtake
                self.ended.append(1)

        local = threading.local()

        def touch(ended: list[int]) -> None:
            local.slow = Slow(ended)

        for _ in range(5):
            ended: list[int] = []
            with scope() as s:
                s.spawn(touch, ended)
            assert ended == [1]

    def test_the_gil_is_free_while_leaving(self) -> None:
        ticks: list[int] = []

        def tick() -> None:
            for number in range(50):
                ticks.append(number)
                time.sleep(0)

        with scope() as s:
            s.spawn(tick)
            s.spawn(tick)
        assert len(ticks) == 100

    def test_a_scope_is_entered_once(self) -> None:
        s = scope("once")
        with s:
            pass
        with pytest.raises(ScopeError, match="entered once"), s:
            pass

    def test_spawning_outside_the_block(self) -> None:
        s = scope("over")
        with pytest.raises(ScopeError, match="not entered"):
            s.spawn(len, "")
        with s:
            pass
        with pytest.raises(ScopeError, match="over"):
            s.spawn(len, "")

    def test_close(self) -> None:
        with scope() as s:
            s.close()
            with pytest.raises(ScopeError, match="closed"):
                s.spawn(len, "")

    def test_stop_token(self) -> None:
        rounds: list[int] = []
        with scope() as s:

            def work() -> None:
                while not s.wait_stop(0.001):
                    rounds.append(1)

            s.spawn(work)
            while not rounds:
                time.sleep(0)
            assert not s.stopped
            s.stop()
            assert s.stopped

    def test_leaving_out_of_order_is_an_error_not_an_abort(self) -> None:
        outer, inner = scope("outer"), scope("inner")
        outer.__enter__()
        inner.__enter__()
        with pytest.raises(ScopeError, match="inner one first"):
            outer.__exit__(None, None, None)
        inner.__exit__(None, None, None)
        outer.__exit__(None, None, None)

    def test_only_the_owner_leaves(self) -> None:
        with scope("mine") as s:

            def leave() -> None:
                s.__exit__(None, None, None)

            with pytest.raises(ScopeError, match="only the thread that entered"):
                s.spawn(leave).join()

    def test_the_module_is_callable(self) -> None:
        with cast(Callable[[str], Any], scope_module)("called") as s:
            assert s.spawn(len, "abc").join() == 3
        assert isinstance(scope_module, ModuleType)


class TestHandles:
    def test_join_panic(self) -> None:
        with scope() as s:
            handle = s.spawn(int, "x")
            with pytest.raises(ValueError, match="invalid literal"):
                handle.join()
        # joined by hand: the scope does not fail

    def test_joining_twice(self) -> None:
        with scope() as s:
            handle = s.spawn(len, "ab")
            assert handle.join() == 2
            with pytest.raises(ScopeError, match="joined once"):
                handle.join()

    def test_after_the_scope(self) -> None:
        with scope() as s:
            handle = s.spawn(len, "ab")
        for use in (handle.join, handle.is_finished, handle.unpark):
            with pytest.raises(ScopeError, match="over"):
                use()
        with pytest.raises(ScopeError):
            _ = handle.id

    def test_timeout(self) -> None:
        release = threading.Event()
        with scope() as s:
            handle = s.spawn(release.wait)
            with pytest.raises(TimeoutError):
                handle.join(0.01)
            with pytest.raises(ValueError, match="seconds"):
                handle.join(-1)
            assert not handle.is_finished()
            release.set()
            assert handle.join(60) is True

    def test_is_finished(self) -> None:
        with scope() as s:
            handle = s.spawn(len, "ab")
            while not handle.is_finished():
                time.sleep(0)
            assert handle.join() == 2

    def test_a_moved_handle_is_dead_in_the_giver(self) -> None:
        def join_it(other: Handle[int]) -> int:
            return other.join()

        with scope() as s:
            first = s.spawn(len, "abc")
            second = s.spawn(join_it, first)
            with pytest.raises(ScopeError, match="given to another thread"):
                first.join()
            assert second.join() == 3

    def test_a_moved_handle_is_joined_while_the_owner_leaves(self) -> None:
        def join_it(other: Handle[int], started: threading.Event) -> None:
            started.wait()
            assert other.join() == 3

        for _ in range(100):
            with scope() as s:
                started = threading.Event()
                s.spawn(join_it, s.spawn(len, "abc"), started)
                started.set()  # the owner leaves at once: the first thread has ended, the second still wants it

    def test_self_join(self) -> None:
        handles: list[Handle[None]] = []
        ready = threading.Event()

        def join_self() -> None:
            ready.wait()
            handles[0].join()

        with scope() as s:
            handles.append(s.spawn(join_self))
            ready.set()
            with pytest.raises(ScopeError, match="wait for itself"):
                handles[0].join()

    def test_park_and_unpark(self) -> None:
        with scope() as s:
            handle = s.spawn(park, 60.0)
            handle.unpark()
            assert handle.join() is True
        assert park(0.001) is False

    def test_results_and_arguments_are_freed(self) -> None:
        class Thing:
            pass

        thing = Thing()
        watch = weakref.ref(thing)
        with scope() as s:
            s.spawn(id, thing)
            del thing
        gc.collect()
        assert watch() is None


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


class TestPythonThreads:
    def test_current_thread(self) -> None:
        def look() -> tuple[str, int, bool]:
            thread = threading.current_thread()
            return thread.name, threading.get_ident(), thread is threading.main_thread()

        with scope() as s:
            name, ident, is_main = s.thread("reader").spawn(look).join()
        assert name == "reader"
        assert ident != threading.get_ident()
        assert not is_main

    def test_no_thread_stays_behind(self) -> None:
        before = threading.active_count()
        with scope() as s:
            for _ in range(4):
                s.spawn(threading.current_thread)
        assert threading.active_count() == before

    def test_idents_of_ended_threads_give_fresh_thread_objects(self) -> None:
        names: list[str] = []
        for number in range(4):
            with scope() as s:
                names.append(s.thread(f"number {number}").spawn(lambda: threading.current_thread().name).join())
        assert names == [f"number {number}" for number in range(4)]

    def test_threads_are_named_after_their_function(self) -> None:
        def gather() -> str:
            return threading.current_thread().name

        with scope() as s:
            handle = s.spawn(gather)
            assert handle.name == "gather"
            assert handle.join() == "gather"

    def test_the_kernel_shows_the_name(self) -> None:
        def comm() -> str:
            with open(f"/proc/self/task/{threading.get_native_id()}/comm") as file:
                return file.read().strip()

        with scope() as s:
            assert s.thread("a name longer than fifteen bytes").spawn(comm).join() == "a name longer t"

    def test_invalid_named(self) -> None:
        with scope() as s, pytest.raises(ValueError, match="zero byte"):
            s.thread("a\0b").spawn(len, "")

    def test_context_variables_follow(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        variable.set("parent")

        def change() -> str:
            before = variable.get()
            variable.set("child")
            return before

        with scope() as s:
            assert s.spawn(change).join() == "parent"
        assert variable.get() == "parent"

    def test_trace_functions_follow(self) -> None:
        called: list[str] = []

        def trace(frame: Any, event: str, argument: object) -> None:
            called.append(frame.f_code.co_name)

        def traced() -> None:
            pass

        threading.settrace(trace)
        try:
            with scope() as s:
                s.spawn(traced)
        finally:
            threading.settrace(None)
        assert "traced" in called

    def test_stack_size(self) -> None:
        def deep(depth: int) -> int:
            return 0 if depth == 0 else 1 + max(deep(depth - 1) for _ in (1,))

        with scope() as s:
            assert s.spawn(deep, 200).join() == 200
            assert s.thread(stack_size=1 << 20).spawn(len, "ab").join() == 2

    def test_ids(self) -> None:
        with scope() as s:
            handle = s.spawn(current_id)
            thread_id = handle.id
            assert handle.join() == thread_id
        assert current_id() not in (0, thread_id)

    def test_available_parallelism(self) -> None:
        assert 1 <= available_parallelism() <= len(os.sched_getaffinity(0))


class TestTraits:
    @pytest.mark.parametrize("value", [1, 1.5, "a", b"a", None, True, (1, "a"), frozenset({1}), range(3), len, int])
    def test_immutable_values(self, value: object) -> None:
        assert traits_of(value) == Traits(send=True, sync=True)

    @pytest.mark.parametrize("value", [threading.Lock(), threading.RLock(), threading.Event(), threading.Condition()])
    def test_locked_values(self, value: object) -> None:
        assert traits_of(value) == Traits(send=True, sync=True)

    @pytest.mark.parametrize("value", [bytearray(1), memoryview(b"a"), array.array("i", [1]), (1, bytearray(1))])
    def test_buffers_are_lent_only(self, value: object) -> None:
        assert traits_of(value) == Traits(send=False, sync=False)
        with scope() as s, pytest.raises(BorrowError, match="lend it"):
            s.spawn(id, value)

    @pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, object(), (1, [2])])
    def test_other_objects_move(self, value: object) -> None:
        assert traits_of(value) == Traits(send=True, sync=False)

    def test_captured_buffers_are_refused(self) -> None:
        captured = bytearray(4)
        with scope() as s, pytest.raises(BorrowError, match="captures a bytearray"):
            s.spawn(lambda: len(captured))

    def test_declare(self) -> None:
        class Guarded(bytearray):
            pass

        assert traits_of(Guarded(1)) == Traits(send=False, sync=False)
        declare(Guarded, send=True, sync=True)
        with scope() as s:
            assert s.spawn(len, Guarded(3)).join() == 3


def fill(loan: Loan, value: int) -> None:
    with loan as view:
        view[:] = bytes([value]) * len(view)


def total(loan: Loan) -> int:
    with loan as view:
        return sum(view)


class TestLoans:
    def test_lend_a_buffer_to_eight_threads(self) -> None:
        data = bytearray(8 * 16)
        with scope() as s:
            for number in range(8):
                s.spawn(fill, s.loan(memoryview(data)[16 * number : 16 * (number + 1)], mutable=True), number)
        assert data == b"".join(bytes([number]) * 16 for number in range(8))

    def test_a_thread_has_its_loans_from_its_very_start(self) -> None:
        """Whenever the spawning thread loses the GIL: here as soon as the call that makes the thread returns."""
        data = bytearray(16)
        over = threading.Event()

        def work(loan: Loan) -> None:
            try:
                fill(loan, 1)
            finally:
                over.set()

        def let_it_run(frame: FrameType, event: str, called: object) -> None:
            if event == "c_return" and getattr(called, "__name__", "") == "spawn":
                assert over.wait(30)

        with scope() as s:
            sys.setprofile(let_it_run)
            try:
                s.spawn(work, s.loan(data, mutable=True))
            finally:
                sys.setprofile(None)
        assert data == bytes([1]) * 16

    def test_double_imm(self) -> None:
        data = bytearray(b"abc")
        with scope() as s:
            loan = s.loan(data)
            handles = [s.spawn(total, loan) for _ in range(4)]
            assert [handle.join() for handle in handles] == [sum(data)] * 4

    def test_no_mut_then_imm(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.loan(data, mutable=True)
            with pytest.raises(BorrowError, match=r"exclusively since .*test_scope\.py:\d+"):
                s.loan(data)

    def test_no_imm_then_mut(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.loan(data)
            with pytest.raises(BorrowError, match="for reading"):
                s.loan(memoryview(data)[7:], mutable=True)

    def test_no_double_mut_across_scopes(self) -> None:
        data = bytearray(8)
        with scope("outer") as outer:
            outer.loan(data, mutable=True)
            with scope("inner") as inner, pytest.raises(BorrowError):
                inner.loan(data, mutable=True)

    def test_a_loan_ends_with_its_thread(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.spawn(fill, s.loan(data, mutable=True), 1).join()
            s.spawn(fill, s.loan(data, mutable=True), 2).join()
        assert data == bytes([2]) * 8

    def test_a_loan_ends_with_its_thread_even_if_unused(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.spawn(lambda loan: None, s.loan(data, mutable=True)).join()
            assert s.loan(data, mutable=True).alive

    def test_a_loan_ends_with_its_scope(self) -> None:
        data = bytearray(8)
        with scope() as s:
            loan = s.loan(data, mutable=True)
        assert not loan.alive
        with pytest.raises(BorrowError, match="ended"), loan:
            pass
        data += b"resizable again"

    def test_while_lent_a_bytearray_keeps_its_size(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.loan(data)
            with pytest.raises(BufferError):
                data.append(1)

    def test_the_giver_cannot_use_a_mutable_loan(self) -> None:
        data = bytearray(8)
        release = threading.Event()

        def hold(loan: Loan) -> None:
            release.wait()

        with scope() as s:
            loan = s.loan(data, mutable=True)
            s.spawn(hold, loan)
            with pytest.raises(BorrowError, match="another thread"), loan:
                pass
            with pytest.raises(BorrowError, match="another thread"):
                s.spawn(hold, loan)
            release.set()

    def test_a_shared_loan_is_read_only(self) -> None:
        data = bytearray(8)
        with scope() as s, s.loan(data) as view, pytest.raises(TypeError, match="read-only"):
            view[0] = 1

    def test_read_only_bytes_are_not_lent_mutably(self) -> None:
        with scope() as s, pytest.raises(BufferError):
            s.loan(b"constant", mutable=True)

    def test_formats_and_shapes_come_across(self) -> None:
        numbers = array.array("d", [1.0, 2.0, 3.0])

        def double(loan: Loan) -> None:
            with loan as view:
                assert view.format == "d"
                for index, number in enumerate(view):
                    view[index] = 2 * number

        with scope() as s:
            s.spawn(double, s.loan(numbers, mutable=True))
        assert numbers.tolist() == [2.0, 4.0, 6.0]

    def test_only_the_owner_lends(self) -> None:
        data = bytearray(8)
        buffers = [data]
        with scope() as s, pytest.raises(ScopeError, match="another thread"):
            s.spawn(lambda: s.loan(buffers[0])).join()

    def test_a_view_that_outlives_the_scope_is_reported(self) -> None:
        data = bytearray(8)
        kept: list[memoryview] = []

        def keep(loan: Loan) -> None:
            kept.append(memoryview(loan._loan))

        with pytest.raises(ExceptionGroup) as caught, scope() as s:
            s.spawn(keep, s.loan(data, mutable=True))
        assert isinstance(caught.value.exceptions[0], BorrowError)
        assert bytes(kept[0]) == bytes(8)  # the memory has stayed
        kept[0].release()
        data += b"x"

    def test_ending_while_in_use(self) -> None:
        data = bytearray(8)
        with scope() as s:
            loan = s.loan(data, mutable=True)
            with loan, pytest.raises(BorrowError, match="view"):
                loan.end()
            assert not loan.alive


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


def test_many_scopes() -> None:
    finished: list[int] = []
    for number in range(300):
        with scope() as s, contextlib.suppress(ValueError):
            s.spawn(finished.append, number)
            if number % 3 == 0:
                s.spawn(int, "x").join()
    assert finished == list(range(300))
