"""DWARF of one file: units by address, entries within bounds. pyelftools parses; nothing is copied that need not be.

pyelftools trusts its input: every walk here counts its steps and looks at the clock, and ``guarded`` turns whatever it raises over
damaged data into FormatError.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeVar, cast

from tinspect.errors import FormatError
from tinspect.formats.dwarf_aranges import UnitRanges, parse_aranges
from tinspect.formats.dwarf_line_header import LineStrings
from tinspect.formats.dwarf_reader import DwarfReader
from tinspect.formats.elf import ElfImage

Die = Any
"""elftools.dwarf.die.DIE; pyelftools is imported only when debug information is first asked for (34 ms)."""
Unit = Any
"""elftools.dwarf.compileunit.CompileUnit."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_SECTIONS = (
    "info", "aranges", "abbrev", "str", "line", "loc", "ranges", "addr", "str_offsets", "line_str", "loclists", "rnglists", "types",
)  # fmt: skip
_ABSENT = (
    "debug_frame_sec",
    "eh_frame_sec",
    "debug_pubtypes_sec",
    "debug_pubnames_sec",
    "debug_sup_sec",
    "gnu_debugaltlink_sec",
)
_COPIED_BYTES = 8 << 20
_WALK_SECONDS = 10.0
_WALK_ENTRIES = 400_000


