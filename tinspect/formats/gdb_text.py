"""What gdb says in words, as values: ``info proc mappings``, ``maintenance info sections``, ``info auxv``. Pure."""

from __future__ import annotations

import re

from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping

_MAPPING = re.compile(
    r"\s*0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)(?:\s+([r-][w-][x-][ps]))?(?:\s+(\S.*?))?\s*"
)
_SECTION = re.compile(r"\s*\[\d+\]\s+0x([0-9a-f]+)->0x([0-9a-f]+) at 0x[0-9a-f]+: (load\S*)((?: [A-Z_]+)*)\s*")
_AUXV = re.compile(r"(\d+)\s+(?:AT_\w+|\?\?\?)\s.*?(0x[0-9a-f]+|-?\d+)(?: \".*\")?\s*")
_DELETED = " (deleted)"


def parse_info_mappings(text: str) -> tuple[Mapping, ...]:
    """The table of ``info proc mappings``. Without a column of permissions (cores, gdb before 12) they are "----": not known."""
    found = []
    for line in text.splitlines():
        match = _MAPPING.fullmatch(line)
        if match is None:
            continue
        low, high, offset, permissions, name = match.groups()
        area = _range(low, high)
        if area is None:
            continue
        path = (name or "").removesuffix(_DELETED)
        is_file = path.startswith("/")
        found.append(
            Mapping(
                area,
                permissions or "----",
                int(offset, 16),
                inode=int(is_file),
                name=path,
                deleted=path != (name or ""),
            )
        )
    return tuple(found)


def parse_core_sections(text: str) -> tuple[Mapping, ...]:
    """The load segments of a core, by ``maintenance info sections``. What the core does not hold has no permissions."""
    found = []
    for line in text.splitlines():
        match = _SECTION.fullmatch(line)
        area = _range(match[1], match[2]) if match is not None else None
        if match is None or area is None:
            continue
        flags = match[4].split()
        readable = "r" if "HAS_CONTENTS" in flags or "LOAD" in flags else "-"
        writable = "-" if "READONLY" in flags else "w"
        executable = "x" if "CODE" in flags else "-"
        found.append(Mapping(area, f"{readable}{writable}{executable}p"))
    return tuple(found)


def parse_info_auxv(text: str) -> dict[int, int]:
    """Values by type of ``info auxv``."""
    vector = {}
    for line in text.splitlines():
        match = _AUXV.fullmatch(line)
        if match is not None:
            vector[int(match[1])] = int(match[2], 0) & (1 << 64) - 1
    return vector


def _range(low: str, high: str) -> AddressRange | None:
    start, end = int(low, 16), int(high, 16)
    return AddressRange(start, end) if start < end <= 1 << 64 else None
