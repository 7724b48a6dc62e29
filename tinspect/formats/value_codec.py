"""Frozen dataclasses as JSON and back, by their own type hints. Decoding is strict, so a hostile document is refused, not trusted.

An AddressRange is "0xLOW-0xHIGH", a tuple an array, an enum its value; a field equal to its default is left out, a field that is
not known is passed over. Integers beyond 2**53 are hex strings, for readers that keep numbers as doubles.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from tinspect.errors import FormatError
from tinspect.model.address import ADDRESS_LIMIT, AddressRange

Value = TypeVar("Value")

_EXACT = 1 << 53
_RANGE = re.compile(r"0x([0-9a-f]{1,17})-0x([0-9a-f]{1,17})")
_HEX = re.compile(r"-?0x[0-9a-f]{1,16}")


def encode(value: object) -> Any:
    """``value`` as what json.dumps() takes."""
    if isinstance(value, AddressRange):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else hex(value)
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != field.default
        }
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def decode(kind: type[Value], data: object) -> Value:
    """The value of type ``kind`` that ``data`` (from json.loads) describes. Raises FormatError when it does not."""
    return typing.cast(Value, _decode(kind, data))


def _decode(kind: Any, data: Any) -> Any:
    if kind is int:
        return _decode_integer(data)
    if kind is bool or kind is str:
        if type(data) is not kind:
            raise FormatError(f"{_shown(data)} stands where a {kind.__name__} belongs.")
        return data
    if kind is AddressRange:
        return _decode_range(data)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _decode_enum(kind, data)
    return _decode_composed(kind, data)


def _decode_composed(kind: Any, data: Any) -> Any:
    """``X | None``, ``tuple[X, ...]`` and ``tuple[X, Y]``."""
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType) and len(arguments) == 2 and arguments[1] is types.NoneType:
        return None if data is None else _decode(arguments[0], data)
    if typing.get_origin(kind) is not tuple:
        raise TypeError(f"{kind} has no JSON form here")
    if not isinstance(data, list):
        raise FormatError(f"{_shown(data)} stands where an array belongs.")
    if arguments[-1] is Ellipsis:
        return tuple(_decode(arguments[0], item) for item in data)
    if len(data) != len(arguments):
        raise FormatError(f"an array of {len(data)} where {len(arguments)} values belong.")
    return tuple(_decode(argument, item) for argument, item in zip(arguments, data, strict=True))


def _decode_integer(data: Any) -> int:
    if type(data) is int and abs(data) < ADDRESS_LIMIT:
        return data
    if isinstance(data, str) and _HEX.fullmatch(data):
        return int(data, 16)
    raise FormatError(f"{_shown(data)} stands where an integer of 64 bits belongs.")


def _decode_range(data: Any) -> AddressRange:
    match = _RANGE.fullmatch(data) if isinstance(data, str) else None
    if match is None:
        raise FormatError(f"{_shown(data)} stands where an address range belongs.")
    try:
        return AddressRange(int(match[1], 16), int(match[2], 16))
    except ValueError as error:
        raise FormatError(f"{_shown(data)} is no address range.") from error


def _decode_enum(kind: type[Enum], data: Any) -> Enum:
    try:
        return kind(data)
    except ValueError as error:
        raise FormatError(f"{_shown(data)} is no {kind.__name__}.") from error


def _decode_dataclass(kind: Any, data: Any) -> Any:
    if not isinstance(data, dict):
        raise FormatError(f"{_shown(data)} stands where a {kind.__name__} belongs.")
    hints = _hints(kind)
    known = {name: _decode(hint, data[name]) for name, hint in hints.items() if name in data}
    try:
        return kind(**known)
    except TypeError as error:
        raise FormatError(f"a {kind.__name__} of which fields are missing.") from error


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _shown(data: object) -> str:
    return repr(data)[:60] if not isinstance(data, (dict, list)) else type(data).__name__
