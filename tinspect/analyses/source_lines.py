"""Which line of source each frame stands at, and what was inlined there. Reading line tables takes long, so only of threads that somebody
asked for by name, or that a signal stopped."""

from __future__ import annotations

from dataclasses import replace

from tinspect.model.frame import CallStack, Frame
from tinspect.symbols.protocol import Symbolizer

# A recursion stands at the same places again and again; between its two ends nobody reads.
_INNERMOST, _OUTERMOST = 256, 32


def analyze(call_stack: CallStack, symbols: Symbolizer) -> CallStack:
    """The call stack with file and line of its innermost and outermost frames, where debug information tells them."""
    frames = call_stack.frames
    end = max(len(frames) - _OUTERMOST, _INNERMOST)
    told = [_with_line(frame, symbols) for frame in (*frames[:_INNERMOST], *frames[end:])]
    return replace(call_stack, frames=(*told[:_INNERMOST], *frames[_INNERMOST:end], *told[_INNERMOST:]))


def _with_line(frame: Frame, symbols: Symbolizer) -> Frame:
    # A return address may lie behind the call's line, or even behind its function: the call is one byte before it.
    is_exact = frame.index == 0 or frame.is_signal_frame
    line = symbols.find_line(frame.pc if is_exact else frame.pc - 1)
    return frame if line is None else replace(frame, file=line.file, line=line.line, inlined=line.inlined)
