"""Scoped threads in Python: lifetimes and handles."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import pytest

import tinspect.native.scope as scope_module
from tinspect.native.scope import (
    Handle,
    ScopeError,
    park,
    scope,
)


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


def test_many_scopes() -> None:
    finished: list[int] = []
    for number in range(300):
        with scope() as s, contextlib.suppress(ValueError):
            s.spawn(finished.append, number)
            if number % 3 == 0:
                s.spawn(int, "x").join()
    assert finished == list(range(300))
