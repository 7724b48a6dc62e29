"""Call frames of one thread, innermost first."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tinspect.model.address import AddressRange


class FrameSource(StrEnum):
    """How a frame was found. The last two are guesses and are shown as such."""

    REGISTERS = "registers"  # the innermost frame: the thread's own registers
    CFI = "cfi"  # .eh_frame or .debug_frame of the frame below
    SIGFRAME = "sigframe"  # restored from a signal frame
    FRAME_POINTER = "frame_pointer"
    STACK_SCAN = "stack_scan"


@dataclass(frozen=True, slots=True)
class Frame:
    """One call frame. Its stack extent is [``sp``, ``cfa``): ``cfa`` is the canonical frame address (DWARF 6.4), None when unknown.

    ``pc`` is the address that will run next in this frame (a return address for all but the innermost and signal frames);
    ``function``/``offset`` name it; ``is_signal_frame`` is True for the trampoline frame the kernel built.
    """

    index: int
    pc: int
    sp: int
    cfa: int | None
    source: FrameSource
    function: str | None = None
    offset: int | None = None
    module: str | None = None
    file: str | None = None
    line: int | None = None
    is_signal_frame: bool = False
    inlined: tuple[str, ...] = ()

    @property
    def extent(self) -> AddressRange | None:
        """The stack bytes that belong to this frame, or None when its CFA is unknown."""
        return AddressRange(self.sp, self.cfa) if self.cfa is not None and self.cfa >= self.sp else None


@dataclass(frozen=True, slots=True)
class CallStack:
    """The frames of one thread, innermost first. ``ended`` says why there are no more ("end of stack", a cause of failure).

    ``outermost`` are the (name, value) of the registers in the outermost frame: what the thread was born with, if it was unwound so far;
    they serve the analyses and are no part of the report.
    """

    tid: int
    frames: tuple[Frame, ...]
    ended: str = ""
    complete: bool = True
    outermost: tuple[tuple[str, int], ...] = field(default=(), compare=False)
