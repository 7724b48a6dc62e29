"""Types, templates and substitutions in C++ names (Itanium ABI, 5.1.5 to 5.1.10)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from tinspect.errors import FormatError
from tinspect.symbols.itanium_reader import ItaniumReader
from tinspect.symbols.itanium_tables import (
    BINARY,
    BUILTIN,
    EXTENDED,
    LITERAL_SUFFIX,
    OPERATORS,
    STANDARD,
    STANDARD_CLASS,
    UNARY,
    Spelled,
)


class TypeReader(ItaniumReader):
    """Reads types; the names in them are read by the class below it."""

    @abstractmethod
    def name_of(self) -> tuple[str, str]:
        """The name of an entity, and the qualifiers of the member function it is."""

    @abstractmethod
    def nested_name(self, is_entity: bool) -> tuple[str, str]:
        """``N … E``."""

    @abstractmethod
    def local_name(self) -> tuple[str, str]:
        """``Z encoding E entity``."""

    @abstractmethod
    def unqualified(self, class_name: str) -> str:
        """One part of a name."""

    def parameters(self, at_end: Callable[[], bool]) -> str:
        """Types up to where ``at_end`` holds, as a list of parameters."""
        parts = []
        while not at_end():
            parts.append(self.type().text)
        text = ", ".join(part for part in parts if part)
        return "" if text == "void" else text

    def substitution(self) -> Spelled:
        """``S_``, ``S1_`` …, or one of the abbreviations for std."""
        self.expect("S")
        code = self.peek()
        if code in STANDARD and code:
            self.position += 1
            self.class_name = STANDARD_CLASS[code]
            is_constructed = code in "siod" and self.peek() in ("C", "D")
            return Spelled(_full_string(code) if is_constructed else STANDARD[code])
        index = self.sequence()
        if index >= len(self.substitutions):
            raise FormatError("a C++ name that refers ahead.")
        found = self.substitutions[index]
        self.class_name = _last_part(found.text)
        return found

    def template_parameter(self) -> Spelled:
        """``T_``, ``T0_`` …: an argument of the template that the encoding names."""
        self.expect("T")
        index = 0 if self.eat("_") else self.number() + 1
        if index:
            self.expect("_")
        if self.in_lambda:
            return Spelled(f"auto:{index + 1}")
        if index >= len(self.arguments):
            raise FormatError("a C++ name with a template parameter that it does not give.")
        found = self.arguments[index]
        if found.pack is not None:
            self.pack_size = len(found.pack)
            if self.pack_index is not None:
                return found.pack[self.pack_index] if self.pack_index < len(found.pack) else Spelled("")
        return found

    def template_arguments(self) -> tuple[Spelled, ...]:
        """``I … E``."""
        self.expect("I")
        before, kept_class, self.in_lambda = self.in_lambda, self.class_name, False
        result = []
        while not self.eat("E"):
            result.append(self.nested(self._argument))
        self.in_lambda, self.class_name = before, kept_class
        return tuple(result)

    def _argument(self) -> Spelled:
        if self.eat("J"):
            members = []
            while not self.eat("E"):
                members.append(self.nested(self._argument))
            return self._packed(members)
        if self.peek() == "L":
            return Spelled(self.literal())
        if self.eat("X"):
            text = self.expression()
            self.expect("E")
            return Spelled(text)
        return self.type()

    def literal(self) -> str:
        """``L type value E``, or an entity by its name."""
        self.expect("L")
        if self.eat("_Z"):
            return self._address_of().removeprefix("&")
        code = self.peek()
        kind = self.type().text
        start = self.position
        while self.peek() not in ("E", ""):
            self.position += 1
        digits = self.name[start : self.position]
        self.expect("E")
        digits = f"-{digits[1:]}" if digits.startswith("n") else digits
        if code == "b" and digits in ("0", "1"):
            return "true" if digits == "1" else "false"
        if code in LITERAL_SUFFIX:
            return digits + LITERAL_SUFFIX[code]
        return f"({kind}){digits}" if digits else kind

    def expression(self) -> str:
        """The expressions that are common in template arguments."""
        return self.nested(self._expression)

    def _expression(self) -> str:
        code = self.peek(2)
        if code[:1] == "L":
            return self.literal()
        if code[:1] == "T":
            return self.template_parameter().text
        if (
            code == "sp" and self.peek(3) == "spT"
        ):  # of other expressions than a pack itself, each member would have its own
            self.position += 2
            return self.template_parameter().text
        if self.eat("adL_Z"):
            return self._address_of()
        if self.eat("sr"):
            owner = self.type().text
            name = self.bounded(f"{owner}::{self.unqualified('')}")
            return name + bracketed(self.template_arguments()) if self.peek() == "I" else name
        if code in UNARY or code in BINARY:
            self.position += 2
            left = self.expression()
            if code in UNARY:
                return self.bounded(f"{OPERATORS[code]}({left})")
            return self.bounded(f"({left}){OPERATORS[code]}({self.expression()})")
        if code == "st":
            self.position += 2
            return f"sizeof ({self.type().text})"
        raise FormatError("an expression in a C++ name that is not read.")

    def _address_of(self) -> str:
        """A function as a template argument: its parameters are there to choose among overloads, and are not shown."""
        kept = self.arguments, self.has_return
        name = self.name_of()[0]
        while not self.eat("E"):
            self.type()
        self.arguments, self.has_return = kept
        return f"&{name}"

    def type(self) -> Spelled:
        """Any type."""
        return self.nested(self._type)

    def _type(self) -> Spelled:
        code = self.peek()
        if code in BUILTIN and code:
            self.position += 1
            return Spelled(BUILTIN[code])
        if code in ("r", "V", "K"):
            return self._qualified()
        if code in ("P", "R", "O"):
            self.position += 1
            return self.remember(_pointed(self.type(), {"P": "*", "R": "&", "O": "&&"}[code]))
        if code in ("A", "F", "M", "D"):
            return self._compound(code)
        if code in ("C", "G"):
            self.position += 1
            return self.remember(Spelled(self.type().text + (" _Complex" if code == "C" else " _Imaginary")))
        if code == "u":
            self.position += 1
            return self.remember(Spelled(self.take(self.number())))
        if code == "T" and self.peek(2) not in ("Ts", "Tu", "Te"):
            found = self.remember(self.template_parameter())
            return self._with_arguments(found) if self.peek() == "I" else found
        if code == "S" and self.peek(2) != "St":
            found = self.substitution()
            return self._with_arguments(found) if self.peek() == "I" else found
        return self._class()

    def _with_arguments(self, template: Spelled) -> Spelled:
        return self.remember(Spelled(self.bounded(template.text + bracketed(self.template_arguments()))))

    def _class(self) -> Spelled:
        for elaborated in ("Ts", "Tu", "Te"):
            self.eat(elaborated)
        if self.peek() == "N":
            return self.remember(Spelled(self.nested_name(False)[0]))
        kept = self.arguments, self.has_return
        if self.peek() == "Z":
            found = Spelled(self.local_name()[0])
            self.arguments, self.has_return = kept
            return self.remember(found)
        name = ("std::" if self.eat("St") else "") + self.unqualified("")
        found = self.remember(Spelled(name))
        return self._with_arguments(found) if self.peek() == "I" else found

    def _qualified(self) -> Spelled:
        marks = [text for code, text in (("r", " restrict"), ("V", " volatile"), ("K", " const")) if self.eat(code)]
        base = self.type()
        text = "".join(mark for mark in reversed(marks) if not base.left.endswith(mark))
        if base.is_function:
            return self.remember(Spelled(base.left, base.right + text, is_function=True))
        if base.is_array:
            return self.remember(Spelled(base.left + text, base.right, is_array=True))
        return self.remember(Spelled(base.left + text, base.right))

    def _compound(self, code: str) -> Spelled:
        if code == "A":
            self.position += 1
            size = str(self.number()) if self.peek().isdecimal() else "" if self.peek() == "_" else self.expression()
            self.expect("_")
            element = self.type()
            return self.remember(Spelled(element.left, f" [{size}]{element.right.lstrip()}", is_array=True))
        if code == "F":
            return self._function("")
        if code == "M":
            self.position += 1
            owner, member = self.type().text, self.type()
            gap = "" if member.is_function or member.is_array else " "
            return self.remember(member.pointed(f"{gap}{owner}::*"))
        return self._extended()

    def _function(self, suffix: str) -> Spelled:
        self.expect("F")
        self.eat("Y")
        result = self.type()
        parameters = self.parameters(lambda: self.peek() in ("E", "") or self.peek(2) in ("RE", "OE"))
        reference = " &" if self.eat("R") else " &&" if self.eat("O") else ""
        self.expect("E")
        gap = "" if result.left.endswith(" ") else " "
        right = f"({parameters}){reference}{suffix}{result.right}"
        return self.remember(Spelled(f"{result.left}{gap}", right, is_function=True))

    def _extended(self) -> Spelled:
        code = self.peek(2)
        if code in EXTENDED:
            self.position += 2
            return Spelled(EXTENDED[code]) if code != "Dn" else Spelled("decltype(nullptr)")
        if code == "Do":
            self.position += 2
            return self._function(" noexcept")
        if self.eat("Dp"):
            return self._expansion()
        raise FormatError("a type in a C++ name that is not read.")

    def _expansion(self) -> Spelled:
        """``Dp pattern``: the pattern once for each member of the pack it refers to."""
        start, outer = self.position, (self.pack_index, self.pack_size)
        whole, size = self._with_pack(None)
        end, known = self.position, list(self.substitutions)
        members = [] if size is not None else [whole]
        for index in range(size or 0):
            self.position = start
            members.append(self._with_pack(index)[0])
            self.substitutions = list(known)
        self.position = end
        self.pack_index, self.pack_size = outer
        return self._packed(members)

    def _packed(self, members: list[Spelled]) -> Spelled:
        text = ", ".join(part for part in (item.text for item in members) if part)
        return Spelled(self.bounded(text), pack=tuple(members))

    def _with_pack(self, index: int | None) -> tuple[Spelled, int | None]:
        """A type whose packs stand for their member ``index``, or for all; and how many members they have, if there is one."""
        self.pack_index, self.pack_size = index, None
        return self.type(), self.pack_size


def _pointed(target: Spelled, mark: str) -> Spelled:
    """A pointer or reference; a reference to a reference is the lesser one ([dcl.ref]/6)."""
    if mark != "*" and not (target.is_function or target.is_array):
        if target.left.endswith("&&"):
            return Spelled(target.left[:-2] + mark, target.right)
        if target.left.endswith("&"):
            return target
    return target.pointed(mark)


def bracketed(arguments: tuple[Spelled, ...]) -> str:
    """Template arguments in their brackets; two that close stay apart, as c++filt writes them."""
    text = ", ".join(part for part in (item.text for item in arguments) if part)
    return f"<{text}{' ' if text.endswith('>') else ''}>"


def _last_part(name: str) -> str:
    """The last part of a qualified name, without its template arguments."""
    depth, end = 0, len(name)
    for index in range(len(name) - 1, -1, -1):
        letter = name[index]
        if letter == ">":
            depth += 1
        elif letter == "<":
            depth -= 1
            if depth == 0:
                end = index
        elif letter == ":" and depth == 0:
            return name[index + 1 : end]
    return name[:end]


def _full_string(code: str) -> str:
    character = "char, std::char_traits<char>" + (", std::allocator<char>" if code == "s" else "")
    return f"std::{STANDARD_CLASS[code]}<{character} >"
