"""How a report is to be shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """``group_over``: with more threads than this, alike ones share a row (0: never). ``libc_references`` shows the pointers that
    libc itself keeps, ``frames`` the call stacks; ``command_line`` lets notes name the options of the command line.
    """

    group_over: int = 32
    libc_references: bool = False
    frames: bool = False
    command_line: bool = False

    def hint(self, option: str) -> str:
        """The option in parentheses on the command line, nothing in other faces."""
        return f" ({option})" if self.command_line else ""


DEFAULT_VIEW = ViewOptions()
