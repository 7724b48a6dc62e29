"""Thread-specific data keys, their values, and thread-local variables."""

from __future__ import annotations

from dataclasses import dataclass

from tinspect.model.address import AddressRange
from tinspect.model.source import Source


@dataclass(frozen=True, slots=True)
class TlsKey:
    """A pthread key in use (pthread_key_create(3)). ``sequence`` is libc's generation (None on musl, which has none).

    ``destructor`` is 0 when none was given. ``symbol``/``module`` tell where the destructor lies, ``mapped`` whether it still
    lies in executable memory (None when that could not be told). ``name`` is what the program calls a key of the scoped-thread runtime.
    """

    key: int
    sequence: int | None
    destructor: int
    symbol: str | None = None
    module: str | None = None
    mapped: bool | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class TlsSlot:
    """A thread's value of a key, current by its sequence and not null. ``description`` is what the value points to, in words."""

    key: int
    value: int
    description: str | None = None


@dataclass(frozen=True, slots=True)
class TlsBlock:
    """The thread-local storage block of one module for one thread. ``range`` is None while it is not yet allocated."""

    module: str
    module_id: int
    range: AddressRange | None
    source: Source


@dataclass(frozen=True, slots=True)
class TlsVariable:
    """A thread-local variable of one thread: its address, its bytes, and a rendering where its type is known."""

    name: str
    module: str
    address: int
    size: int
    data: bytes | None
    type_name: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class TlsDestructor:
    """An entry of the C++/Rust thread-exit destructor list (__cxa_thread_atexit_impl): function and object."""

    function: int
    argument: int
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadTls:
    """All thread-local storage of one thread."""

    tid: int
    slots: tuple[TlsSlot, ...] = ()
    blocks: tuple[TlsBlock, ...] = ()
    variables: tuple[TlsVariable, ...] = ()
    destructors: tuple[TlsDestructor, ...] = ()
