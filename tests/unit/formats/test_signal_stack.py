"""stack_t by the flags and the range it holds, sound or damaged."""

from __future__ import annotations

import pytest

from tinspect.errors import FormatError
from tinspect.formats.signal_stack import SS_AUTODISARM, SS_DISABLE, STACK_T, parse_stack_t
from tinspect.model.address import AddressRange
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack, SignalStackState

LOW, SIZE = 0x7000, 0x2000


@pytest.mark.parametrize(
    ("flags", "sp", "state", "names"),
    [
        (0, None, SignalStackState.ENABLED, ()),
        (0, LOW + 8, SignalStackState.ONSTACK, ("SS_ONSTACK",)),
        (0, LOW + SIZE, SignalStackState.ENABLED, ()),
        (SS_AUTODISARM, None, SignalStackState.ENABLED, ("SS_AUTODISARM",)),
    ],
)
def test_a_stack_that_is_there(flags: int, sp: int | None, state: SignalStackState, names: tuple[str, ...]) -> None:
    found = parse_stack_t(STACK_T.pack(LOW, flags, SIZE), sp, Source.SIGFRAME)
    assert found == SignalStack(state, AddressRange.sized(LOW, SIZE), names, Source.SIGFRAME)


@pytest.mark.parametrize(
    ("low", "flags", "size", "state"),
    [
        (0, SS_DISABLE, 0, SignalStackState.DISABLED),
        (LOW, SS_DISABLE, SIZE, SignalStackState.DISABLED),
        (LOW, 0, 0, SignalStackState.DISABLED),
        (LOW, 0, 2**64 - LOW + 1, SignalStackState.UNKNOWN),
    ],
)
def test_no_stack_and_none_that_can_be(low: int, flags: int, size: int, state: SignalStackState) -> None:
    found = parse_stack_t(STACK_T.pack(low, flags, size), LOW, Source.SIGFRAME)
    assert (found.state, found.range) == (state, None)


def test_a_stack_t_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(FormatError):
        parse_stack_t(bytes(STACK_T.size - 1), None, Source.SIGFRAME)
