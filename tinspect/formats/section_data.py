"""Bytes out of sections: compressed sections and strings, within bounds."""

from __future__ import annotations

import struct
import zlib

from tinspect.errors import FormatError
from tinspect.formats.elf_constants import ELFCOMPRESS_ZLIB

_COMPRESSION_HEADER = struct.Struct("<IIQQ")
_DECOMPRESSED_LIMIT = 1 << 30
_STRING_LIMIT = 1 << 16


def decompress_section(data: memoryview) -> memoryview:
    """What an SHF_COMPRESSED section holds (Elf64_Chdr, zlib). Raises FormatError: damaged, zstd, or over 1 GiB."""
    if len(data) < _COMPRESSION_HEADER.size:
        raise FormatError("a compressed section shorter than its header.")
    kind, _, size, _ = _COMPRESSION_HEADER.unpack_from(data)
    if kind != ELFCOMPRESS_ZLIB:
        raise FormatError(f"a section compressed in a way tinspect does not read ({kind}).")
    # zlib shrinks by at most 1032:1 (zlib.net/zlib_tech.html); a header that claims more lies.
    if size > min(_DECOMPRESSED_LIMIT, 1032 * len(data)):
        raise FormatError(f"a compressed section that claims {size} bytes.")
    try:
        result = zlib.decompressobj().decompress(data[_COMPRESSION_HEADER.size :], size)
    except zlib.error as error:
        raise FormatError(f"a damaged compressed section: {error}.") from error
    return memoryview(result)


def read_bytes_string(table: memoryview, offset: int, limit: int = _STRING_LIMIT) -> bytes:
    """The bytes of a string table from ``offset`` up to the next NUL, at most ``limit``; empty when ``offset`` lies outside."""
    step = 128
    while True:
        chunk = bytes(table[offset : offset + min(step, limit)])
        end = chunk.find(b"\0")
        if end >= 0:
            return chunk[:end]
        if step >= limit or len(chunk) < step:
            return chunk
        step *= 8


def read_string(table: memoryview, offset: int, limit: int = _STRING_LIMIT) -> str:
    """The same as text; bytes that are no UTF-8 are shown as escapes."""
    return read_bytes_string(table, offset, limit).decode("utf-8", "backslashreplace")
