"""Which line of source each frame stands at, and what was inlined there. Reading line tables takes long, so only of threads that somebody
asked for by name, or that a signal stopped."""

from __future__ import annotations

from dataclasses import replace

from tinspect.model.frame import CallStack, Frame
from tinspect.symbols.protocol import Symbolizer

# A recursion stands at the same places again and again; beyond these nobody reads.
_MOST_FRAMES = 256


def analyze(call_stack: CallStack, symbols: Symbolizer) -> CallStack:
    """The call stack with file and line of its innermost frames, where debug information tells them."""
    frames = call_stack.frames
    told = tuple(_with_line(frame, symbols) for frame in frames[:_MOST_FRAMES])
    return replace(call_stack, frames=(*told, *frames[_MOST_FRAMES:]))


def _with_line(frame: Frame, symbols: Symbolizer) -> Frame:
    # A return address may lie behind the call's line, or even behind its function: the call is one byte before it.
    is_exact = frame.index == 0 or frame.is_signal_frame
    line = symbols.find_line(frame.pc if is_exact else frame.pc - 1)
    return frame if line is None else replace(frame, file=line.file, line=line.line, inlined=line.inlined)
