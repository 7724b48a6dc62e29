"""A running process as a target, read in the plainest way: for tests of the layers below the backends."""

from __future__ import annotations

import os
from pathlib import Path

from tinspect.errors import MemoryUnreadable
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_LOAD
from tinspect.formats.elf_rebuild import rebuild_image
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.symbols.debug_files import open_debug_file, open_linked_file, open_mapped


class LiveMemory:
    """MemoryReader over /proc/PID/mem."""

    def __init__(self, pid: int, mappings: MappingTable) -> None:
        self._descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._mappings = mappings

    def read(self, address: int, size: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, address)
        except (OSError, OverflowError) as error:
            raise MemoryUnreadable(address, size) from error
        if len(data) != size:
            raise MemoryUnreadable(address, size)
        return data

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        parts = (m.range.intersection(wanted) for m in self._mappings.overlapping(wanted) if m.is_readable)
        return tuple(part for part in parts if part is not None)

    def close(self) -> None:
        os.close(self._descriptor)


class LiveFiles:
    """ModuleFiles of this machine."""

    def __init__(self, memory: LiveMemory) -> None:
        self._memory = memory

    def open_image(self, module: Module) -> bytes | memoryview | None:
        if module.is_vdso:
            rebuilt = rebuild_image(self._read, module.range.low)
            return bytes(rebuilt) if rebuilt is not None else None
        return open_mapped(module.path)

    def open_debug(self, build_id: str) -> bytes | memoryview | None:
        return open_debug_file(build_id)

    def open_debug_link(self, module: Module, name: str) -> bytes | memoryview | None:
        return open_linked_file(module.path, name)

    def _read(self, address: int, size: int) -> bytes | None:
        try:
            return self._memory.read(address, size)
        except MemoryUnreadable:
            return None


class LiveProcess:
    """Mappings, modules, memory and files of ``pid``. The caller sees to it that the process stands still."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.mappings = read_mappings(pid)
        self.memory = LiveMemory(pid, self.mappings)
        self.files = LiveFiles(self.memory)
        self.modules = ModuleTable(self._modules())

    def __enter__(self) -> LiveProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()

    def _modules(self) -> list[Module]:
        executable = str(Path(f"/proc/{self.pid}/exe").readlink())
        names = dict.fromkeys(m.name for m in self.mappings if m.name.startswith("/") or m.name == "[vdso]")
        modules = []
        for name in names:
            spans = [m for m in self.mappings if m.name == name]
            if spans[0].offset or self.memory.read(spans[0].range.low, 4) != b"\x7fELF":
                continue
            image = ElfImage(self.memory.read(spans[0].range.low, 4096))
            first = min(s.address for s in image.segments if s.type == PT_LOAD)
            low, high = spans[0].range.low, spans[-1].range.high
            bias = low - first // 4096 * 4096
            modules.append(
                Module(
                    Path(name).name,
                    name,
                    bias,
                    AddressRange(low, high),
                    image.build_id,
                    is_main=name == executable,
                    is_vdso=name == "[vdso]",
                )
            )
        return modules


def read_mappings(pid: int) -> MappingTable:
    """/proc/PID/maps."""
    entries = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        low, high = (int(part, 16) for part in fields[0].split("-"))
        name = fields[5] if len(fields) > 5 else ""
        entries.append(Mapping(AddressRange(low, high), fields[1], int(fields[2], 16), fields[3], int(fields[4]), name))
    return MappingTable(entries)
