"""Names as their authors wrote them: Rust (legacy and v0) and C++."""

from __future__ import annotations

from functools import lru_cache

from tinspect.symbols.itanium import demangle_cpp
from tinspect.symbols.rust_legacy import demangle_rust_legacy
from tinspect.symbols.rust_v0 import demangle_rust_v0


@lru_cache(maxsize=1 << 14)
def demangle(name: bytes) -> str:
    """``name`` demangled where it can be, without its symbol version; never fails."""
    plain, at, version = name.partition(b"@")
    text = plain.decode("utf-8", "backslashreplace")
    shown = demangle_rust_v0(text) or demangle_rust_legacy(text) or demangle_cpp(text) or text
    return f"{shown}@plt" if at and version == b"plt" else shown
