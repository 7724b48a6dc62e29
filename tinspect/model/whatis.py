"""What one address is, in words and as facts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tinspect.model.address import AddressRange
from tinspect.model.source import Source


class AddressKind(StrEnum):
    """What an address belongs to."""

    STACK = "stack"
    GUARD = "guard"
    ALTSTACK = "altstack"
    CACHED_STACK = "cached_stack"  # the stack of a finished thread
    DESCRIPTOR = "descriptor"  # libc's own struct of a thread
    TLS = "tls"
    HEAP = "heap"
    MODULE = "module"  # code or data of a loaded image
    MAPPING = "mapping"  # mapped, and nothing better is known
    UNMAPPED = "unmapped"


@dataclass(frozen=True, slots=True)
class WhatIs:
    """The answer for one address. ``words`` is one sentence; all else are the facts behind it, None where they don't apply.

    ``region`` is the whole thing the address lies in (the stack, the heap chunk, the mapping), ``offset`` the bytes from its start
    (for a frame: from the frame's sp). ``frame`` is the index of the call frame. ``details`` are further sentences.
    """

    address: int
    kind: AddressKind
    words: str
    source: Source
    region: AddressRange | None = None
    offset: int | None = None
    tid: int | None = None
    thread_name: str | None = None
    frame: int | None = None
    function: str | None = None
    variable: str | None = None
    module: str | None = None
    section: str | None = None
    symbol: str | None = None
    symbol_offset: int | None = None
    file: str | None = None
    line: int | None = None
    permissions: str | None = None
    details: tuple[str, ...] = ()
