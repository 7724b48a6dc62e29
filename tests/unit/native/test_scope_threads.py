"""What a proper Python thread is: a scoped thread is one."""

from __future__ import annotations

import contextvars
import os
import threading
from typing import Any

import pytest

from tinspect.native.scope import (
    available_parallelism,
    current_id,
    scope,
)


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
