"""Progress on standard error, for what lasts longer than half a second, and only on a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.5
"""Seconds of silence."""


class ProgressLine:
    """A context manager whose ``tell`` is the session's progress function. It draws only when told: no thread of its own runs while
    the target stands still."""

    def __init__(self, stream: TextIO, enabled: bool) -> None:
        self._stream = stream
        self._enabled = enabled and stream.isatty()
        self._start = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, step: str, done: int, total: int | None) -> None:
        """See model.options.Progress."""
        if not self._enabled or time.monotonic() - self._start < PATIENCE:
            return
        bar = self._bar = self._bar or self._started()
        if step not in self._tasks:
            for task in self._tasks.values():
                bar.update(task, visible=False)
            self._tasks[step] = bar.add_task(step, total=total)
        bar.update(self._tasks[step], completed=done, total=total)
        bar.refresh()

    def _started(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        bar = Progress(*columns, console=Console(file=self._stream), transient=True, auto_refresh=False)
        bar.start()
        return bar
