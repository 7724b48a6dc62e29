"""Values to JSON and back from one description, which also gives the JSON Schema: no three lists that could drift apart.

A codec encodes a value to what json.dumps() takes, decodes what json.loads() gave (raising FormatError with the path of what is wrong,
whatever the input), and describes itself as a JSON Schema (draft 2020-12).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from tinspect.errors import FormatError
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.text import printable

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Schema: TypeAlias = dict[str, Any]
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_HEX = re.compile(r"0x[0-9a-f]{1,17}", re.ASCII)
_BYTES = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)


class Codec(Protocol[T]):
    """Encodes, decodes and describes values of one type."""

    def encode(self, value: T) -> Json:
        """The JSON form of ``value``."""
        ...

    def decode(self, data: object, path: str) -> T:
        """The value that ``data`` stands for. Raises FormatError naming ``path``."""
        ...

    def schema(self) -> Schema:
        """The JSON Schema of the form."""
        ...


@dataclass(frozen=True, slots=True)
class Scalar(Generic[T]):
    """A codec made of three functions."""

    encode: Callable[[T], Json]
    read: Callable[[object], T | None]
    description: Schema
    wanted: str

    def decode(self, data: object, path: str) -> T:
        """See Codec."""
        value = self.read(data)
        if value is None:
            raise FormatError(f"{path}: {self.wanted} was expected.")
        return value

    def schema(self) -> Schema:
        """See Codec."""
        return dict(self.description)


def _read_integer(data: object) -> int | None:
    return data if isinstance(data, int) and not isinstance(data, bool) and abs(data) <= ADDRESS_LIMIT else None


def _read_address(data: object) -> int | None:
    value = int(data, 16) if isinstance(data, str) and _HEX.fullmatch(data) else None
    return value if value is not None and value <= ADDRESS_LIMIT else None


INTEGER: Codec[int] = Scalar(int, _read_integer, {"type": "integer"}, "a whole number of at most 64 bits")
BOOLEAN: Codec[bool] = Scalar(
    bool, lambda data: data if isinstance(data, bool) else None, {"type": "boolean"}, "true or false"
)
TEXT: Codec[str] = Scalar(
    printable, lambda data: printable(data) if isinstance(data, str) else None, {"type": "string"}, "a string"
)
ADDRESS: Codec[int] = Scalar(
    hex, _read_address, {"type": "string", "pattern": "^0x[0-9a-f]{1,17}$"}, 'an address like "0x7f00"'
)
BYTES: Codec[bytes] = Scalar(
    bytes.hex,
    lambda data: bytes.fromhex(data) if isinstance(data, str) and _BYTES.fullmatch(data) else None,
    {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
    "bytes as hexadecimal digits",
)


@dataclass(frozen=True, slots=True)
class _KnownText:
    """Text of which the model keeps "" when it is not known: null in JSON."""

    def encode(self, value: str) -> Json:
        """See Codec."""
        return TEXT.encode(value) if value else None

    def decode(self, data: object, path: str) -> str:
        """See Codec."""
        return "" if data is None else TEXT.decode(data, path)

    def schema(self) -> Schema:
        """See Codec."""
        return Nullable(TEXT).schema()


KNOWN_TEXT: Codec[str] = _KnownText()


def word(kind: type[E]) -> Codec[E]:
    """A member of a StrEnum, as its word."""
    known = {member.value: member for member in kind}
    return Scalar(
        lambda value: value.value,
        lambda data: known.get(data) if isinstance(data, str) else None,
        {"enum": list(known)},
        f"one of {', '.join(known)}",
    )


@dataclass(frozen=True, slots=True)
class Nullable(Generic[T]):
    """None as null."""

    inner: Codec[T]

    def encode(self, value: T | None) -> Json:
        """See Codec."""
        return None if value is None else self.inner.encode(value)

    def decode(self, data: object, path: str) -> T | None:
        """See Codec."""
        return None if data is None else self.inner.decode(data, path)

    def schema(self) -> Schema:
        """See Codec."""
        return {"anyOf": [self.inner.schema(), {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Array(Generic[T]):
    """A tuple as a JSON array."""

    inner: Codec[T]

    def encode(self, value: tuple[T, ...]) -> Json:
        """See Codec."""
        encode = self.inner.encode
        return [encode(item) for item in value]

    def decode(self, data: object, path: str) -> tuple[T, ...]:
        """See Codec."""
        if not isinstance(data, list):
            raise FormatError(f"{path}: a list was expected.")
        return tuple(self.inner.decode(item, f"{path}[{index}]") for index, item in enumerate(data))

    def schema(self) -> Schema:
        """See Codec."""
        return {"type": "array", "items": self.inner.schema()}


@dataclass(frozen=True, slots=True)
class Member(Generic[T]):
    """One key of a JSON object. ``get`` takes it from the owner. An absent key is read as null where null is allowed."""

    name: str
    codec: Codec[Any]
    get: Callable[[T], Any]

    def decode(self, data: Mapping[str, object], path: str) -> Any:
        """The member of the object ``data``."""
        if self.name not in data and not isinstance(self.codec, Nullable):
            raise FormatError(f"{path}: {self.name!r} is missing.")
        return self.codec.decode(data.get(self.name), f"{path}.{self.name}")


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A frozen value as a JSON object. ``build`` makes it from the decoded members; unknown keys are passed over, for newer writers."""

    members: tuple[Member[T], ...]
    build: Callable[[dict[str, Any]], T]

    def encode(self, value: T) -> dict[str, Json]:
        """See Codec."""
        return {member.name: member.codec.encode(member.get(value)) for member in self.members}

    def decode(self, data: object, path: str) -> T:
        """See Codec."""
        if not isinstance(data, dict):
            raise FormatError(f"{path}: an object was expected.")
        try:
            return self.build({member.name: member.decode(data, path) for member in self.members})
        except ValueError as problem:
            raise FormatError(f"{path}: {printable(str(problem))}.") from problem

    def schema(self) -> Schema:
        """See Codec."""
        return {
            "type": "object",
            "properties": {member.name: member.codec.schema() for member in self.members},
            "required": [member.name for member in self.members],
        }


