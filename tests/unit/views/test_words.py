from __future__ import annotations

import pytest

from tinspect.views.words import address_words, duration_words, function_words, size_words, tid_list_words, tids_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"), (96, "96 B"), (-120, "-120 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (135168, "132 KiB"),
        (8 << 20, "8 MiB"), ((8 << 20) - 4096, "8.0 MiB"), (10_000_000, "9.5 MiB"), (1 << 40, "1 TiB"), ((1 << 20) - 1, "1.0 MiB"),
        (-8 << 20, "-8 MiB"), ((1 << 64) - 1, "16 EiB"), (1_048_064, "1.0 MiB"),
    ],
)  # fmt: skip
def test_sizes(size: int, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0, "0x000000000000"), (0x400000, "0x000000400000"), (0x7F12_3456_789A, "0x7f123456789a"),
        (0xFFFF_8000_0000_0000, "0xffff800000000000"), (1 << 64, "0x10000000000000000"),
    ],
)  # fmt: skip
def test_addresses(address: int, words: str) -> None:
    assert address_words(address) == words


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (812, "812 µs"), (4200, "4.2 ms"), (1_300_000, "1.3 s"), (125_000_000, "2 min 5 s"), (11_520_000_000, "3 h 12 min"),
    ],
)  # fmt: skip
def test_durations(microseconds: int, words: str) -> None:
    assert duration_words(microseconds) == words


def test_tids() -> None:
    assert tids_words(()) == ""
    assert tids_words((7,)) == "7"
    assert tids_words((3, 1, 2)) == "1–3"
    assert tids_words((1, 3)) == "1…3"
    assert tid_list_words(range(1, 9)) == "1, 2, 3, 4, 5, 6 and 2 more"


def test_functions() -> None:
    assert function_words("main") == "main"
    assert function_words("main", 0) == "main"
    assert function_words("main", 18) == "main+0x12"
    assert function_words(None, 18) == "?"
