"""The application: state, keys, mouse, refreshes and the screen put together."""

from __future__ import annotations

import asyncio
import base64
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.input import Input
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.output import Output

from tinspect.errors import TargetLost, TargetNotFound, TinspectError
from tinspect.tui import mouse
from tinspect.tui.control import ScreenControl
from tinspect.tui.drawing import Brush, Memory
from tinspect.tui.export import write_export
from tinspect.tui.follow import address_under_cursor
from tinspect.tui.keys import make_keys
from tinspect.tui.moment import Moment
from tinspect.tui.panes.kinds import THREAD_PANES, Pane
from tinspect.tui.panes.process import Whole, process_content
from tinspect.tui.prompts import Asked, entered, parse_address
from tinspect.tui.refresh import Cancelled, Refresher
from tinspect.tui.screen import Screen, draw_screen
from tinspect.tui.state import Basis, PromptKind, State
from tinspect.tui.style import color_depth, make_style
from tinspect.tui.updates import answered, refreshed, resized, selected_pc, told, troubled, with_code, with_ready
from tinspect.tui.worker import Worker
from tinspect.views.table import Role

_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PATIENCE = 5.0
"""Seconds to wait, at the end, for a report that is being made: longer than any stop lasts."""


class Viewer:
    """Fulfils ``bindings.Controls``. ``state`` is all it shows."""

    def __init__(
        self,
        refresher: Refresher,
        state: State,
        *,
        unicode: bool = True,
        source: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self.state = state
        self._refresher = refresher
        self._brush = Brush(Memory(), unicode)
        self._looks = Worker("look")
        self._builds = Worker("build")
        self._asked_stop: bool | None = None
        self._status = 0
        self._poke = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._building: tuple[Pane, Basis] | None = None
        self._reading: int | None = None
        control = ScreenControl(self._draw, self._clicked, self._wheeled)
        self.application: Application[None] = Application(
            layout=Layout(Window(control, always_hide_cursor=False)),
            key_bindings=make_keys(self),
            style=make_style(),
            color_depth=color_depth(),
            full_screen=True,
            mouse_support=True,
            # SIGWINCH tells of a new size: asking twice a second would keep an idle machine awake.
            terminal_size_polling_interval=None,
            input=source,
            output=output,
        )
        self.application.ttimeoutlen = 0.05
        self.application.timeoutlen = 0.05

    # --- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Until its user leaves; the exit status: 0, or 128 + n where signal n ended it. Raises TinspectError when the target could not
        be looked at even once."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        for number in _ENDS:
            loop.add_signal_handler(number, partial(self._signalled, number))
        try:
            self._start(self._keep_fresh())
            await self.application.run_async(set_exception_handler=False, handle_sigint=False)
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            for number in _ENDS:
                loop.remove_signal_handler(number)
            self._refresher.cancel()
            # The terminal is the user's again by now. What stops the target must end by itself: it undoes what it did.
            await asyncio.get_running_loop().run_in_executor(None, self._close)
        return self._status

    def _close(self) -> None:
        self._looks.close(_PATIENCE)
        self._builds.close(_PATIENCE)
        self._refresher.close()

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception nobody caught: the terminal is restored, then it is raised where ``run`` was called."""
        error = context.get("exception")
        self._end(error if isinstance(error, BaseException) else RuntimeError(str(context.get("message"))))

    def _signalled(self, number: int) -> None:
        self._status = 128 + number
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if not self.application.is_running or self.application.is_done:
            return
        if error is None:
            self.application.exit()
        else:
            self.application.exit(exception=error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    # --- state and screen ----------------------------------------------------------------------------------------------

    def update(self, change: Callable[[State], State]) -> None:
        """See Controls. A key takes away what the last line said."""
        self._change(lambda state: change(replace(state, message=None)))

    def _change(self, change: Callable[[State], State]) -> None:
        before = self.state.refreshing
        self.state = change(self.state)
        if self.state.refreshing != before:
            self._poke.set()
        self._seek()
        self.application.invalidate()

    def _draw(self, width: int, height: int) -> Screen:
        self.state = resized(self.state, width, height)
        return draw_screen(self.state, self._brush)

    def _clicked(self, column: int, line: int) -> None:
        self.update(lambda state: mouse.clicked(state, column, line, self._brush))

    def _wheeled(self, column: int, line: int, step: int) -> None:
        self.update(lambda state: mouse.wheeled(state, column, line, step))

    # --- looking at the target -----------------------------------------------------------------------------------------

    async def _keep_fresh(self) -> None:
        await self._refresh(stop=self.state.refreshing.stopping)
        while not self.state.refreshing.still:
            began = time.monotonic()
            while self._asked_stop is None and (wait := self._wait_until_next(began)) != 0:
                self._poke.clear()
                try:
                    await asyncio.wait_for(self._poke.wait(), wait)
                except TimeoutError:
                    break
            stop, self._asked_stop = self._asked_stop, None
            await self._refresh(stop=self.state.refreshing.stopping if stop is None else stop)

    def _wait_until_next(self, began: float) -> float | None:
        """Seconds until the next refresh is due; None when it has to be asked for. Making reports takes half of the time at most."""
        if self.state.refreshing.paused:
            return None
        cost = self.state.moment.cost_us / 1e6 if self.state.moment else 0.0
        return max(began + max(self.state.refreshing.interval, cost) - time.monotonic(), 0)

    async def _refresh(self, *, stop: bool) -> None:
        self._change(lambda state: replace(state, refreshing=replace(state.refreshing, running=True)))
        loop, before = asyncio.get_running_loop(), self.state.moment

        def tell(step: str, _done: int, _total: int | None) -> None:
            loop.call_soon_threadsafe(self._step, step)

        def look() -> Moment:
            return self._refresher.moment(before, stop=stop, progress=tell)

        try:
            moment = await self._looks.run(look)
        except Cancelled:
            return
        except TinspectError as error:
            if self.state.moment is None:
                raise
            ended, why = isinstance(error, (TargetLost, TargetNotFound)), error.message
            self._change(lambda state: troubled(state, why, ended=ended))
            return
        self._change(lambda state: refreshed(state, moment))

    def _step(self, step: str) -> None:
        if self.state.moment is None and self.state.refreshing.step != step:
            self._change(lambda state: replace(state, refreshing=replace(state.refreshing, step=step)))

    def _seek(self) -> None:
        """Has made what the pane in front needs and the event loop should not make."""
        state = self.state
        if state.moment is None:
            return
        if state.pane is Pane.CODE and (pc := selected_pc(state)) is not None and pc not in state.code:
            if self._reading != pc:
                self._reading = pc
                self._start(self._read_code(pc))
        elif state.pane not in THREAD_PANES and state.pane not in state.ready:
            wanted = state.pane, state.basis
            if self._building != wanted:
                self._building = wanted
                self._start(self._build(state))

    async def _read_code(self, pc: int) -> None:
        code = await self._looks.run(lambda: self._refresher.instructions(pc))
        self._reading = None
        self._change(lambda state: with_code(state, pc, code))

    async def _build(self, state: State) -> None:
        if state.moment is None:
            return
        whole = Whole(state.moment, state.earlier, state.held, state.answer)
        content = await self._builds.run(lambda: process_content(state.pane, whole))
        self._building = None
        self._change(lambda now: with_ready(now, state.pane, content, state.basis))

    # --- what keys ask for ---------------------------------------------------------------------------------------------

    def refresh(self, *, stop: bool = False) -> None:
        """See Controls."""
        if self.state.refreshing.still:
            self.update(lambda state: told(state, f"No refresh: {state.refreshing.still}."))
        elif stop and not self._refresher.may_stop:
            self.update(lambda state: told(state, "Started with --passive: the target is never stopped.", Role.WARNING))
        else:
            self._asked_stop = stop or self.state.refreshing.stopping
            self._poke.set()

    def toggle_stopping(self) -> None:
        """See Controls."""
        if not self._refresher.may_stop:
            self.refresh(stop=True)
            return
        self.update(
            lambda state: replace(state, refreshing=replace(state.refreshing, stopping=not state.refreshing.stopping))
        )
        stops = self.state.refreshing.stopping
        words = "Each refresh stops the target from now on." if stops else "Refreshes stop nothing from now on."
        self._change(lambda state: told(state, words))

    def copy_address(self) -> None:
        """See Controls."""
        address = address_under_cursor(self.state)
        if address is None:
            self.update(lambda state: told(state, "There is no address in this row."))
            return
        encoded = base64.b64encode(f"{address:#x}".encode()).decode()
        self.application.output.write_raw(f"\x1b]52;c;{encoded}\x07")  # OSC 52 of xterm's control sequences
        self.application.output.flush()
        self.update(lambda state: told(state, f"Copied {address:#x}, if the terminal lets programs do that."))

    def finish_prompt(self) -> None:
        """The typed line is done."""
        state, asked = entered(self.state)
        self.update(lambda _: state)
        if asked is not None:
            self._start(self._act(asked))

    async def _act(self, asked: Asked) -> None:
        state = self.state
        try:
            if asked.kind is PromptKind.EXPORT:
                words = await self._builds.run(lambda: write_export(state, asked.text))
                self._change(lambda now: told(now, words))
                return
            address = parse_address(state, asked.text)
            self._change(lambda now: told(now, f"Asking what {address:#x} is …"))
            answer = await self._looks.run(lambda: self._refresher.whatis(address))
            self._change(lambda now: replace(answered(now, answer), message=None))
        except Cancelled:
            return
        except TinspectError as error:
            words = str(error)
            self._change(lambda now: told(now, words, Role.ERROR))

    def suspend(self) -> None:
        """See Controls."""
        self.application.suspend_to_background()

    def redraw(self) -> None:
        """See Controls."""
        self.application.renderer.clear()
        self.application.invalidate()

    def quit(self) -> None:
        """See Controls."""
        self._end()
