"""Every key, once: what it is called, what it does. The help and docs/reference/tui-keys.md are made from this table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tinspect.tui import follow, prompts, updates
from tinspect.tui.panes.kinds import Pane
from tinspect.tui.state import PromptKind, State
from tinspect.tui.updates import moved, moved_to_end, shown

Update = Callable[[State], State]


class Controls(Protocol):
    """What a key can do. ``update`` is for all that the state alone knows; the rest reaches outside."""

    def update(self, change: Update) -> None:
        """The state becomes what ``change`` makes of it."""
        ...

    def refresh(self, *, stop: bool = False) -> None:
        """A refresh now; ``stop`` stops the target for it."""
        ...

    def toggle_stopping(self) -> None:
        """Every refresh stops the target, or none."""
        ...

    def copy_address(self) -> None:
        """The address under the cursor goes to the clipboard."""
        ...

    def suspend(self) -> None:
        """The shell comes to the front (Ctrl-Z)."""
        ...

    def redraw(self) -> None:
        """Everything is drawn anew."""
        ...

    def quit(self) -> None:
        """The end."""
        ...


@dataclass(frozen=True, slots=True)
class Binding:
    """Some keys (names of prompt_toolkit), how they are written for people, and what they do."""

    keys: tuple[str, ...]
    label: str
    words: str
    run: Callable[[Controls], None]


@dataclass(frozen=True, slots=True)
class Group:
    """Bindings that belong together."""

    title: str
    bindings: tuple[Binding, ...]


def _update(keys: str, label: str, words: str, change: Update) -> Binding:
    return Binding(tuple(keys.split()), label, words, lambda controls: controls.update(change))


def _pane(key: str, pane: Pane, words: str) -> Binding:
    return _update(key, key, words, lambda state: shown(state, pane))


def _page(state: State) -> int:
    areas = state.areas
    return max((areas.rows if state.focus.value == "list" else areas.pane).height - 1, 1)


def _interval(factor: float) -> Update:
    return lambda state: updates.with_interval(state, factor)


MOVING = Group(
    "Moving",
    (
        _update("up k", "↑ k", "a row up", lambda state: moved(state, -1)),
        _update("down j", "↓ j", "a row down", lambda state: moved(state, 1)),
        _update("pageup c-b", "PgUp", "a screen up", lambda state: moved(state, -_page(state))),
        _update("pagedown c-f", "PgDn", "a screen down", lambda state: moved(state, _page(state))),
        _update("home", "Home", "the first row", lambda state: moved_to_end(state, last=False)),
        _update("end G", "End G", "the last row", lambda state: moved_to_end(state, last=True)),
        _update("tab", "Tab", "between the list and the pane", updates.focus_changed),
        _update("enter", "Enter", "follow a reference to the other thread's frame; open a group", follow.followed),
        _update("backspace", "Backspace", "back to where the reference was followed from", follow.returned),
    ),
)
LIST = Group(
    "The list",
    (
        _update("/", "/", "filter the threads by tid, name, state, function; in a pane: search", prompts.searched),
        _update("n", "n", "the next match in the pane", lambda state: follow.found(state, state.search)),
        _update("N", "N", "the match before", lambda state: follow.found(state, state.search, step=-1)),
        _update("escape", "Esc", "show all threads again", prompts.left),
        _update(">", ">", "sort by the next column", lambda state: updates.sort_moved(state, 1)),
        _update("<", "<", "sort by the column before", lambda state: updates.sort_moved(state, -1)),
        _update("i", "i", "turn the order round", updates.sort_turned),
        _update("a", "a", "alike stacks share a row, or not", updates.grouped),
    ),
)
PANES = Group(
    "Panes",
    (
        _update("right ]", "→ ]", "the next pane", lambda state: updates.turned(state, 1)),
        _update("left [", "← [", "the pane before", lambda state: updates.turned(state, -1)),
        _pane("1", Pane.FRAMES, "call stack"),
        _pane("2", Pane.REGISTERS, "registers, and what each points to"),
        _pane("3", Pane.CODE, "instructions at the pc"),
        _pane("4", Pane.STACK, "stack, guard, alternate signal stack, history of use"),
        _pane("5", Pane.TLS, "values of keys, thread-local variables"),
        _pane("6", Pane.REFS, "references into other stacks, and from them"),
        _pane("7", Pane.SCOPES, "scopes and loans"),
        _pane("P", Pane.PROCESS, "process, keys, modules"),
        _pane("M", Pane.MAP, "map of all stacks, to scale"),
        _pane("X", Pane.MATRIX, "who points into whom"),
        _pane("L", Pane.LOCKS, "who waits for what, all scopes"),
        _pane("F", Pane.FINDINGS, "findings, the crash, and what was not learnt"),
        _pane("C", Pane.COMPARE, "the held moment beside this one"),
    ),
)
REFRESH = Group(
    "Refresh",
    (
        Binding(("r",), "r", "refresh now", lambda controls: controls.refresh()),
        Binding(
            ("S",), "S", "refresh once with the target stopped: exact", lambda controls: controls.refresh(stop=True)
        ),
        Binding(("s",), "s", "stop the target for each refresh, or never", lambda controls: controls.toggle_stopping()),
        _update("space", "Space", "pause, or go on", updates.pause_changed),
        _update("+", "+", "refresh more often", _interval(0.5)),
        _update("-", "-", "refresh less often", _interval(2)),
        _update("h", "h", "hold this moment: changes are shown against it; again: let go", updates.held),
    ),
)
TOOLS = Group(
    "Tools",
    (
        _update("w", "w", "what is this address?", lambda state: prompts.prompted(state, PromptKind.WHATIS)),
        Binding(("y",), "y", "copy the address under the cursor (OSC 52)", lambda controls: controls.copy_address()),
        _update(
            "e",
            "e",
            "export the pane: .txt, .json, .svg; .html is the whole report",
            lambda state: prompts.prompted(state, PromptKind.EXPORT),
        ),
        _update("?", "?", "this help", updates.help_shown),
        Binding(("c-l",), "Ctrl-L", "draw everything anew", lambda controls: controls.redraw()),
        Binding(("c-z",), "Ctrl-Z", "to the shell; fg comes back", lambda controls: controls.suspend()),
        Binding(("q", "c-c"), "q Ctrl-C", "leave", lambda controls: controls.quit()),
    ),
)
GROUPS = (MOVING, LIST, PANES, REFRESH, TOOLS)

MOUSE = (
    ("click", "select a thread, a row, a pane; on a column's title: sort by it"),
    ("click again", "follow the selected row"),
    ("wheel", "move in the part under the mouse"),
)


def key_table() -> str:
    """docs/reference/tui-keys.md."""
    lines = [
        "# Keys of the full-screen view",
        "",
        "Made from `tinspect/tui/bindings.py`; press `?` in the view for the same.",
        "",
    ]
    for group in GROUPS:
        lines += [f"## {group.title}", "", "| key | what it does |", "| --- | --- |"]
        lines += [
            f"| {' '.join(f'`{part}`' for part in item.label.split())} | {item.words} |" for item in group.bindings
        ]
        lines.append("")
    lines += ["## Mouse", "", "| action | what it does |", "| --- | --- |"]
    lines += [f"| {action} | {words} |" for action, words in MOUSE]
    return "\n".join(lines) + "\n"
