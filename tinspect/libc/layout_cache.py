"""Remembers what was learnt of a libc, by build id: reading debug information again costs a tenth of a second."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path

_BUILD_ID = re.compile(r"[0-9a-f]{8,128}")
_MOST_BYTES = 4096


def user_cache() -> LayoutCache:
    """The cache in the user's own cache folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return LayoutCache(Path(base) / "tinspect")


class LayoutCache:
    """One small file a libc in ``folder``. What cannot be read or written is forgotten: a cache never fails, and its words are
    proved on the target like any others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, build_id: str, what: str = "libc") -> tuple[str, tuple[int, ...]] | None:
        """The source's word and the offsets stored for ``build_id`` as ``what`` they are of, or None."""
        if not _BUILD_ID.fullmatch(build_id):
            return None
        try:
            with open(self._path(build_id, what), "rb") as file:
                value = json.loads(file.read(_MOST_BYTES))
            source, offsets = value["source"], value["offsets"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(source, str) or not isinstance(offsets, list):
            return None
        if not all(type(offset) is int and offset >= 0 for offset in offsets):
            return None
        return source, tuple(offsets)

    def store(self, build_id: str, source: str, offsets: tuple[int, ...], what: str = "libc") -> None:
        """Keeps them for the next time."""
        if not _BUILD_ID.fullmatch(build_id):
            return
        path = self._path(build_id, what)
        scratch = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps({"source": source, "offsets": offsets}))
            scratch.replace(path)  # at once, so that another tinspect never reads half a file

    def _path(self, build_id: str, what: str) -> Path:
        return self._folder / f"{what}-{build_id}.json"
