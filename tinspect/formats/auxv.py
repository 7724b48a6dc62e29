"""The auxiliary vector (getauxval(3); linux/auxvec.h), as /proc/PID/auxv and NT_AUXV hold it: pairs of 64-bit words."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

AT_NULL: Final = 0
AT_PHDR: Final = 3
AT_PHNUM: Final = 5
AT_PAGESZ: Final = 6
AT_ENTRY: Final = 9
AT_SYSINFO_EHDR: Final = 33
AT_EXECFN: Final = 31
AT_MINSIGSTKSZ: Final = 51

# The kernel writes about two dozen; anything longer is not a vector.
_LIMIT = 256
_PAIR = struct.Struct("<QQ")


def parse_auxv(data: bytes) -> dict[int, int]:
    """Values by type, up to AT_NULL or the end of ``data``. Of a type written twice the first counts, as for getauxval(3)."""
    whole = data[: min(len(data), _LIMIT * _PAIR.size)]
    vector: dict[int, int] = {}
    for kind, value in _PAIR.iter_unpack(whole[: len(whole) - len(whole) % _PAIR.size]):
        if kind == AT_NULL:
            break
        vector.setdefault(kind, value)
    return vector


def pack_auxv(vector: Mapping[int, int]) -> bytes:
    """The bytes of NT_AUXV for ``vector``, closed by AT_NULL."""
    return b"".join(_PAIR.pack(kind, value) for kind, value in (*vector.items(), (AT_NULL, 0)))
