"""Compressed files, recognised by their first bytes and read as a stream of bounded pieces (gzip, xz, zstd, lz4)."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from tinspect.errors import FormatError, UnsupportedTarget

PIECE: Final = 1 << 20
HEAD_SIZE: Final = 6
# A hostile header may ask for a window of gigabytes; the strongest presets of xz and zstd need 64 and 128 MiB.
_WINDOW_LIMIT = 256 << 20
_ZSTD_BITE = 2048
_GZIP_ONLY = 16 + zlib.MAX_WBITS

_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)


class ReadableStream(Protocol):
    """A file or pipe that gives bytes from its start to its end."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; b"" at the end."""
        ...


class _Decoder(Protocol):
    """One compression, its units (members, streams, frames) read one after the other, as cat(1) would join them."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def ended(self) -> bool: ...


def find_compression(head: bytes) -> str | None:
    """ "gzip", "xz", "zstd" or "lz4" by the first bytes of a file; None for anything else."""
    return next((name for magic, name in _MAGICS if head.startswith(magic)), None)


def decompressed(stream: ReadableStream, kind: str) -> Iterator[bytes]:
    """The content of ``stream`` in bounded pieces. Raises FormatError when it is damaged or ends early, after all that came
    before was given; UnsupportedTarget when the library for ``kind`` is not installed."""
    decoder = _make_decoder(kind)
    while data := stream.read(PIECE):
        try:
            yield from decoder.feed(data)
        except OSError:
            raise
        except Exception as error:  # zlib.error, LZMAError, ZstdError and RuntimeError share no other base
            raise FormatError(f"the {kind} data is damaged: {error}.") from error
    if not decoder.ended:
        raise FormatError(f"the {kind} data ends too early.")


def _make_decoder(kind: str) -> _Decoder:
    if kind == "gzip":
        return _Gzip()
    if kind == "xz":
        return _Units(lambda: lzma.LZMADecompressor(memlimit=_WINDOW_LIMIT))
    try:
        if kind == "lz4":
            import lz4.frame

            return _Units(lz4.frame.LZ4FrameDecompressor)
        import zstandard
    except ImportError:
        raise _missing(kind, "lz4" if kind == "lz4" else "zstandard") from None
    return _Zstd(zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT).decompressobj)


class _Gzip:
    """zlib keeps what it could not give yet in unconsumed_tail."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_ONLY)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds, in pieces."""
        while data:
            if self._member.eof:
                data = data.lstrip(b"\0")
                self._member = zlib.decompressobj(_GZIP_ONLY) if data else self._member
                continue
            yield self._member.decompress(data, PIECE)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    @property
    def ended(self) -> bool:
        """Whether the last member is complete."""
        return self._member.eof


class _Units:
    """Decoders that keep their input themselves: lzma's, and lz4's after its example."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._unit = make()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds, in pieces."""
        while True:
            if self._unit.eof:
                data = ((self._unit.unused_data or b"") + data).lstrip(b"\0")
                if not data:
                    return
                self._unit = self._make()
            piece = self._unit.decompress(data, PIECE)
            yield piece
            data = b""
            if not self._unit.eof and (self._unit.needs_input or not piece):
                return

    @property
    def ended(self) -> bool:
        """Whether the last unit is complete."""
        return bool(self._unit.eof)


class _Zstd:
    """zstandard's object gives all that its input holds, which may be 32,000 times as much: so it gets little at a time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._frame = make()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds, in pieces."""
        for start in range(0, len(data), _ZSTD_BITE):
            bite = data[start : start + _ZSTD_BITE]
            while bite:
                if self._frame.eof:
                    self._frame = self._make()
                yield self._frame.decompress(bite)
                bite = self._frame.unused_data if self._frame.eof else b""

    @property
    def ended(self) -> bool:
        """Whether the last frame is complete."""
        return bool(self._frame.eof)


def _missing(kind: str, package: str) -> UnsupportedTarget:
    return UnsupportedTarget(
        f"The file is compressed with {kind}, and the Python package {package} is not installed.",
        f"Install it with: pip install {package}, or unpack the file first with the {kind} command.",
    )
