"""Where an image says its debug information is: .gnu_debuglink (a file name and a CRC) and .gnu_debugdata (MiniDebugInfo)."""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass

from tinspect.formats.elf import ElfImage

_MINI_LIMIT = 256 << 20
_LZMA_MEMORY = 128 << 20


@dataclass(frozen=True, slots=True)
class DebugLink:
    """A separate debug file: its plain name, and the CRC-32 of its bytes."""

    name: str
    checksum: int

    def matches(self, data: bytes | memoryview) -> bool:
        """Whether ``data`` is the file that is meant."""
        return zlib.crc32(data) == self.checksum


def parse_debug_link(image: ElfImage) -> DebugLink | None:
    """The content of .gnu_debuglink; None when there is none, or when its name is not a plain file name."""
    data = image.find_section_data(".gnu_debuglink")
    if data is None or not 8 <= len(data) <= 4096:
        return None
    name = bytes(data[:-4]).split(b"\0")[0].decode("utf-8", "replace")
    if not name or "/" in name or name in (".", ".."):
        return None
    return DebugLink(name, int.from_bytes(data[-4:], "little"))


def parse_debug_data(image: ElfImage) -> bytes | None:
    """The ELF file that .gnu_debugdata holds, decompressed (xz); None when there is none, or when it is damaged or over 256 MiB."""
    data = image.find_section_data(".gnu_debugdata")
    if data is None:
        return None
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY)
        result = decompressor.decompress(bytes(data), _MINI_LIMIT)
    except (lzma.LZMAError, EOFError):
        return None
    return result if decompressor.eof else None
