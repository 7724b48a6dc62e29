"""A file as bytes by offset: mapped, never read whole, holes known. Compressed files and pipes go through an unnamed file first."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tinspect.backends.sparse_file import end_sparse, write_sparse
from tinspect.errors import FormatError, TargetNotFound, TargetRefused, TinspectError
from tinspect.formats.compressed import HEAD_SIZE, PIECE, ReadableStream, decompressed, find_compression

# Below this size a read is taken from the mapping without asking for holes.
_HOLE_STEP: Final = 1 << 13


class MappedFile:
    """A read-only file in memory only as far as it is looked at.

    ``size`` is in bytes. ``trouble`` says why the file holds less than it should ("" when it is whole).
    """

    def __init__(self, descriptor: int, name: str, trouble: str = "") -> None:
        """Takes over ``descriptor``. Raises FormatError for an empty file."""
        self.name = name
        self.trouble = trouble
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._runs: tuple[list[int], list[int]] | None = None
        if not self.size:
            os.close(descriptor)
            raise FormatError(f"{name} is empty.")
        self._map = mmap.mmap(descriptor, self.size, access=mmap.ACCESS_READ)
        self.view = memoryview(self._map)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``; the caller keeps within ``self.size``. A hole costs neither input nor page cache."""
        if size < _HOLE_STEP:
            return self._map[offset : offset + size]
        runs = list(self._data_between(offset, offset + size))
        if not runs:
            return bytes(size)
        pieces: list[bytes] = []
        position = offset
        for low, high in runs:
            pieces += (bytes(low - position), self._map[low:high])
            position = high
        return b"".join((*pieces, bytes(offset + size - position)))

    def _data_between(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The parts of [low, high) that are no holes."""
        starts, ends = self._data_runs()
        for index in range(max(bisect_right(starts, low) - 1, 0), len(starts)):
            if starts[index] >= high:
                return
            if ends[index] > low:
                yield max(starts[index], low), min(ends[index], high)

    def _data_runs(self) -> tuple[list[int], list[int]]:
        """Where the file has data (lseek(2) SEEK_DATA); the whole file where the file system cannot tell."""
        if self._runs is None:
            starts: list[int] = []
            ends: list[int] = []
            end = 0
            try:
                while end < self.size:
                    starts.append(os.lseek(self._descriptor, end, os.SEEK_DATA))
                    end = os.lseek(self._descriptor, starts[-1], os.SEEK_HOLE)
                    ends.append(end)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole up to the end
                    starts, ends = [0], [self.size]
            self._runs = starts, ends
        return self._runs

    def close(self) -> None:
        """Lets go of the file. Views handed out keep the mapping alive until they go."""
        os.close(self._descriptor)
        try:
            self.view.release()
            self._map.close()
        except BufferError:
            return  # somebody still looks at a slice: the mapping ends with it


def open_mapped(path: Path) -> MappedFile:
    """The file at ``path``, unpacked when it is compressed. Raises TargetNotFound, TargetRefused, FormatError, UnsupportedTarget."""
    try:
        with path.open("rb") as stream:
            return map_stream(stream, str(path))
    except OSError as error:
        raise _open_error(path, error) from error


def _open_error(path: Path, error: OSError) -> TinspectError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return TargetNotFound(f"There is no file {path}.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return TargetRefused(f"{path} may not be read by this user.", "Run as its owner, or as root.")
    if error.errno == errno.ENOSPC:
        return TargetRefused(
            f"{path} does not fit unpacked into {tempfile.gettempdir()}.", "Point TMPDIR to a larger disk."
        )
    return TargetNotFound(f"{path} cannot be read: {error.strerror or error}.")


def map_stream(stream: BinaryIO, name: str) -> MappedFile:
    """An open file or pipe. What is compressed, or cannot be mapped, is first written to an unnamed file in the temporary folder."""
    head, regular = _head(stream)
    kind = find_compression(head)
    if kind is None and regular:
        return MappedFile(os.dup(stream.fileno()), name)
    source: ReadableStream = stream if regular else _Rejoined(head, stream)
    pieces = decompressed(source, kind) if kind else iter(lambda: source.read(PIECE), b"")
    return _spooled(pieces, name)


def _head(stream: BinaryIO) -> tuple[bytes, bool]:
    """The first bytes, and whether ``stream`` is a regular file, left at its start."""
    try:
        descriptor = stream.fileno()
        head = os.pread(descriptor, HEAD_SIZE, 0)
        size = os.fstat(descriptor).st_size
    except (OSError, ValueError):
        return stream.read(HEAD_SIZE), False
    if size == 0:
        # Files of /proc and devices can be read at an offset but not mapped.
        return stream.read(HEAD_SIZE), False
    stream.seek(0)
    return head, True


class _Rejoined:
    """A stream with the bytes put back that were read from it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """See ReadableStream."""
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._stream.read(size)


def _spooled(pieces: Iterable[bytes], name: str) -> MappedFile:
    """Writes ``pieces`` to an unnamed file, zeros as holes, and maps it. A break in the middle keeps what came before."""
    trouble = ""
    with tempfile.TemporaryFile() as spool:
        try:
            for piece in pieces:
                write_sparse(spool, piece)
        except FormatError as error:
            trouble = error.message
        end_sparse(spool)
        try:
            return MappedFile(os.dup(spool.fileno()), name, trouble)
        except FormatError as error:
            raise FormatError(
                f"{name} holds nothing that could be unpacked: {trouble}." if trouble else f"{name} is empty."
            ) from error