def range_members(get: Callable[[T], AddressRange | None]) -> tuple[Member[T], ...]:
    """``low``, ``high`` and ``size`` of a range that may be unknown; :func:`range_from` puts them together again."""

    def part(name: str) -> Callable[[T], int | None]:
        def get_part(value: T) -> int | None:
            found = get(value)
            return None if found is None else getattr(found, name)

        return get_part

    return (
        Member("low", Nullable(ADDRESS), part("low")),
        Member("high", Nullable(ADDRESS), part("high")),
        Member("size", Nullable(INTEGER), part("size")),
    )


def range_from(values: Mapping[str, Any]) -> AddressRange | None:
    """The range that :func:`range_members` wrote. Raises ValueError when its parts do not fit each other."""
    low, high, size = (values[name] for name in ("low", "high", "size"))
    if low is None and high is None:
        return None
    if low is None or high is None:
        raise ValueError("half a range")
    if size is not None and size != high - low:
        raise ValueError(f"a size of {size} for {high - low} bytes")
    return AddressRange(low, high)


def members(**codecs: Codec[Any]) -> tuple[Member[Any], ...]:
    """Members that are attributes of their owner, under the same name."""
    return tuple(Member(name, codec, attrgetter(name)) for name, codec in codecs.items())


def plain(owner: Callable[..., T], **codecs: Codec[Any]) -> Record[T]:
    """A record whose keys are the field names of the dataclass ``owner``."""
    return Record(members(**codecs), lambda values: owner(**values))


def ranged(owner: Callable[..., T], optional: bool = False, **codecs: Codec[Any]) -> Record[T]:
    """Like :func:`plain`, for a dataclass that has a ``range`` as well, written flat; ``optional`` when it may be None."""

    def build(values: dict[str, Any]) -> T:
        found = range_from(values)
        if found is None and not optional:
            raise ValueError("no range")
        return owner(range=found, **{name: values[name] for name in codecs})

    return Record((*range_members(attrgetter("range")), *members(**codecs)), build)
