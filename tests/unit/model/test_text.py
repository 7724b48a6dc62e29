from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reports import HOSTILE_NAMES
from tinspect.model.text import printable


@given(st.one_of(st.text(), st.binary(), st.text(alphabet=st.characters())))
def test_nothing_that_a_terminal_obeys_is_left(text: str | bytes) -> None:
    shown = printable(text)
    assert all(unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for character in shown)
    shown.encode("utf-8")


@given(st.text())
def test_twice_is_as_once(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.binary())
def test_bytes_and_their_surrogate_form_are_shown_alike(data: bytes) -> None:
    assert printable(data) == printable(data.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names(name: str) -> None:
    assert printable(name).isprintable()


def test_ordinary_names_stay() -> None:
    for name in ("worker-1", "größe", "線程", "a b", "[kworker/0:1]", ""):
        assert printable(name) == name


def test_escapes() -> None:
    assert printable("\x1b[0m\n\t\u202e\U000e0041") == r"\x1b[0m\n\t\u202e\U000e0041"
    assert printable(b"\xff\xc3\xa4") == r"\xffä"
