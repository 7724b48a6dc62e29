"""Gadgets are found where they are, and nowhere else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinspect.formats.gadgets import find_gadgets

PARTS = {
    "syscall_return": b"\x0f\x05\xc3",
    "pop_rdi_return": b"\x5f\xc3",
    "pop_rsi_return": b"\x5e\xc3",
    "pop_rax_return": b"\x58\xc3",
    "return_far": b"\xc2\xb8\x00",
    "signal_return": b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05",
}


@given(st.permutations(list(PARTS)), st.lists(st.binary(max_size=9), min_size=6, max_size=6), st.integers(0, 2**47))
def test_what_is_found_is_there(order: list[str], filling: list[bytes], base: int) -> None:
    text = b"".join(PARTS[name] + fill for name, fill in zip(order, filling, strict=True))
    gadgets = find_gadgets(text, base)
    assert gadgets
    for name, address in gadgets._asdict().items():
        seen = text[address - base :]
        if name == "return_far":
            dropped = int.from_bytes(seen[1:3], "little")
            assert seen[0] == 0xC2
            assert 128 <= dropped <= 184
            assert dropped % 8 == 0
        else:
            assert seen.startswith(PARTS[name])


def test_without_one_of_them_there_are_none() -> None:
    for missing in PARTS:
        text = b"\x90".join(part for name, part in PARTS.items() if name != missing)
        assert find_gadgets(text, 0x1000) is None, missing


def test_the_far_return_that_drops_least_is_taken() -> None:
    others = b"\x90".join(part for name, part in PARTS.items() if name != "return_far")
    text = others + b"\xc2\x78\x00" + b"\xc2\x00\x02" + b"\xc2\xa6\x00" + b"\xc2\x90\x00" + b"\xc2\xff\xff"
    gadgets = find_gadgets(text, 0)
    assert gadgets
    assert text[gadgets.return_far :][:3] == b"\xc2\x90\x00"
    assert find_gadgets(others + b"\xc2\x00\x20" + b"\xc2\xa6\x00", 0) is None
