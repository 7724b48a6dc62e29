"""The ground a reader of C++ names stands on: forward through the text, within bounds, with what was read so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinspect.errors import FormatError
from tinspect.symbols.itanium_tables import Spelled

_T = TypeVar("_T")
_OUTPUT_LIMIT = 8192
_STEP_LIMIT = 20_000
_DEPTH_LIMIT = 100
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class ItaniumReader:
    """Reads forward through ``name`` and answers with text. Every text is bounded, so that none can grow by naming itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.position = 0
        self.steps = 0
        self.depth = 0
        self.written = 0
        self.substitutions: list[Spelled] = []
        self.arguments: tuple[Spelled, ...] = ()
        self.class_name = ""  # what a constructor read now would be called
        self.has_return = False  # whether the name just read is a template's, whose type begins with the result
        self.pack_index: int | None = None
        self.pack_size: int | None = None
        self.in_lambda = False

    def peek(self, size: int = 1) -> str:
        """The next characters, fewer at the end."""
        return self.name[self.position : self.position + size]

    def eat(self, text: str) -> bool:
        """Whether ``text`` comes next; then it is passed."""
        if not self.name.startswith(text, self.position):
            return False
        self.position += len(text)
        return True

    def expect(self, text: str) -> None:
        """Passes ``text``. Raises FormatError when something else comes next."""
        if not self.eat(text):
            raise FormatError("a C++ name that cannot be read.")

    def take(self, size: int = 1) -> str:
        """The next ``size`` characters, passed. Raises FormatError at the end."""
        text = self.peek(size)
        if len(text) < size:
            raise FormatError("a C++ name that ends too early.")
        self.position += size
        return text

    def bounded(self, text: str) -> str:
        """``text``. Raises FormatError when it, or all that was written, is too long."""
        self.written += len(text)
        if len(text) > _OUTPUT_LIMIT or self.written > 64 * _OUTPUT_LIMIT:
            raise FormatError("a C++ name too long to show.")
        return text

    def nested(self, action: Callable[[], _T]) -> _T:
        """What ``action`` reads, one level deeper. Raises FormatError when that is too deep, or took too many steps."""
        self.steps += 1
        self.depth += 1
        if self.depth > _DEPTH_LIMIT or self.steps > _STEP_LIMIT:
            raise FormatError("a C++ name nested too deep.")
        result = action()
        self.depth -= 1
        return result

    def number(self) -> int:
        """A decimal number. Raises FormatError when none comes next."""
        start = self.position
        while self.peek().isdecimal() and self.position - start < 9:
            self.position += 1
        if start == self.position:
            raise FormatError("a C++ name without a number.")
        return int(self.name[start : self.position])

    def sequence(self) -> int:
        """A base-36 number up to ``_``: nothing is 0, ``0`` is 1 …"""
        value = 0
        if self.eat("_"):
            return 0
        while not self.eat("_"):
            digit = _DIGITS.find(self.take())
            if digit < 0 or value > 1 << 20:
                raise FormatError("a damaged number in a C++ name.")
            value = value * 36 + digit
        return value + 1

    def remember(self, item: Spelled) -> Spelled:
        """``item``, which later parts of the name may refer to by its place."""
        self.bounded(item.left + item.right)
        self.substitutions.append(item)
        return item
