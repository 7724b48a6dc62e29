"""Writing files whose zeros cost no disk: blocks of zeros become holes."""

from __future__ import annotations

import os
from typing import BinaryIO, Final

_BLOCK: Final = 4096
_ZEROS: Final = bytes(_BLOCK)


def write_sparse(stream: BinaryIO, data: bytes | memoryview) -> None:
    """Writes ``data`` at the stream's position and seeks over its blocks of zeros. After the last call: end_sparse()."""
    view = memoryview(data)
    written = 0
    position = stream.tell()
    start = 0
    while start < len(view):
        # Blocks of the file, not of the data: only those can become holes.
        end = min(start + _BLOCK - (position + start) % _BLOCK, len(view))
        if view[start:end] == _ZEROS[: end - start]:
            if written < start:
                stream.write(view[written:start])
            stream.seek(end - start, os.SEEK_CUR)
            written = end
        start = end
    if written < len(view):
        stream.write(view[written:])


def end_sparse(stream: BinaryIO) -> None:
    """Gives the file its length, which a hole at its end did not."""
    stream.flush()
    stream.truncate(stream.tell())
