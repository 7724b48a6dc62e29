"""Rust's v0 symbol names (RFC 2603; doc.rust-lang.org/rustc/symbol-mangling/v0.html), within bounds on steps, depth and length."""

from __future__ import annotations

from collections.abc import Callable

from tinspect.errors import FormatError

_NAME_LIMIT = 4096
_OUTPUT_LIMIT = 16_384
_STEP_LIMIT = 20_000
_DEPTH_LIMIT = 200

_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize", "l": "i32", "m": "u32",
    "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...", "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_DIGITS = {c: n for n, c in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_SIGNED, _UNSIGNED = frozenset("ailnsx"), frozenset("hjmoty")


def demangle_rust_v0(name: str) -> str | None:
    """``name`` as a path; None when it is no v0 name, or one too large to show."""
    if not name.startswith("_R") or len(name) > _NAME_LIMIT or not name.isascii():
        return None
    body, dot, suffix = name[2:].partition(".")
    printer = _Printer(body)
    try:
        printer.path(True)
        if not printer.at_end:
            printer.silently(lambda: printer.path(False))  # the crate that instantiated it
        if not printer.at_end:
            return None
    except FormatError:
        return None
    return printer.text() + (dot + suffix if dot and not suffix.startswith("llvm.") else "")


class _Printer:
    """Parses forward through ``name`` and writes what it reads; back references parse again from an earlier place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.position = 0
        self.pieces: list[str] = []
        self.length = 0
        self.steps = 0
        self.depth = 0
        self.lifetimes = 0
        self.silent = False

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.name)

    def text(self) -> str:
        return "".join(self.pieces)

    def write(self, text: str) -> None:
        if not self.silent:
            self.length += len(text)
            if self.length > _OUTPUT_LIMIT:
                raise FormatError("a Rust name too long to show.")
            self.pieces.append(text)

    def silently(self, action: Callable[[], None]) -> None:
        before, self.silent = self.silent, True
        action()
        self.silent = before

    def peek(self) -> str:
        return self.name[self.position : self.position + 1]

    def next(self) -> str:
        self.steps += 1
        if self.at_end or self.steps > _STEP_LIMIT:
            raise FormatError("a damaged Rust name.")
        self.position += 1
        return self.name[self.position - 1]

    def eat(self, letter: str) -> bool:
        if self.peek() != letter:
            return False
        self.next()
        return True

    def base62(self) -> int:
        """``_`` is 0, ``0_`` 1 …"""
        if self.eat("_"):
            return 0
        value = 0
        while (letter := self.next()) != "_":
            if letter not in _DIGITS or value > 1 << 64:
                raise FormatError("a damaged number in a Rust name.")
            value = value * 62 + _DIGITS[letter]
        return value + 1

    def optional(self, tag: str) -> int:
        """A number after ``tag``, counted from 1; 0 without it."""
        return self.base62() + 1 if self.eat(tag) else 0

    def identifier(self) -> tuple[str, int]:
        """A name and its disambiguator."""
        disambiguator = self.optional("s")
        is_punycode = self.eat("u")
        digits = ""
        while self.peek().isdecimal() and len(digits) < 5:
            digits += self.next()
            if digits == "0":
                break
        if not digits:
            raise FormatError("a Rust name without a length.")
        self.eat("_")
        start, size = self.position, int(digits)
        if start + size > len(self.name):
            raise FormatError("a Rust name that ends too early.")
        self.position += size
        text = self.name[start : start + size]
        return (_decode_punycode(text) if is_punycode else text), disambiguator

    def nested(self, action: Callable[[], None]) -> None:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise FormatError("a Rust name nested too deep.")
        action()
        self.depth -= 1

    def back_reference(self, action: Callable[[], None]) -> None:
        """Parses again what stands earlier."""
        start = self.position - 1
        target = self.base62()
        if target >= start:
            raise FormatError("a Rust name that refers ahead.")
        if self.silent:
            return
        after, self.position = self.position, target
        self.nested(action)
        self.position = after

    def path(self, is_value: bool) -> None:
        self.nested(lambda: self._path(is_value))

    def _path(self, is_value: bool) -> None:
        match self.next():
            case "C":
                self.write(self.identifier()[0])
            case "N":
                self._nested_path(is_value)
            case "M":
                self._implementation()
                self.write("<")
                self.type()
                self.write(">")
            case "X":
                self._implementation()
                self._as_trait()
            case "Y":
                self._as_trait()
            case "I":
                self.path(is_value)
                self.write("::<" if is_value else "<")
                self.separated(self.generic)
                self.write(">")
            case "B":
                self.back_reference(lambda: self.path(is_value))
            case _:
                raise FormatError("an unknown kind of Rust path.")

    def _nested_path(self, is_value: bool) -> None:
        namespace = self.next()
        self.path(is_value)
        name, disambiguator = self.identifier()
        if namespace.isupper():
            kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
            self.write(f"::{{{kind}{':' if name else ''}{name}#{disambiguator}}}")
        elif name:
            self.write(f"::{name}")

    def _implementation(self) -> None:
        """The place of an impl block, which is not shown."""
        self.optional("s")
        self.silently(lambda: self.path(False))

    def _as_trait(self) -> None:
        self.write("<")
        self.type()
        self.write(" as ")
        self.path(False)
        self.write(">")

    def separated(self, item: Callable[[], None], separator: str = ", ") -> int:
        """Items up to E; how many."""
        count = 0
        while not self.eat("E"):
            if count:
                self.write(separator)
            item()
            count += 1
        return count

    def generic(self) -> None:
        if self.eat("L"):
            self.lifetime(self.base62())
        elif self.eat("K"):
            self.constant()
        else:
            self.type()

    def lifetime(self, index: int) -> None:
        if index == 0:
            self.write("'_")
            return
        depth = self.lifetimes - index
        if depth < 0:
            raise FormatError("a Rust name with an unbound lifetime.")
        self.write(f"'{chr(97 + depth)}" if depth < 26 else f"'z{depth - 25}")

    def binder(self, action: Callable[[], None]) -> None:
        """``for<'a, 'b>`` where lifetimes are bound, around ``action``."""
        count = self.optional("G")
        if count > 64:
            raise FormatError("a Rust name with too many lifetimes.")
        if count:
            self.write("for<")
            for number in range(count):
                self.write(", " if number else "")
                self.lifetimes += 1
                self.lifetime(1)
            self.write("> ")
        action()
        self.lifetimes -= count

    def type(self) -> None:
        self.nested(self._type)

    def _type(self) -> None:
        letter = self.next()
        if letter in _BASIC:
            self.write(_BASIC[letter])
        elif letter in "AS":
            self._sequence(letter)
        elif letter in "RQ":
            self._reference(letter)
        elif letter in "PO":
            self.write("*const " if letter == "P" else "*mut ")
            self.type()
        elif letter == "T":
            self.write("(")
            self.write("," if self.separated(self.type) == 1 else "")
            self.write(")")
        elif letter == "F":
            self.binder(self._function)
        elif letter == "D":
            self._dyn()
        elif letter == "B":
            self.back_reference(self.type)
        else:
            self.position -= 1
            self.path(False)

    def _sequence(self, letter: str) -> None:
        self.write("[")
        self.type()
        if letter == "A":
            self.write("; ")
            self.constant()
        self.write("]")

    def _reference(self, letter: str) -> None:
        self.write("&")
        if self.eat("L"):
            index = self.base62()
            if index:
                self.lifetime(index)
                self.write(" ")
        self.write("mut " if letter == "Q" else "")
        self.type()

    def _function(self) -> None:
        self.write("unsafe " if self.eat("U") else "")
        if self.eat("K"):
            abi = "C" if self.eat("C") else self.identifier()[0].replace("_", "-")
            self.write(f'extern "{abi}" ')
        self.write("fn(")
        self.separated(self.type)
        self.write(")")
        if not self.eat("u"):
            self.write(" -> ")
            self.type()

    def _dyn(self) -> None:
        self.write("dyn ")
        self.binder(lambda: self._ignore(self.separated(self._bound, " + ")))
        if not self.eat("L"):
            raise FormatError("a Rust trait object without a lifetime.")
        index = self.base62()
        if index:
            self.write(" + ")
            self.lifetime(index)

    def _ignore(self, _: int) -> None:
        """Makes an action of what gives a number."""

    def _bound(self) -> None:
        """A trait with its generic arguments and associated types."""
        is_open = self._open_path()
        while self.eat("p"):
            self.write(", " if is_open else "<")
            is_open = True
            self.write(f"{self.identifier()[0]} = ")
            self.type()
        self.write(">" if is_open else "")

    def _open_path(self) -> bool:
        """A path whose generic arguments are left open; whether there are any."""
        if self.eat("B"):
            opened: list[bool] = []
            self.back_reference(lambda: opened.append(self._open_path()))
            return bool(opened and opened[0])
        if not self.eat("I"):
            self.path(False)
            return False
        self.path(False)
        self.write("<")
        self.separated(self.generic)
        return True

    def constant(self) -> None:
        self.nested(self._constant)

    def _constant(self) -> None:
        letter = self.next()
        if letter == "p":
            self.write("_")
        elif letter == "B":
            self.back_reference(self.constant)
        elif letter in _UNSIGNED or letter in _SIGNED:
            self.write("-" if letter in _SIGNED and self.eat("n") else "")
            self.write(str(self._hex()))
        elif letter == "b":
            self.write({0: "false", 1: "true"}.get(self._hex(), "?"))
        elif letter == "c":
            value = self._hex()
            if value > 0x10FFFF or not chr(value).isprintable():
                raise FormatError("a Rust name with an odd character.")
            self.write(f"'{chr(value)}'")
        else:
            raise FormatError("a Rust constant of an unknown kind.")

    def _hex(self) -> int:
        digits = ""
        while (letter := self.next()) != "_":
            digits += letter
        if len(digits) > 32 or not set(digits) <= set("0123456789abcdef"):
            raise FormatError("a damaged constant in a Rust name.")
        return int(digits or "0", 16)


def _decode_punycode(text: str) -> str:
    """RFC 3492 with ``_`` for the last hyphen."""
    head, _, tail = text.rpartition("_")
    try:
        decoded = (f"{head}-{tail}" if head else tail).encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError) as error:
        raise FormatError("a damaged identifier in a Rust name.") from error
    return decoded if decoded.isprintable() else text
