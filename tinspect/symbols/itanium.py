"""C++ names (Itanium ABI, 5.1), within bounds: libraries that demangle write out what refers to itself, without an end in sight.

What a name holds beyond the usual (decltype of expressions, vendor extensions) is not read: such a name is shown as it is.
"""

from __future__ import annotations

import re

from tinspect.errors import FormatError
from tinspect.symbols.itanium_tables import OPERATORS, SPECIAL, SPECIAL_NAME, Spelled
from tinspect.symbols.itanium_types import TypeReader, bracketed

_NAME_LIMIT = 8192
_CLONE = re.compile(r"\.[A-Za-z_]+(?:\.\d+)*|\.\d+")


def demangle_cpp(name: str) -> str | None:
    """``name`` (``_Z…``) as C++ writes it, with its parameters; None when it is no such name, or one that is not read."""
    if not name.startswith("_Z") or len(name) > _NAME_LIMIT:
        return None
    body, dot, suffix = name[2:].partition(".")
    parser = _NameReader(body)
    try:
        text = parser.encoding(True)
    except FormatError:
        return None
    if parser.position < len(body):
        return None
    return text + "".join(f" [clone {part}]" for part in _CLONE.findall(dot + suffix))


class _NameReader(TypeReader):
    """Reads names of all kinds."""

    def encoding(self, is_whole: bool) -> str:
        """A function with its type, an object, or a special name. Inside other names the result type is left out."""
        return self.nested(lambda: self._encoding(is_whole))

    def _encoding(self, is_whole: bool) -> str:
        code = self.peek(2)
        if code in SPECIAL:
            self.position += 2
            return self.bounded(SPECIAL[code] + self.type().text)
        if code in SPECIAL_NAME:
            self.position += 2
            return self.bounded(SPECIAL_NAME[code] + self.name_of()[0])
        if code in ("Th", "Tv", "Tc"):
            return self._thunk()
        if self.eat("TC"):
            derived = self.type().text
            self.number()
            self.expect("_")
            return self.bounded(f"construction vtable for {self.type().text}-in-{derived}")
        if self.eat("GTt"):
            return self.bounded(f"transaction clone for {self.encoding(is_whole)}")
        if self.eat("GR"):
            name = self.name_of()[0]
            return self.bounded(f"reference temporary #{self.sequence()} for {name}")
        name, qualifiers = self.name_of()
        if self.position >= len(self.name) or self.peek() in "E.":
            return name + qualifiers
        result = self.type() if self.has_return else None
        parameters = self.parameters(lambda: self.position >= len(self.name) or self.peek() in "E.")
        text = f"{name}({parameters}){qualifiers}"
        if result is None or not is_whole:
            return self.bounded(text)
        gap = "" if result.is_function or result.left.endswith(" ") else " "
        return self.bounded(f"{result.left}{gap}{text}{result.right}")

    def _thunk(self) -> str:
        kind = self.take(2)
        for _ in range(2 if kind == "Tc" else 1):
            virtual = kind == "Tv" or (kind == "Tc" and self.take() == "v")
            for _ in range(2 if virtual else 1):
                self.eat("n")
                self.number()
                self.expect("_")
        title = {"Th": "non-virtual thunk to ", "Tv": "virtual thunk to ", "Tc": "covariant return thunk to "}[kind]
        return self.bounded(title + self.encoding(False))

    def name_of(self) -> tuple[str, str]:
        """The name of an entity, and the qualifiers of the member function it is (" const&")."""
        self.has_return = False
        if self.peek() == "N":
            return self.nested_name(True)
        if self.peek() == "Z":
            return self.local_name()
        if self.peek() == "S" and self.peek(2) != "St":
            name = self.substitution().text
        else:
            name = ("std::" if self.eat("St") else "") + self.unqualified("")
            if self.peek() == "I":
                self.remember(Spelled(name))
        if self.peek() == "I":
            arguments = self.template_arguments()
            self.arguments = arguments
            name = self.bounded(_specialised(name, arguments))
            self.has_return = not _is_conversion(name)
        return name, ""

    def nested_name(self, is_entity: bool) -> tuple[str, str]:
        """``N … E``. For an entity its template arguments are those that the rest of the encoding refers to."""
        self.expect("N")
        qualifiers = "".join(
            text for code, text in (("r", " restrict"), ("V", " volatile"), ("K", " const")) if self.eat(code)
        )
        qualifiers += " &" if self.eat("R") else " &&" if self.eat("O") else ""
        name, is_template, is_constructor = "", False, False
        while not self.eat("E"):
            code = self.peek()
            is_template = code == "I"
            if code == "S" and self.peek(2) != "St":
                name = self.substitution().text
                continue
            if code == "T":
                name = self.template_parameter().text
            elif self.eat("St"):
                name = "std"
                continue
            elif is_template:
                arguments = self.template_arguments()
                if is_entity:
                    self.arguments = arguments
                name = self.bounded(_specialised(name, arguments))
            else:
                is_constructor = code in "CD" and self.peek(2)[1:] in tuple("0123459I")
                own = self.unqualified(self.class_name)
                name = self.bounded(f"{name}::{own}" if name else own)
            self.eat("M")  # a data member whose initialiser holds a lambda
            if self.peek() != "E":
                self.remember(Spelled(name))
        if is_entity:
            self.has_return = is_template and not is_constructor and not _is_conversion(name)
        return name, qualifiers

    def local_name(self) -> tuple[str, str]:
        """``Z encoding E entity``: what is declared within a function."""
        self.expect("Z")
        outer = self.arguments
        function = self.encoding(False)
        self.expect("E")
        if self.eat("s"):
            self._discriminator()
            return self.bounded(f"{function}::string literal"), ""
        place = ""
        if self.eat("d"):
            place = f"::{{default arg#{1 if self.eat('_') else self._counted()}}}"
        if self.peek() != "N":
            inner = self.arguments
            self.arguments = inner or outer
        name, qualifiers = self.name_of()
        self._discriminator()
        return self.bounded(f"{function}{place}::{name}"), qualifiers

    def _discriminator(self) -> None:
        if self.eat("__"):
            self.number()
            self.expect("_")
        elif self.peek() == "_" and self.peek(2)[1:].isdecimal():
            self.position += 2

    def unqualified(self, class_name: str) -> str:
        """One part of a name: a source name, an operator, a constructor, a lambda, an unnamed type."""
        code = self.peek()
        if code == "L":
            self.position += 1  # internal linkage
            code = self.peek()
        if code.isdecimal():
            name = self.take(self.number())
            name = "(anonymous namespace)" if name.startswith("_GLOBAL__N") else name
            self.class_name = name
        elif code in "CD" and self.peek(2) not in ("DC", ""):
            name = self._constructor(class_name)
        elif code == "U":
            name = self._unnamed()
        elif self.eat("DC"):
            parts = []
            while not self.eat("E"):
                parts.append(self.nested(lambda: self.unqualified("")))
            name = f"[{', '.join(parts)}]"
        else:
            name = self._operator()
        while self.eat("B"):
            name += f"[abi:{self.take(self.number())}]"
        return self.bounded(name)

    def _constructor(self, class_name: str) -> str:
        kind = self.take()
        if kind == "C" and self.eat("I"):
            self.take()
            self.type()  # the base it is inherited from
        elif self.take() not in "0123459":
            raise FormatError("an unknown constructor in a C++ name.")
        return class_name if kind == "C" else f"~{class_name}"

    def _unnamed(self) -> str:
        if self.eat("Ut"):
            return f"{{unnamed type#{1 if self.eat('_') else self._counted()}}}"
        self.expect("Ul")
        before, self.in_lambda = self.in_lambda, True
        parameters = self.parameters(lambda: self.peek() in ("E", ""))
        self.in_lambda = before
        self.expect("E")
        return f"{{lambda({parameters})#{1 if self.eat('_') else self._counted()}}}"

    def _counted(self) -> int:
        value = self.number() + 2
        self.expect("_")
        return value

    def _operator(self) -> str:
        code = self.take(2)
        if code == "cv":
            return f"operator {self.type().text}"
        if code == "li":
            return f'operator"" {self.take(self.number())}'
        text = OPERATORS.get(code)
        if text is None:
            raise FormatError("an unknown operator in a C++ name.")
        return f"operator{' ' if text[0].isalpha() else ''}{text}"


def _specialised(name: str, arguments: tuple[Spelled, ...]) -> str:
    """A template with its arguments; ``operator<`` stays apart from them."""
    return f"{name}{' ' if name.endswith('<') else ''}{bracketed(arguments)}"


def _is_conversion(name: str) -> bool:
    return "operator " in name.rpartition("::")[2] and not name.endswith(("new", "delete", "[]"))
