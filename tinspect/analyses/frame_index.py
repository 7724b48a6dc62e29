"""Which call frame of a thread holds an address of its stack."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from tinspect.model.frame import CallStack, Frame


class FrameIndex:
    """The frames of all threads by address. Each thread's are sorted when it is first asked about."""

    def __init__(self, call_stacks: Mapping[int, CallStack]) -> None:
        self._call_stacks = call_stacks
        self._sorted: dict[int, tuple[list[int], list[Frame]]] = {}

    def find(self, tid: int | None, address: int) -> Frame | None:
        """The frame of thread ``tid`` whose extent [sp, CFA) holds ``address``, or None."""
        if tid is None or tid not in self._call_stacks:
            return None
        if tid not in self._sorted:
            frames = sorted(
                (f for f in self._call_stacks[tid].frames if f.cfa is not None and f.cfa >= f.sp), key=_frame_sp
            )
            self._sorted[tid] = [frame.sp for frame in frames], frames
        lows, frames = self._sorted[tid]
        index = bisect_right(lows, address) - 1
        if index < 0:
            return None
        cfa = frames[index].cfa
        return frames[index] if cfa is not None and address < cfa else None


def _frame_sp(frame: Frame) -> int:
    return frame.sp
