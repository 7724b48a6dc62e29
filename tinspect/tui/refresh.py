"""Looks at the target again: without stopping it where that can be done, stopped when asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Event
from typing import Protocol

from tinspect.errors import TinspectError, UnsupportedTarget
from tinspect.model.crash import Instruction
from tinspect.model.options import AttachOptions, Progress
from tinspect.model.report import ProcessReport
from tinspect.model.whatis import WhatIs
from tinspect.tui.moment import Moment, make_moment


class Inspects(Protocol):
    """What this view needs of ``tinspect.session.Inspector``."""

    def report(self, options: AttachOptions, progress: Progress = ...) -> ProcessReport:
        """Looks at the target."""
        ...

    def whatis(self, addresses: list[int], options: AttachOptions, progress: Progress = ...) -> tuple[WhatIs, ...]:
        """What addresses are."""
        ...

    def instructions(self, pc: int) -> tuple[Instruction, ...]:
        """The code around an address."""
        ...

    def close(self) -> None:
        """Lets go of the target."""
        ...


class Cancelled(Exception):
    """The user left while a report was being made."""


class Refresher:
    """Makes moments of one target. Its methods run on one thread beside the event loop, one at a time; ``cancel`` may come from any.

    ``may_stop`` is False when the user asked that the target never be stopped.
    """

    def __init__(self, inspector: Inspects, options: AttachOptions, *, is_process: bool) -> None:
        self._inspector = inspector
        self._options = options
        self._is_process = is_process
        self._cancelled = Event()
        self._can_be_passive = is_process
        self.may_stop = is_process and not options.passive

    def cancel(self) -> None:
        """The report at hand ends at its next step."""
        self._cancelled.set()

    def moment(self, before: Moment | None, *, stop: bool, progress: Progress) -> Moment:
        """A new moment. Raises TinspectError, Cancelled."""
        start = time.monotonic()
        report = self._report(stop=stop, progress=self._watched(progress))
        return make_moment(report, before, time.strftime("%H:%M:%S"), int((time.monotonic() - start) * 1e6))

    def whatis(self, address: int) -> WhatIs:
        """What ``address`` is now. Raises TinspectError."""
        return self._inspector.whatis([address], self._chosen(stop=False), self._watched(_silent))[0]

    def instructions(self, pc: int) -> tuple[Instruction, ...]:
        """The code around ``pc``; () when it cannot be read."""
        try:
            return self._inspector.instructions(pc)
        except (TinspectError, OSError):
            return ()

    def close(self) -> None:
        """Lets go of the target."""
        self._inspector.close()

    def _report(self, *, stop: bool, progress: Progress) -> ProcessReport:
        options = self._chosen(stop=stop)
        try:
            return self._inspector.report(options, progress)
        except UnsupportedTarget:
            if not options.passive or not self.may_stop:
                raise
            # This kernel or these rights can't do without: from now on it is stopped.
            self._can_be_passive = False
            return self._inspector.report(replace(options, passive=False), progress)

    def _chosen(self, *, stop: bool) -> AttachOptions:
        stops = self.may_stop and (stop or not self._can_be_passive)
        return replace(self._options, passive=self._is_process and not stops)

    def _watched(self, progress: Progress) -> Progress:
        def tell(step: str, done: int, total: int | None) -> None:
            if self._cancelled.is_set():
                raise Cancelled
            progress(step, done, total)

        return tell


def _silent(step: str, done: int, total: int | None) -> None:
    """Nobody wants to know."""
