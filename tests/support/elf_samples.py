"""Small ELF files made on the spot, and ways to damage them."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies

from tests.support.waiting import PATIENCE_S

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
static __thread int local_count = 3;
__thread long shared_count;
static int hidden(int n) { local_count += n; return n * 3; }
int visible(int n) { shared_count++; return hidden(n) + 1; }
int main(int argc, char **argv) { puts("x"); printf("%d%p", visible(argc), (void *)argv); free(malloc(3)); return 0; }
"""


def compile_source(target: Path, flags: Sequence[str] = (), source: str = SOURCE, compiler: str = "gcc") -> Path:
    suffix = ".c" if compiler.endswith("cc") else ".cpp"
    code = target.with_suffix(suffix)
    code.write_text(source)
    subprocess.run([compiler, "-o", str(target), str(code), *flags], check=True, timeout=PATIENCE_S)
    return target


@functools.cache
def sample(*flags: str) -> bytes:
    """The bytes of the sample program, built with ``flags``."""
    with tempfile.TemporaryDirectory() as directory:
        return compile_source(Path(directory) / "sample", flags).read_bytes()


def damaged(original: bytes, low: int = 0, high: int | None = None) -> strategies.SearchStrategy[bytes]:
    """``original`` with some bytes between ``low`` and ``high`` changed, and perhaps cut off."""
    limit = len(original) if high is None else high
    edit = strategies.tuples(strategies.integers(low, limit - 1), strategies.binary(min_size=1, max_size=8))
    cut = strategies.one_of(strategies.none(), strategies.integers(0, len(original)))

    def apply(parts: tuple[list[tuple[int, bytes]], int | None]) -> bytes:
        edits, end = parts
        data = bytearray(original)
        for offset, value in edits:
            data[offset : offset + len(value)] = value
        return bytes(data[:end])

    return strategies.tuples(strategies.lists(edit, min_size=1, max_size=12), cut).map(apply)
