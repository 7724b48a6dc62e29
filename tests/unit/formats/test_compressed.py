"""What the compressors themselves wrote must come back, whole or cut at any place."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard

from tinspect.errors import FormatError, UnsupportedTarget
from tinspect.formats.compressed import HEAD_SIZE, decompressed, find_compression

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "lz4": lz4.frame.compress,
}
CONTENT = bytes(3 << 20) + b"tinspect" * 4096 + bytes(range(256)) * 999 + b"end"


@pytest.mark.parametrize("kind", COMPRESS)
def test_what_was_compressed_comes_back_also_when_joined(kind: str) -> None:
    data = COMPRESS[kind](CONTENT)
    assert find_compression(data[:HEAD_SIZE]) == kind
    assert b"".join(decompressed(io.BytesIO(data), kind)) == CONTENT
    twice = data + COMPRESS[kind](b"second")
    assert b"".join(decompressed(io.BytesIO(twice), kind)) == CONTENT + b"second"


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("kept", [HEAD_SIZE, 20, 200, -1])
def test_a_cut_file_gives_its_beginning_and_says_so(kind: str, kept: int) -> None:
    pieces: list[bytes] = []
    with pytest.raises(FormatError, match=kind):
        pieces.extend(decompressed(io.BytesIO(COMPRESS[kind](CONTENT)[:kept]), kind))
    assert CONTENT.startswith(b"".join(pieces))


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_bomb_comes_in_bounded_pieces(kind: str) -> None:
    data = COMPRESS[kind](bytes(64 << 20))
    total = 0
    for piece in decompressed(io.BytesIO(data), kind):
        assert len(piece) <= 128 << 20
        total += len(piece)
    assert total == 64 << 20


@pytest.mark.parametrize(("kind", "module"), [("zstd", "zstandard"), ("lz4", "lz4.frame")])
def test_a_missing_library_is_named(kind: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnsupportedTarget, match="pip install"):
        next(decompressed(io.BytesIO(COMPRESS[kind](b"x")), kind))


def test_what_is_not_compressed_is_left_alone() -> None:
    assert find_compression(b"\x7fELF\x02\x01") is None
    assert find_compression(b"") is None
