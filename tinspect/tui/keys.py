"""The bindings as prompt_toolkit takes them: the table for ordinary times, typing while a line is typed, scrolling in the help."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from tinspect.tui.bindings import GROUPS, Controls
from tinspect.tui.prompts import erased, left, typed
from tinspect.tui.state import State
from tinspect.tui.updates import help_moved, help_shown


class Keyed(Controls, Protocol):
    """The application, as keys see it."""

    state: State

    def finish_prompt(self) -> None:
        """The typed line is done."""
        ...


_HELP_STEPS = {
    "up": -1,
    "k": -1,
    "down": 1,
    "j": 1,
    "pageup": -10,
    "pagedown": 10,
    "space": 10,
    "home": -1000,
    "end": 1000,
}


def make_keys(app: Keyed) -> KeyBindings:
    """All keys."""
    bindings = KeyBindings()
    _add_table(bindings, app)
    _add_typing(bindings, app)
    _add_help(bindings, app)
    return bindings


def _add_table(bindings: KeyBindings, app: Keyed) -> None:
    usual = Condition(lambda: app.state.prompt is None and app.state.help_top is None)
    for group in GROUPS:
        for item in group.bindings:
            for key in item.keys:
                bindings.add(key, filter=usual)(_runner(partial(item.run, app)))


def _add_typing(bindings: KeyBindings, app: Keyed) -> None:
    typing = Condition(lambda: app.state.prompt is not None)

    @bindings.add(Keys.Any, filter=typing)
    def _typed(event: KeyPressEvent) -> None:
        if event.data.isprintable():
            app.update(lambda state: typed(state, event.data))

    @bindings.add(Keys.BracketedPaste, filter=typing)
    def _pasted(event: KeyPressEvent) -> None:
        app.update(lambda state: typed(state, "".join(sign for sign in event.data if sign.isprintable())))

    for key, run in {
        "backspace": lambda: app.update(erased),
        "c-w": lambda: app.update(lambda state: erased(state, word=True)),
        "c-u": lambda: app.update(lambda state: erased(state, all_of_it=True)),
        "escape": lambda: app.update(left),
        "c-c": lambda: app.update(left),
        "enter": app.finish_prompt,
    }.items():
        bindings.add(key, filter=typing)(_runner(run))


def _add_help(bindings: KeyBindings, app: Keyed) -> None:
    helping = Condition(lambda: app.state.help_top is not None)
    for key, step in _HELP_STEPS.items():
        bindings.add(key, filter=helping)(_runner(partial(app.update, partial(help_moved, step=step))))
    for key in ("escape", "?", "q", "enter", "c-c"):
        bindings.add(key, filter=helping)(_runner(lambda: app.update(help_shown)))


def _runner(run: Callable[[], None]) -> Callable[[KeyPressEvent], None]:
    def handle(_: KeyPressEvent) -> None:
        run()

    return handle
