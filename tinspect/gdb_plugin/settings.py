"""``set tinspect …`` and ``show tinspect …``."""

from __future__ import annotations

import gdb

from tinspect.model.options import AltstackMode, AttachOptions, Section
from tinspect.views.options import ViewOptions


class _Switch(gdb.Parameter):
    """An on/off setting; its texts come from the table below."""

    def __init__(self, name: str, what: str, why: str) -> None:
        self.set_doc = f"Set whether {what}."
        self.show_doc = f"Show whether {what}."
        self.__doc__ = why
        self._what = what
        super().__init__(f"tinspect {name}", gdb.COMMAND_SUPPORT, gdb.PARAM_BOOLEAN)
        self.value = name == "kernel-tasks"

    def get_set_string(self) -> str:
        """Nothing is said on setting it."""
        return ""

    def get_show_string(self, value: str) -> str:
        """The sentence that ``show`` prints."""
        return f"Whether {self._what}: {value}."


_SWITCHES = (
    ("heap", "references from heap and globals are looked for", "Searching all writable memory takes longer."),
    ("libc-refs", "the pointers that libc itself keeps are shown", "They are no references of the program."),
    (
        "kernel-tasks",
        "the kernel is asked for alternate signal stacks (BPF task iterator)",
        "Only for an inferior on this machine, and with the rights for it. Nothing is run in the inferior, and gdb is not involved.",
    ),
)


def register_settings() -> None:
    """Adds the prefixes and the settings, once: a second load must not undo what the user has set."""
    if _current(_SWITCHES[0][0]) is not None:
        return
    _Prefix("set tinspect", "Settings of tinspect.")
    _Prefix("show tinspect", "Show the settings of tinspect.")
    for name, what, why in _SWITCHES:
        _Switch(name, what, why)


class _Prefix(gdb.Command):
    """The word before settings."""

    def __init__(self, name: str, words: str) -> None:
        self.__doc__ = words
        super().__init__(name, gdb.COMMAND_SUPPORT, gdb.COMPLETE_NONE, True)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        """Without a setting's name: the list of them."""
        for name, _, _ in _SWITCHES:
            gdb.execute(f"show tinspect {name}")


def _current(name: str) -> bool | None:
    try:
        value = gdb.parameter(f"tinspect {name}")
    except RuntimeError:
        return None
    return bool(value)


def attach_options(sections: frozenset[Section]) -> AttachOptions:
    """What the settings ask for. Alternate stacks are never learnt by running code in the inferior: gdb holds it."""
    mode = AltstackMode.AUTO if _current("kernel-tasks") else AltstackMode.OFF
    return AttachOptions(sections=sections, heap=bool(_current("heap")), altstack=mode)


def view_options() -> ViewOptions:
    """How the settings want it shown."""
    return ViewOptions(libc_references=bool(_current("libc-refs")))
