"""Rust's legacy symbol names: an Itanium nested name whose last part is a hash (rustc, compiler/rustc_symbol_mangling/src/legacy.rs)."""

from __future__ import annotations

import re

_LENGTH = re.compile(r"\d{1,4}")
_NAME_LIMIT = 4096
_HASH = re.compile(r"h[0-9a-f]{16}$")
_ESCAPE = re.compile(r"\$(SP|BP|RF|LT|GT|LP|RP|C|u[0-9a-f]{1,6})\$|\.\.|\.")
_PLAIN = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}


def demangle_rust_legacy(name: str) -> str | None:
    """``name`` as a path, without its hash; None when it is no such name."""
    if not name.startswith("_ZN") or len(name) > _NAME_LIMIT:
        return None
    parts, position = [], 3
    while (length := _LENGTH.match(name, position)) is not None:
        end = length.end() + int(length.group())
        if end > len(name):
            return None
        parts.append(name[length.end() : end])
        position = end
    if position >= len(name) or name[position] != "E" or len(parts) < 2 or not _HASH.match(parts[-1]):
        return None
    suffix = name[position + 1 :]
    return "::".join(_unescape(part) for part in parts[:-1]) + ("" if suffix.startswith(".llvm.") else suffix)


def _unescape(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]
    return _ESCAPE.sub(_replace, part)


def _replace(found: re.Match[str]) -> str:
    text = found.group()
    if text == "..":
        return "::"
    if text == ".":
        return "."
    code = found.group(1)
    if code in _PLAIN:
        return _PLAIN[code]
    value = int(code[1:], 16)
    return chr(value) if value < 0x110000 and chr(value).isprintable() else text
