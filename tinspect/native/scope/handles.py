"""`Handle`: the right to join one thread of a scope."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from tinspect.native._scope import Child, Frame, ScopeError

T = TypeVar("T")


class Handle(Generic[T]):
    """A thread of a scope. Joining takes its result, or raises what it raised, and may be done once.

    A handle given to another thread is dead in the giver; after the scope every use raises ScopeError.
    """

    __slots__ = ("_child", "_frame", "_name")

    def __init__(self, frame: Frame, child: Child, name: str) -> None:
        self._frame = frame
        self._child: Child | None = child
        self._name = name

    def _alive(self) -> Child:
        if self._child is None:
            raise ScopeError("this handle was given to another thread: join it there")
        if not self._frame.entered:
            raise ScopeError("the handle's scope is over: join threads inside the with block")
        return self._child

    def _move(self) -> Handle[T]:
        """Another handle of the same thread; this one is dead once `_die` was called."""
        return Handle(self._frame, self._alive(), self._name)

    def _die(self) -> None:
        self._child = None

    @property
    def id(self) -> int:
        """The thread's id in the runtime and its registry, never reused."""
        return self._alive().id

    @property
    def name(self) -> str:
        """The thread's name; empty if it has none."""
        return self._name

    def join(self, timeout: float | None = None) -> T:
        """Wait for the thread's end (at most `timeout` seconds) with the GIL released, and take its result.

        What the thread raised is raised here, and then does not fail the scope. Raises TimeoutError, which leaves the
        thread joinable, and ScopeError when it was joined before. Ctrl-C is served while waiting in the main thread.
        """
        return cast(T, self._alive().join(timeout))

    def is_finished(self) -> bool:
        """Has its function ended? Never blocks."""
        return self._alive().is_finished()

    def unpark(self) -> None:
        """Give the thread its token: its next (or present) `park()` returns."""
        self._alive().unpark()
