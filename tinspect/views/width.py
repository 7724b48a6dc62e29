"""How many cells of a terminal a text takes, and cutting text to that measure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LAST_NUMBER = re.compile(r"(?<!\w)0(x[0-9a-f]*)?$", re.ASCII)
_HEX_DIGITS = frozenset("x0123456789abcdef")


def display_width(text: str) -> int:
    """Terminal cells of ``text``: 2 for wide characters (UAX #11), 0 for combining marks, else 1."""
    return len(text) if text.isascii() else sum(_character_width(character) for character in text)


@lru_cache(maxsize=1024)
def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """``text`` in at most ``width`` cells; what had to be cut ends in the ellipsis. A number in hexadecimal is never cut, it goes as a
    whole: half an address would look like another one."""
    if display_width(text) <= width:
        return text
    head = prefix(text, max(width - len(ellipsis), 0))
    number = _LAST_NUMBER.search(head)
    if number and text[len(head) : len(head) + 1] in _HEX_DIGITS:
        head = head[: number.start()]
    return head + ellipsis[:width]


def prefix(text: str, width: int) -> str:
    """As much of the start of ``text`` as fits into ``width`` cells."""
    taken, room = 0, width
    for character in text:
        room -= _character_width(character)
        if room < 0:
            break
        taken += 1
    return text[:taken]


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` cells (at least 1), broken at spaces; only a word longer than a line is broken itself."""
    width = max(width, 1)
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if display_width(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while display_width(line) > width:
            head = prefix(line, width) or line[0]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines
