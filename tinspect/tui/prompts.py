"""The line at the bottom that is typed into: filter, search, whatis, export."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinspect.errors import UsageError
from tinspect.tui.follow import address_under_cursor, found
from tinspect.tui.state import Focus, Prompt, PromptKind, State
from tinspect.tui.updates import relisted

LABELS = {
    PromptKind.FILTER: "filter threads (tid, name, state, function): ",
    PromptKind.SEARCH: "search: ",
    PromptKind.WHATIS: "what is (address or register): ",
    PromptKind.EXPORT: "export to (.txt, .json, .svg, .html): ",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A finished line that the application has to act upon."""

    kind: PromptKind
    text: str


def prompted(state: State, kind: PromptKind) -> State:
    """A line is being typed from now on. What can be guessed stands there already."""
    text = ""
    if kind is PromptKind.FILTER:
        text = state.filter
    elif kind is PromptKind.WHATIS:
        address = address_under_cursor(state)
        text = f"{address:#x}" if address is not None and state.focus is Focus.PANE else ""
    elif kind is PromptKind.EXPORT:
        pid = state.moment.report.target.pid if state.moment else None
        text = f"tinspect-{pid or 'core'}-{state.pane}.txt"
    return replace(state, prompt=Prompt(kind, text, state.filter if kind is PromptKind.FILTER else text))


def searched(state: State) -> State:
    """The line for what / looks for: threads in the list, rows in a pane."""
    return prompted(state, PromptKind.FILTER if state.focus is Focus.LIST else PromptKind.SEARCH)


def typed(state: State, text: str) -> State:
    """More text; filter and search follow at once."""
    return _edited(state, state.prompt.text + text) if state.prompt else state


def erased(state: State, *, word: bool = False, all_of_it: bool = False) -> State:
    """Less text: a character, a word, or all of it."""
    if state.prompt is None:
        return state
    text = state.prompt.text
    kept = "" if all_of_it else text.rstrip().rpartition(" ")[0] if word else text[:-1]
    return _edited(state, kept)


def _edited(state: State, text: str) -> State:
    if state.prompt is None:
        return state
    state = replace(state, prompt=replace(state.prompt, text=text), message=None)
    if state.prompt and state.prompt.kind is PromptKind.FILTER:
        return relisted(replace(state, filter=text))
    if state.prompt and state.prompt.kind is PromptKind.SEARCH:
        return found(state, text, stay=True)
    return state


def left(state: State) -> State:
    """Escape: the line is left, and what it changed is as before. Without one, the filter goes."""
    if state.prompt is None:
        return relisted(replace(state, filter="")) if state.filter else replace(state, message=None)
    before = state.prompt
    state = replace(state, prompt=None, message=None)
    return relisted(replace(state, filter=before.before)) if before.kind is PromptKind.FILTER else state


def entered(state: State) -> tuple[State, Asked | None]:
    """Enter: the line is done. What the application must do about it, if anything."""
    prompt = state.prompt
    if prompt is None:
        return state, None
    state = replace(state, prompt=None)
    if prompt.kind in (PromptKind.WHATIS, PromptKind.EXPORT) and prompt.text.strip():
        return state, Asked(prompt.kind, prompt.text.strip())
    return state, None


def parse_address(state: State, text: str) -> int:
    """An address in hexadecimal (0x may be left out) or a register's name of the selected thread. Raises UsageError."""
    name = text.lower().lstrip("$%")
    entry = state.moment.threads.get(state.tid) if state.moment and state.tid is not None else None
    registers = entry.thread.registers if entry else None
    known = registers.get(name) if registers else None
    if known is not None:
        return known
    try:
        address = int(name.replace("_", ""), 16)
    except ValueError:
        raise UsageError(f"“{text}” is neither an address nor a register.", "Type it in hexadecimal.") from None
    if not 0 <= address < 1 << 64:
        raise UsageError(f"“{text}” is no address of 64 bits.")
    return address
