"""The application driven by keys through a pipe; what it shows is read from its state."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.support.waiting import PATIENCE_S
from tests.unit.reports import crowd, sample_report
from tinspect.errors import TargetNotFound, TargetRefused, UnsupportedTarget
from tinspect.model.address import AddressRange
from tinspect.model.crash import Instruction
from tinspect.model.options import AttachOptions, Progress, no_progress
from tinspect.model.report import ProcessReport
from tinspect.model.source import Source
from tinspect.model.whatis import AddressKind, WhatIs
from tinspect.tui.app import Viewer
from tinspect.tui.panes.kinds import PROCESS_PANES, Pane
from tinspect.tui.refresh import Refresher
from tinspect.tui.state import Focus, Refreshing, State

_USUAL = AttachOptions()


@dataclass
class FakeInspector:
    """Gives its answers one after the other, the last one for ever; exceptions among them are raised."""

    answers: Sequence[ProcessReport | BaseException] = field(default_factory=lambda: [sample_report()])
    asked: list[AttachOptions] = field(default_factory=list)
    closed: bool = False
    gate: Event | None = None

    def report(self, options: AttachOptions, progress: Progress = no_progress) -> ProcessReport:
        self.asked.append(options)
        progress("capturing", 0, None)
        if self.gate is not None and len(self.asked) > 1:
            self.gate.wait(PATIENCE_S)
            progress("analysing", 0, None)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def whatis(
        self, addresses: Sequence[int], options: AttachOptions, progress: Progress = no_progress
    ) -> tuple[WhatIs, ...]:
        return tuple(
            WhatIs(address, AddressKind.STACK, "On a stack.", Source.DESCRIPTOR, AddressRange(0, 4096))
            for address in addresses
        )

    def instructions(self, pc: int) -> tuple[Instruction, ...]:
        return (Instruction(pc, b"\x90", "nop", True),)

    def close(self) -> None:
        self.closed = True


@dataclass
class Driven:
    """A running application, and the keyboard."""

    viewer: Viewer
    keyboard: PipeInput
    inspector: FakeInspector
    running: asyncio.Task[int]

    @property
    def state(self) -> State:
        return self.viewer.state

    async def until(self, is_so: Callable[[State], bool]) -> State:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(self.viewer.state):
            assert time.monotonic() < deadline, self.viewer.state
            await asyncio.sleep(0.002)
        return self.viewer.state

    async def keys(self, text: str, is_so: Callable[[State], bool]) -> State:
        self.keyboard.send_text(text)
        return await self.until(is_so)


@asynccontextmanager
async def driven(
    inspector: FakeInspector,
    *,
    options: AttachOptions = _USUAL,
    interval: float = 3600,
    is_process: bool = True,
) -> AsyncIterator[Driven]:
    with create_pipe_input() as keyboard:
        refresher = Refresher(inspector, options, is_process=is_process)
        state = State(refreshing=Refreshing(interval=interval, still="" if is_process else "a core does not change"))
        viewer = Viewer(refresher, state, source=keyboard, output=DummyOutput())
        running = asyncio.create_task(viewer.run())
        app = Driven(viewer, keyboard, inspector, running)
        await app.until(lambda state: state.moment is not None)
        try:
            yield app
        finally:
            if not running.done():
                keyboard.send_text(
                    "\x1b[27~\x03\x03" if viewer.state.prompt or viewer.state.help_top is not None else "q"
                )
            await asyncio.wait_for(running, PATIENCE_S)
    assert inspector.closed


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await work()

    asyncio.run(whole())


def test_keys_move_filter_sort_and_leave() -> None:
    async def work() -> None:
        async with driven(FakeInspector([crowd(50)])) as app:
            await app.keys("jjj", lambda state: state.tid == 102)
            await app.keys("G", lambda state: state.tid == 149)
            await app.keys("/worker-7\r", lambda state: state.filter == "worker-7" and state.prompt is None)
            assert [item.first.thread.tid for item in app.state.listing.items] == [107]
            await app.keys("\x1b", lambda state: state.filter == "" and len(state.listing.items) == 51)
            await app.keys(">>", lambda state: state.sort is not None and state.sort.key == "name")
            await app.keys("a", lambda state: state.grouped)
            await app.keys("?", lambda state: state.help_top == 0)
            await app.keys("j", lambda state: state.help_top == 1)
            await app.keys("q", lambda state: state.help_top is None)

    run(work)


def test_a_reference_is_followed_and_left_by_keys() -> None:
    async def work() -> None:
        async with driven(FakeInspector()) as app:
            await app.keys("j6\t", lambda state: state.pane is Pane.REFS and state.focus is Focus.PANE)
            await app.keys("\r", lambda state: state.tid == 4242 and state.pane is Pane.FRAMES)
            await app.keys("\x7f", lambda state: state.tid == 4243 and state.pane is Pane.REFS)

    run(work)


def is_made(pane: Pane, state: State) -> bool:
    return pane in state.ready


def test_panes_of_the_process_are_made_beside_the_event_loop() -> None:
    async def work() -> None:
        async with driven(FakeInspector()) as app:
            for key, pane in zip("PMXLFC", PROCESS_PANES, strict=False):
                state = await app.keys(key, partial(is_made, pane))
                assert state.content is state.ready[pane] or state.content.entries == state.ready[pane].entries
            await app.keys("3", lambda state: bool(state.code) and len(state.content.entries) > 2)

    run(work)


def test_refreshes_are_passive_and_stop_when_asked() -> None:
    async def work() -> None:
        inspector = FakeInspector()
        async with driven(inspector) as app:
            await app.keys("r", lambda state: state.moment is not None and state.moment.number == 2)
            await app.keys("S", lambda state: state.moment is not None and state.moment.number == 3)
            await app.keys("s", lambda state: state.refreshing.stopping)
            await app.keys("r", lambda state: state.moment is not None and state.moment.number == 4)
        assert [options.passive for options in inspector.asked] == [True, True, False, False]

    run(work)


def test_a_target_that_must_not_be_stopped_is_not() -> None:
    async def work() -> None:
        inspector = FakeInspector()
        async with driven(inspector, options=AttachOptions(passive=True)) as app:
            await app.keys("S", lambda state: state.message is not None)
            await app.keys("s", lambda state: state.message is not None)
            await app.keys("r", lambda state: state.moment is not None and state.moment.number == 2)
        assert all(options.passive for options in inspector.asked)

    run(work)


def test_what_cannot_be_done_without_stopping_is_done_by_stopping() -> None:
    async def work() -> None:
        inspector = FakeInspector([UnsupportedTarget("This kernel is too old."), sample_report()])
        async with driven(inspector) as app:
            await app.keys("r", lambda state: state.moment is not None and state.moment.number == 2)
        assert [options.passive for options in inspector.asked] == [True, False, False]

    run(work)


def test_it_refreshes_by_itself_and_pauses() -> None:
    async def work() -> None:
        inspector = FakeInspector([crowd(3)])
        async with driven(inspector, interval=0.01) as app:
            await app.until(lambda state: state.moment is not None and state.moment.number >= 4)
            await app.keys(" ", lambda state: state.refreshing.paused and not state.refreshing.running)
            assert app.state.moment is not None
            number = app.state.moment.number
            await app.keys("r", lambda state: state.moment is not None and state.moment.number == number + 1)
            await app.keys(" ", lambda state: state.moment is not None and state.moment.number > number + 2)

    run(work)


def test_the_death_of_the_target_keeps_the_last_picture() -> None:
    async def work() -> None:
        inspector = FakeInspector([crowd(3), TargetNotFound("Process 4242 has ended.")])
        async with driven(inspector, interval=0.01) as app:
            state = await app.until(lambda state: bool(state.refreshing.still))
            assert len(state.listing.items) == 4
            await app.keys("jr", lambda state: state.message is not None and state.tid == 100)
            assert len(inspector.asked) == 2

    run(work)


def test_trouble_is_told_and_tried_again() -> None:
    async def work() -> None:
        inspector = FakeInspector([crowd(3), TargetRefused("Another tracer has it."), crowd(4)])
        async with driven(inspector) as app:
            await app.keys("r", lambda state: state.refreshing.trouble == "Another tracer has it.")
            state = await app.keys("r", lambda state: state.moment is not None and state.moment.number == 2)
            assert state.refreshing.trouble == ""

    run(work)


def test_a_core_is_looked_at_once() -> None:
    async def work() -> None:
        inspector = FakeInspector()
        async with driven(inspector, interval=0.01, is_process=False) as app:
            await app.keys("r", lambda state: state.message is not None)
        assert [options.passive for options in inspector.asked] == [False]

    run(work)


def test_holding_and_comparing() -> None:
    async def work() -> None:
        async with driven(FakeInspector([crowd(3), crowd(5)])) as app:
            await app.keys("h", lambda state: state.held is not None)
            await app.keys("rC", lambda state: bool(state.content.tables))
            await app.until(lambda state: bool(state.content.tables) and len(state.content.tables[0].rows) == 2)
            await app.keys("h", lambda state: state.held is None)

    run(work)


def test_what_is_and_export(tmp_path: Path) -> None:
    async def work() -> None:
        async with driven(FakeInspector()) as app:
            await app.keys("w7f00\r", lambda state: state.pane is Pane.WHATIS and bool(state.content.tables))
            assert app.state.answer is not None
            assert app.state.answer.address == 0x7F00
            await app.keys("w\x15nonsense\r", lambda state: state.message is not None and state.message.role == "error")
            await app.keys(
                f"e\x15{tmp_path}/pane.json\r",
                lambda state: state.message is not None and "Written" in state.message.text,
            )
            await app.keys(
                f"e\x15{tmp_path}/pane.pdf\r", lambda state: state.message is not None and state.message.role == "error"
            )
        assert "On a stack." in (tmp_path / "pane.json").read_text()

    run(work)


def test_an_error_before_the_first_picture_is_raised() -> None:
    inspector = FakeInspector([TargetNotFound("Process 1 does not exist.")])

    async def work() -> None:
        with create_pipe_input() as keyboard:
            refresher = Refresher(inspector, _USUAL, is_process=True)
            await Viewer(refresher, State(), source=keyboard, output=DummyOutput()).run()

    with pytest.raises(TargetNotFound):
        run(work)
    assert inspector.closed


@pytest.mark.parametrize("where", ["key", "refresh", "drawing"])
def test_a_defect_ends_it_and_is_raised(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def work() -> None:
        inspector = FakeInspector([crowd(3), ZeroDivisionError()] if where == "refresh" else [crowd(3)])
        async with driven(inspector) as app:
            if where == "key":
                monkeypatch.setattr("tinspect.tui.app.address_under_cursor", broken)
            if where == "drawing":
                monkeypatch.setattr("tinspect.tui.app.draw_screen", broken)
            app.keyboard.send_text({"key": "y", "refresh": "r", "drawing": "j"}[where])
            await asyncio.wait({app.running})

    with pytest.raises(ZeroDivisionError):
        run(work)


def test_leaving_waits_for_the_report_at_hand_and_no_longer() -> None:
    async def work() -> None:
        inspector = FakeInspector([crowd(3)], gate=Event())
        async with driven(inspector) as app:
            await app.keys("r", lambda state: state.refreshing.running)
            app.keyboard.send_text("q")
            while app.viewer.application.is_running:
                await asyncio.sleep(0.002)
            assert inspector.gate is not None
            assert not inspector.closed
            inspector.gate.set()

    run(work)


def test_being_told_to_end_ends_it() -> None:
    async def work() -> None:
        async with driven(FakeInspector()) as app:
            signal.raise_signal(signal.SIGTERM)
            assert await app.running == 128 + signal.SIGTERM

    run(work)


def test_a_thread_that_ends_leaves_the_cursor_in_place() -> None:
    async def work() -> None:
        fewer = replace(crowd(9), threads=tuple(entry for entry in crowd(9).threads if entry.thread.tid != 103))
        async with driven(FakeInspector([crowd(9), fewer])) as app:
            await app.keys("jjjj", lambda state: state.tid == 103)
            await app.keys("r", lambda state: state.tid == 104 and state.at == 4)

    run(work)
