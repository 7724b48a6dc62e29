"""Bytes out of sections: compressed sections and strings, within bounds."""

from __future__ import annotations

import struct
import zlib

from tinspect.errors import FormatError
from tinspect.formats.elf_constants import ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD

_COMPRESSION_HEADER = struct.Struct("<IIQQ")
_DECOMPRESSED_LIMIT = 1 << 30
_ZSTD_WINDOW = 128 << 20
_STRING_LIMIT = 1 << 16


def decompress_section(data: memoryview) -> memoryview:
    """What an SHF_COMPRESSED section holds (Elf64_Chdr). Raises FormatError: damaged, over 1 GiB, zstd without the library."""
    if len(data) < _COMPRESSION_HEADER.size:
        raise FormatError("a compressed section shorter than its header.")
    kind, _, size, _ = _COMPRESSION_HEADER.unpack_from(data)
    # Deflate shrinks by at most 1032:1 (zlib.net/zlib_tech.html), zstd by some 32,000:1; a header that claims more lies.
    ratio, inflate = {ELFCOMPRESS_ZLIB: (1032, _inflate), ELFCOMPRESS_ZSTD: (32_000, _inflate_zstd)}.get(
        kind, (0, _inflate)
    )
    if size > min(_DECOMPRESSED_LIMIT, ratio * len(data)):
        raise FormatError(f"a compressed section of kind {kind} that claims {size} bytes.")
    content = inflate(data[_COMPRESSION_HEADER.size :], size)
    if len(content) != size:
        raise FormatError("a compressed section that ends too early.")
    return memoryview(content)


def _inflate(data: memoryview, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size) if size else b""
    except zlib.error as error:
        raise FormatError(f"a damaged compressed section: {error}.") from error


def _inflate_zstd(data: memoryview, size: int) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise FormatError("a section compressed with zstd.", "Install zstandard to read it.") from None
    try:
        # The frame's own claim decides how much is set aside: it must be no more than the section's.
        if zstandard.frame_content_size(data) > size:
            raise FormatError("a zstd section that claims two sizes.")
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        return bytes(decompressor.decompress(data, max_output_size=size)) if size else b""
    except zstandard.ZstdError as error:
        raise FormatError(f"a damaged compressed section: {error}.") from error


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
