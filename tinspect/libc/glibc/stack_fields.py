"""Where stackblock and its companions lie in struct pthread: nothing exported tells. Three ways to learn it, best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tinspect.arch import Architecture
from tinspect.libc.glibc.layout import StackFields
from tinspect.model.module import Module
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader
from tinspect.target.target import ModuleFiles

if TYPE_CHECKING:
    from tinspect.libc.disassembly import MemoryAccess

_MEMBERS = ("stackblock", "stackblock_size", "guardsize", "reported_guardsize")

# By architecture: seen in the debug information of Debian's glibc 2.31, 2.36, 2.41 and 2.43.
TABLE = {"x86_64": StackFields.consecutive(0x690), "aarch64": StackFields.consecutive(0x490)}

# What is reached through these is the function's own frame, or a constant.
_NO_STRUCTURES = ("", "rsp", "rip", "sp")


def find_by_dwarf(files: ModuleFiles, module: Module) -> StackFields | None:
    """From libc's debug information: struct pthread as pthread_getattr_np.c saw it. None when there is none, or it is damaged."""
    data = files.open_debug(module.build_id) if module.build_id else None
    if data is None:
        return None
    from tinspect.libc.dwarf_members import find_members

    offsets = find_members(data, b"pthread_getattr_np", b"pthread", tuple(name.encode() for name in _MEMBERS))
    return StackFields(*offsets) if offsets else None


def find_by_disassembly(
    architecture: Architecture, memory: MemoryReader, symbols: Symbolizer, module: str
) -> StackFields | None:
    """From the code of pthread_getattr_np, which reads all four words through one register: the lowest four in a row."""
    from tinspect.libc.disassembly import memory_accesses, read_code

    address = symbols.find_address("pthread_getattr_np", module)
    if address is None:
        return None
    return stack_fields_in(memory_accesses(architecture, read_code(memory, address), address))


def stack_fields_in(accesses: Iterable[MemoryAccess]) -> StackFields | None:
    """Four consecutive words that 8-byte operands reach through the same base register, the lowest such run; or None."""
    words: dict[str, set[int]] = {}
    for access in accesses:
        if access.size == 8 and access.base not in _NO_STRUCTURES and not access.index and access.displacement > 0:
            words.setdefault(access.base, set()).add(access.displacement)
    runs = sorted(first for offsets in words.values() for first in _runs_of_four(offsets))
    return StackFields.consecutive(runs[0]) if runs else None


def _runs_of_four(offsets: set[int]) -> Iterator[int]:
    # The attribute structure has such words too, below 0x38; struct pthread begins with 704 bytes of the TCB header.
    return (first for first in offsets if first >= 0x100 and all(first + step in offsets for step in (8, 16, 24)))
