from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings, strategies

from tinspect.errors import FormatError
from tinspect.formats.dwarf_expression import ExpressionContext, Location, LocationKind, evaluate

MEMORY = {0x1000: 0x1122334455667788}
CONTEXT = ExpressionContext(
    registers={6: 0x2000, 7: 0x1000, 40: 9},
    read=lambda address, size: MEMORY[address] & ((1 << 8 * size) - 1) if address in MEMORY else None,
    cfa=0x3000,
    frame_base=0x2F00,
    load_bias=0x400000,
    addresses={1: 0x10}.get,
)
M = (1 << 64) - 1


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("35", 5),
        ("7708", 0x1008),
        ("767f", 0x1FFF),
        ("92280a", 19),
        ("770006", 0x1122334455667788),
        ("77009402", 0x7788),
        ("9c3808 001c1c".replace(" ", ""), 0x3000 - 8),
        ("9170", 0x2EF0),
        ("03" + struct.pack("<Q", 0x20).hex(), 0x400020),
        ("a101", 0x400010),
        ("a201", 0x10),
        ("08ff", 255),
        ("09ff", M),
        ("0bfeff", M - 1),
        ("11 7f".replace(" ", ""), M),
        ("323312", 3),
        ("32333412", 4),
        ("323314", 2),
        ("32331502", None),
        ("32331501", 2),
        ("323316", 2),
        ("32333417", 3),
        ("3233341313", 2),
        ("09fb19", 5),
        ("33351a", 1),
        ("3832 1b".replace(" ", ""), 4),
        ("09f8321b", M - 3),
        ("38331d", 2),
        ("38331e", 24),
        ("351f", M - 4),
        ("3020", M),
        ("383321", 11),
        ("3823808001", 8 + 0x4000),
        ("313824", 256),
        ("38 31 25".replace(" ", ""), 4),
        ("09f83126", M - 3),
        ("383327", 11),
        ("323229", 1),
        ("09ff302d", 1),
        ("09ff302b", 0),
        ("3130280100353a", 10),
        ("3131280100353a", 10),
        ("2f0100353a", 10),
        ("96 35".replace(" ", ""), 5),
    ],
)
def test_values(code: str, value: int | None) -> None:
    if value is None:
        with pytest.raises(FormatError):
            evaluate(bytes.fromhex(code), CONTEXT)
        return
    location = evaluate(bytes.fromhex(code), CONTEXT)
    assert location == Location(LocationKind.MEMORY, value)


def test_kinds() -> None:
    assert evaluate(b"\x56", CONTEXT) == Location(LocationKind.REGISTER, 6)
    assert evaluate(b"\x90\x28", CONTEXT) == Location(LocationKind.REGISTER, 40)
    assert evaluate(b"\x35\x9f", CONTEXT) == Location(LocationKind.VALUE, 5)
    assert evaluate(b"\x0e" + bytes(8) + b"\xe0", CONTEXT) == Location(LocationKind.TLS, 0)


@pytest.mark.parametrize("code", ["70", "300006", "93", "f3", "a105", "3006"])
def test_what_cannot_be_known_is_none(code: str) -> None:
    assert evaluate(bytes.fromhex(code), CONTEXT) is None


@pytest.mark.parametrize("code", ["2ffdff", "06", "30" * 300, "31301b", "28", "2f7f7f", "08", "13", ""])
def test_damaged_expressions_are_refused(code: str) -> None:
    with pytest.raises(FormatError):
        evaluate(bytes.fromhex(code), CONTEXT)


@settings(max_examples=500, deadline=None)
@given(strategies.binary(max_size=60))
def test_any_expression_ends(code: bytes) -> None:
    with contextlib.suppress(FormatError):
        location = evaluate(code, CONTEXT)
        assert location is None or 0 <= location.value <= M
