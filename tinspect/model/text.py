"""Text from the target made inert: thread names, symbols and paths may hold anything at all."""

from __future__ import annotations

_SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def printable(text: bytes | str) -> str:
    """``text`` with everything a terminal, a log or a web page might obey written as an escape.

    Bytes are read as UTF-8; what is not UTF-8 becomes ``\\xNN``, and so do the lone surrogates of os.fsdecode(). Control characters,
    bidirectional overrides, zero-width and other format characters, line separators, and private or unassigned code points become
    ``\\n``, ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``. Nothing else changes, so applying it twice gives the same as once.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte itself (PEP 383)
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
