"""Pieces of text with a role: the lines that faces draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tinspect.model.text import printable
from tinspect.views.table import Role


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line; whatever text it is given, it holds it made inert."""

    text: str
    role: Role = Role.PLAIN

    def __post_init__(self) -> None:
        if not self.text.isprintable():
            object.__setattr__(self, "text", printable(self.text))


Line: TypeAlias = tuple[Span, ...]


def plain_text(lines: Iterable[Line]) -> str:
    """The lines without their roles, each ended by a newline; blanks at line ends go."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)
