"""What may cross threads: Send (may be moved to another thread) and Sync (may be used by several at once)."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import queue
import re
import threading
import types
import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traits:
    """`send`: a thread may be given the value as an argument. `sync`: several threads may use it at once."""

    send: bool
    sync: bool


BOTH = Traits(send=True, sync=True)
SEND = Traits(send=True, sync=False)
LOAN_ONLY = Traits(send=False, sync=False)

_IMMUTABLE: tuple[type, ...] = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type, enum.Enum, types.FunctionType,
    types.BuiltinFunctionType, types.ModuleType, types.MappingProxyType, datetime.date, datetime.time,
    datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, pathlib.PurePath, re.Pattern, uuid.UUID,
)  # fmt: skip
_LOCKED: tuple[type, ...] = (
    type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.Semaphore,
    threading.Barrier, threading.local, queue.Queue, queue.SimpleQueue,
)  # fmt: skip


class _Declarations:
    """What programs say about types of their own; the newest word on a type counts."""

    def __init__(self) -> None:
        self._traits: dict[type, Traits] = dict.fromkeys((*_IMMUTABLE, *_LOCKED), BOTH)

    def declare(self, kind: type, traits: Traits) -> None:
        self._traits[kind] = traits

    def find(self, kind: type) -> Traits | None:
        """The traits of the nearest class in the method resolution order that has any."""
        return next((self._traits[base] for base in kind.__mro__ if base in self._traits), None)


_declarations = _Declarations()


def declare(kind: type, *, send: bool, sync: bool) -> None:
    """Say what instances of `kind` and its subclasses allow; takes effect for spawns from now on."""
    _declarations.declare(kind, Traits(send, sync))


def _is_buffer(value: object) -> bool:
    try:
        memoryview(value).release()  # type: ignore[arg-type]
    except (TypeError, BufferError, ValueError):
        return False
    return True


def traits_of(value: object) -> Traits:
    """What `value` allows.

    Immutable values and those with locks of their own are Send and Sync; tuples and frozensets are what all their items
    are; buffers are neither, they cross by loan only; every other object is Send: the interpreter keeps it whole, its
    meaning is the program's to guard.
    """
    declared = _declarations.find(type(value))
    if declared is not None:
        return declared
    if isinstance(value, (tuple, frozenset)):
        items = [traits_of(item) for item in value]
        return Traits(all(item.send for item in items), all(item.sync for item in items))
    return LOAN_ONLY if _is_buffer(value) else SEND
