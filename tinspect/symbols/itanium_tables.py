"""The codes of the Itanium C++ ABI's names (itanium-cxx-abi.github.io/cxx-abi/abi.html, 5.1), and how they are written out."""

from __future__ import annotations

from dataclasses import dataclass

BUILTIN = {
    "v": "void", "w": "wchar_t", "b": "bool", "c": "char", "a": "signed char", "h": "unsigned char", "s": "short",
    "t": "unsigned short", "i": "int", "j": "unsigned int", "l": "long", "m": "unsigned long", "x": "long long",
    "y": "unsigned long long", "n": "__int128", "o": "unsigned __int128", "f": "float", "d": "double", "e": "long double",
    "g": "__float128", "z": "...",
}  # fmt: skip
EXTENDED = {
    "Dd": "decimal64", "De": "decimal128", "Df": "decimal32", "Dh": "half", "Di": "char32_t", "Ds": "char16_t", "Du": "char8_t",
    "Da": "auto", "Dc": "decltype(auto)", "Dn": "decltype(nullptr)",
}  # fmt: skip
OPERATORS = {
    "nw": "new", "na": "new[]", "dl": "delete", "da": "delete[]", "aw": "co_await", "ps": "+", "ng": "-", "ad": "&", "de": "*",
    "co": "~", "pl": "+", "mi": "-", "ml": "*", "dv": "/", "rm": "%", "an": "&", "or": "|", "eo": "^", "aS": "=", "pL": "+=",
    "mI": "-=", "mL": "*=", "dV": "/=", "rM": "%=", "aN": "&=", "oR": "|=", "eO": "^=", "ls": "<<", "rs": ">>", "lS": "<<=",
    "rS": ">>=", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "ss": "<=>", "nt": "!", "aa": "&&",
    "oo": "||", "pp": "++", "mm": "--", "cm": ",", "pm": "->*", "pt": "->", "cl": "()", "ix": "[]", "qu": "?",
}  # fmt: skip
UNARY = frozenset(("ps", "ng", "ad", "de", "co", "nt"))
BINARY = frozenset(
    ("pl", "mi", "ml", "dv", "rm", "an", "or", "eo", "ls", "rs", "eq", "ne", "lt", "gt", "le", "ge", "aa", "oo")
)
STANDARD = {
    "a": "std::allocator", "b": "std::basic_string", "s": "std::string",
    "i": "std::istream", "o": "std::ostream", "d": "std::iostream",
}  # fmt: skip
# What a constructor of those is called.
STANDARD_CLASS = {
    "a": "allocator", "b": "basic_string", "s": "basic_string",
    "i": "basic_istream", "o": "basic_ostream", "d": "basic_iostream",
}  # fmt: skip
LITERAL_SUFFIX = {"i": "", "j": "u", "l": "l", "m": "ul", "x": "ll", "y": "ull"}
SPECIAL = {
    "TV": "vtable for ", "TT": "VTT for ", "TI": "typeinfo for ", "TS": "typeinfo name for ", "TF": "typeinfo fn for ",
}  # fmt: skip
SPECIAL_NAME = {
    "GV": "guard variable for ", "TH": "TLS init function for ", "TW": "TLS wrapper function for ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spelled:
    """A type as text around the name it declares: ``left`` before it, ``right`` behind.

    ``pack`` are the members of a parameter pack, whose list is then ``left``: written out once, or packs of packs would take forever.
    """

    left: str
    right: str = ""
    is_function: bool = False
    is_array: bool = False
    pack: tuple[Spelled, ...] | None = None

    @property
    def text(self) -> str:
        """The type without a name."""
        return self.left.rstrip() + self.right if self.is_array else self.left + self.right

    def pointed(self, mark: str) -> Spelled:
        """A pointer or reference to it, or a member pointer (``mark`` is then ``Class::*``)."""
        if self.is_function or self.is_array:
            return Spelled(f"{self.left}({mark}" if self.is_function else f"{self.left} ({mark}", f"){self.right}")
        return Spelled(self.left + mark, self.right)
