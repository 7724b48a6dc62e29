"""Which frames of a deep stack get lines of source."""

from __future__ import annotations

import pytest

from tinspect.analyses import source_lines
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.symbols.protocol import SourceLine


class Lines:
    """Every address has a line."""

    def find_line(self, address: int) -> SourceLine | None:
        return SourceLine("a.c", address)


@pytest.mark.parametrize(("count", "told"), [(0, 0), (5, 5), (256, 256), (270, 270), (288, 288), (1000, 288)])
def test_both_ends_of_a_recursion_have_lines(count: int, told: int) -> None:
    frames = tuple(Frame(index, 100 + index, 0x7000 + index, None, FrameSource.CFI) for index in range(count))
    found = source_lines.analyze(CallStack(1, frames), Lines()).frames  # type: ignore[arg-type]
    assert [frame.pc for frame in found] == [frame.pc for frame in frames]
    assert sum(frame.line is not None for frame in found) == told
    assert not count or None not in (found[0].line, found[-1].line)