def guarded(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Makes any failure of pyelftools a FormatError: over hostile bytes it may raise nearly everything."""

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except FormatError:
            raise
        except (Exception, RecursionError) as error:
            raise FormatError(f"debug information that cannot be read ({type(error).__name__}).") from error

    return call


class _ViewStream(io.RawIOBase):
    """A seekable stream over a memoryview, so that a mapped file is not copied."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, len(self._data))[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else self._position + size
        chunk = bytes(self._data[self._position : end])
        self._position += len(chunk)
        return chunk


def _open_stream(data: memoryview) -> io.BytesIO | _ViewStream:
    """A stream over ``data``: the quicker kind where that copies nothing, or little."""
    if isinstance(data.obj, bytes) and len(data.obj) == len(data):
        return io.BytesIO(data.obj)
    return io.BytesIO(data) if len(data) <= _COPIED_BYTES else _ViewStream(data)


class Budget:
    """Steps and seconds that one question may take. Raises FormatError when they are used up."""

    def __init__(self, entries: int = _WALK_ENTRIES, seconds: float = _WALK_SECONDS) -> None:
        self._left = entries
        self._deadline = time.monotonic() + seconds

    def spend(self) -> None:
        """One step."""
        self._left -= 1
        if self._left < 0 or (self._left % 256 == 0 and time.monotonic() > self._deadline):
            raise FormatError("debug information too large to search for one answer.")


class DwarfFile:
    """The debug information of one image (the module's file, or its separate debug file)."""

    def __init__(self, image: ElfImage) -> None:
        self.image = image
        self._ends: dict[int, int] = {}
        self.has_info = image.find_section_data(".debug_info") is not None

    @cached_property
    def info(self) -> Any:
        """elftools' DWARFInfo over views of the sections."""
        from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

        sections: dict[str, Any] = dict.fromkeys(_ABSENT)
        for name in _SECTIONS:
            data = self.image.find_section_data(f".debug_{name}")
            stream = _open_stream(data) if data is not None else None
            size = len(data) if data is not None else 0
            descriptor = (
                DebugSectionDescriptor(cast(Any, stream), f".debug_{name}", 0, size, 0) if stream is not None else None
            )
            sections[f"debug_{name}_sec"] = descriptor
        machine = {62: "x64", 183: "AArch64"}.get(self.image.header.machine, "x64")
        return DWARFInfo(DwarfConfig(True, machine, 8), **sections)

    @cached_property
    def line_strings(self) -> LineStrings:
        """The strings that line number programs refer to."""
        empty = memoryview(b"")
        found = (self.image.find_section_data(name) for name in (".debug_str", ".debug_line_str"))
        return LineStrings(*(data if data is not None else empty for data in found))

    @cached_property
    def unit_offsets(self) -> tuple[int, ...]:
        """Where the units of .debug_info begin."""
        data = self.image.find_section_data(".debug_info")
        offsets = []
        reader = DwarfReader(data if data is not None else b"")
        try:
            while not reader.at_end:
                offsets.append(reader.position)
                length, _ = reader.initial_length()
                reader.block(length)
        except FormatError:
            pass
        return tuple(offsets)

    @cached_property
    def _declared_ranges(self) -> UnitRanges:
        data = self.image.find_section_data(".debug_aranges")
        return parse_aranges(data if data is not None else memoryview(b""))

    @cached_property
    def _found_ranges(self) -> UnitRanges:
        """Ranges of the units that .debug_aranges leaves out (clang and rustc write none), from their top entries."""
        ranges: list[tuple[int, int, int]] = []
        declared = self._declared_ranges.units()
        budget = Budget()
        for offset in self.unit_offsets:
            if offset not in declared:
                budget.spend()
                try:
                    top = self.top(self.unit(offset))
                    ranges.extend((low, high, offset) for low, high in self.ranges(top))
                except FormatError:
                    continue
        return UnitRanges(ranges)

    @guarded
    def unit(self, offset: int) -> Unit:
        """The unit at ``offset`` of .debug_info."""
        return self.info.get_CU_at(offset)

    @guarded
    def top(self, unit: Unit) -> Die:
        """The entry of the unit itself."""
        return unit.get_top_DIE()

    def find_unit(self, pc: int) -> Unit | None:
        """The unit whose code holds ``pc`` (a virtual address of the file), or None."""
        offset = self._declared_ranges.find(pc)
        if offset is None:
            offset = self._found_ranges.find(pc)
        return None if offset is None else self.unit(offset)

    @guarded
    def ranges(self, die: Die) -> list[tuple[int, int]]:
        """The code ranges [low, high) of an entry, none where it has no code."""
        attributes = die.attributes
        low = attributes.get("DW_AT_low_pc")
        high = attributes.get("DW_AT_high_pc")
        if low is not None and high is not None:
            is_address = high.form in (
                "DW_FORM_addr",
                "DW_FORM_addrx",
                "DW_FORM_addrx1",
                "DW_FORM_addrx2",
                "DW_FORM_addrx4",
            )
            end = high.value if is_address else low.value + high.value
            return [(low.value, end)] if low.value < end < 1 << 64 else []
        if "DW_AT_ranges" not in attributes:
            return []
        lists = self.info.range_lists()
        entries = lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, die.cu)
        top = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = top.value if top is not None else 0
        result = []
        for entry in entries:
            if hasattr(entry, "base_address"):
                base = entry.base_address
            else:
                start = 0 if getattr(entry, "is_absolute", False) else base
                if entry.begin_offset < entry.end_offset:
                    result.append((start + entry.begin_offset, start + entry.end_offset))
        return [(low, high) for low, high in result if 0 <= low < high < 1 << 64]

    def children(self, die: Die, budget: Budget) -> Iterator[Die]:
        """The children of an entry. pyelftools' own walk follows DW_AT_sibling wherever it leads, back as well; this one only ahead."""
        if not die.has_children:
            return
        child = self._entry(die.cu, die.offset + die.size)
        while not child.is_null():
            budget.spend()
            yield child
            child = self._entry(die.cu, self._end(child, budget))

    def _end(self, die: Die, budget: Budget) -> int:
        """Where the next sibling of an entry begins."""
        known = self._ends.get(die.offset)
        if known is None:
            known = self._ends[die.offset] = _sibling(die) or self._skip_children(die, budget)
        return known

    def _skip_children(self, die: Die, budget: Budget) -> int:
        """The same without DW_AT_sibling: past the null entries that end the lists of children."""
        depth, offset = int(die.has_children), die.offset + die.size
        while depth:
            budget.spend()
            entry = self._entry(die.cu, offset)
            sibling = _sibling(entry)
            depth += -1 if entry.is_null() else int(entry.has_children and sibling is None)
            offset = sibling or offset + entry.size
        return int(offset)

    @guarded
    def _entry(self, unit: Unit, offset: int) -> Die:
        return unit.get_DIE_from_refaddr(offset)

    @guarded
    def referenced(self, die: Die, attribute: str) -> Die | None:
        """The entry that an attribute of ``die`` refers to, or None."""
        return die.get_DIE_from_attribute(attribute) if attribute in die.attributes else None

    def name(self, die: Die, attribute: str = "DW_AT_name") -> bytes | None:
        """A string attribute of an entry, or of the one it completes (DW_AT_abstract_origin, DW_AT_specification)."""
        for _ in range(4):
            value = die.attributes.get(attribute)
            if value is not None:
                return bytes(value.value) if isinstance(value.value, bytes) else None
            origin = self.referenced(die, "DW_AT_abstract_origin") or self.referenced(die, "DW_AT_specification")
            if origin is None:
                return None
            die = origin
        return None


def _sibling(die: Die) -> int | None:
    """Where DW_AT_sibling of an entry leads; None when it has none. Raises FormatError when that is not ahead."""
    attribute = die.attributes.get("DW_AT_sibling")
    if attribute is None or not die.has_children:
        return None
    base = 0 if attribute.form == "DW_FORM_ref_addr" else die.cu.cu_offset
    offset = base + attribute.value if isinstance(attribute.value, int) else -1
    if offset < die.offset + die.size:
        raise FormatError("a DWARF entry whose sibling lies behind it.")
    return int(offset)
