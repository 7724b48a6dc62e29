"""Floating-point and vector registers as a core's notes hold them, from what ptrace(2) gives.

An XSAVE area (Intel SDM, volume 1, chapter 13) begins with the FXSAVE area and a header; where the other components lie is the processor's
choice. Debuggers know Intel's places and look nowhere else, so an area of another processor is laid out anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tinspect.formats.core_headers import pack_note
from tinspect.formats.core_notes import NoteType

Layout = Mapping[int, tuple[int, int]]
"""By number of the component: offset and size in bytes."""

# In the FXSAVE area's last bytes the kernel tells which components the system has enabled (struct _fpx_sw_bytes of asm/sigcontext.h, and
# ptrace(2) alike); in NT_PRFPREG they are zero. The header begins with the mask of those that are in use.
_ENABLED, _FXSAVE_SIZE, _IN_USE, _HEADER_END = 464, 512, 512, 576
# AVX, MPX (2), AVX-512 (3), PKRU, AMX (2).
_INTEL: Layout = {
    2: (576, 256),
    3: (960, 64),
    4: (1024, 64),
    5: (1088, 64),
    6: (1152, 512),
    7: (1664, 1024),
    9: (2688, 8),
    17: (2752, 64),
    18: (2816, 8192),
}
_LEGACY = 3  # x87 and SSE, which the FXSAVE area holds


def pack_vector_notes(state: bytes, layout: Layout | None) -> bytes:
    """NT_PRFPREG, and NT_X86_XSTATE where ``state`` is an XSAVE area: ``layout`` is then that of the processor, else None."""
    return b"".join(_vector_notes(state, layout))


def _vector_notes(state: bytes, layout: Layout | None) -> Iterator[bytes]:
    if layout is None:
        yield pack_note(b"CORE", NoteType.PRFPREG, state)
        return
    yield pack_note(b"CORE", NoteType.PRFPREG, state[:_ENABLED] + bytes(_FXSAVE_SIZE - _ENABLED))
    # A processor without XSAVE has the FXSAVE area alone.
    if len(state) >= _HEADER_END:
        yield pack_note(b"LINUX", NoteType.X86_XSTATE, _laid_out(state, layout))


def _laid_out(state: bytes, layout: Layout) -> bytes:
    """``state`` with its components where Intel's processors have them. Those that no such processor has are left out."""
    enabled = _mask(state, _ENABLED)
    held = {number: place for number, place in layout.items() if enabled >> number & 1}
    if all(_INTEL.get(number, place) == place for number, place in held.items()):
        return state
    known = {
        number: _INTEL[number]
        for number, (offset, size) in held.items()
        if number in _INTEL and _INTEL[number][1] == size and offset + size <= len(state)
    }
    kept = _LEGACY | sum(1 << number for number in known)
    result = bytearray(max((offset + size for offset, size in known.values()), default=_HEADER_END))
    result[:_HEADER_END] = state[:_HEADER_END]
    for position in (_ENABLED, _IN_USE):
        result[position : position + 8] = (_mask(state, position) & kept).to_bytes(8, "little")
    for number, (offset, size) in known.items():
        start = held[number][0]
        result[offset : offset + size] = state[start : start + size]
    return bytes(result)


def _mask(state: bytes, position: int) -> int:
    return int.from_bytes(state[position : position + 8], "little")
