"""Names as their authors wrote them: Rust (legacy and v0) and C++ (Itanium ABI)."""

from __future__ import annotations


def demangle(name: bytes) -> str:
    """``name`` demangled where it can be, without its symbol version; never fails."""
    plain, at, version = name.partition(b"@")
    return (name if at and version == b"plt" else plain).decode("utf-8", "backslashreplace")
