"""What a snapshot needs beside stacks and libc's data, so that debuggers find the libraries and their variables in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tinspect.backends.loaded_image import PAGE, find_header, segment_range, writable_ranges
from tinspect.backends.process_memory import PAGE_PRESENT, PAGE_SWAPPED, PAGE_ZERO
from tinspect.errors import MemoryUnreadable
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_NOTE
from tinspect.formats.link_map import DEBUG_SIZE, NODE_SIZE, find_debug_address, walk_link_map
from tinspect.model.address import AddressRange, merged
from tinspect.model.mapping import Mapping
from tinspect.native import _inspect
from tinspect.target.memory import MemoryReader, read_c_string
from tinspect.target.plan import CapturePlan
from tinspect.target.target import Target

# Larger pieces are asked for by the pages that were touched: reading the others would only make the target grow.
_WHOLE = 1 << 20
# glibc's struct link_map goes on for some 1,100 bytes with l_tls_modid and l_tls_offset in it, which gdb reads for thread-locals.
_LINK_MAP_SIZE = 1536

Touched = Callable[[tuple[AddressRange, ...]], Iterable[AddressRange]]


def module_ranges(target: Target) -> Iterator[AddressRange]:
    """Of every module what no file holds: the segments it may write to (RELRO included); its header and build id, by which
    debuggers know it; and all of it when its file is gone, or goes with the process."""
    for module in target.modules:
        data = None if module.is_vdso or module.deleted else target.files.open_image(module)
        if data is None:
            yield module.range
            continue
        image = ElfImage(data)
        yield AddressRange.sized(module.range.low, PAGE)
        yield from writable_ranges(image, module.load_bias)
        for segment in image.segments:
            if segment.type == PT_NOTE and (pages := segment_range(segment, module.load_bias)):
                yield pages


def snapshot_plan(target: Target, touched: Touched, *, heap: bool = False, full: bool = False) -> CapturePlan:
    """The plan of a snapshot. ``touched`` gives, of large ranges, the parts whose pages hold something.

    ``heap`` adds all private writable memory, ``full`` all that is readable and may change.
    """
    wanted = [*module_ranges(target), *link_map_ranges(target)]
    wanted += [mapping.range for mapping in target.mappings if _is_extra(mapping, heap, full)]
    inside = [part for piece in merged(wanted) for part in _mapped(target, piece)]
    small = [piece for piece in inside if piece.size <= _WHOLE]
    large = tuple(piece for piece in inside if piece.size > _WHOLE)
    return CapturePlan(fixed=merged((*small, *(touched(large) if large else ()))), vectors=True)


def _is_extra(mapping: Mapping, heap: bool, full: bool) -> bool:
    if not (heap or full) or not mapping.is_readable or not mapping.is_writable:
        return False
    return full or mapping.permissions[3] == "p"


def _mapped(target: Target, piece: AddressRange) -> Iterator[AddressRange]:
    """The readable parts of ``piece``; touching mappings stay apart."""
    for mapping in target.mappings.overlapping(piece):
        part = mapping.range.intersection(piece)
        if part is not None and mapping.is_readable:
            yield part


def link_map_ranges(target: Target) -> Iterator[AddressRange]:
    """The dynamic linker's list of images, which is scattered over its own data and the heap."""
    main = target.modules.main
    image = find_header(target.memory, main.range.low) if main else None
    if main is None or image is None:
        return
    debug = find_debug_address(target.memory.read, image.segments, main.load_bias)
    if debug is None:
        return
    yield AddressRange.sized(debug, DEBUG_SIZE)
    for entry in walk_link_map(target.memory.read, lambda at, limit: read_c_string(target.memory, at, limit), debug):
        yield _readable_start(target.memory, entry.node)
        if entry.name_address:
            end = entry.name_address + len(entry.name.encode("utf-8", "surrogateescape")) + 1
            yield AddressRange(entry.name_address // 16 * 16, -(-end // 16) * 16)


def _readable_start(memory: MemoryReader, node: int) -> AddressRange:
    """The whole struct link_map where it can be read, else its public part."""
    for size in (_LINK_MAP_SIZE, NODE_SIZE):
        try:
            memory.read(node, size)
        except MemoryUnreadable:
            continue
        return AddressRange.sized(node, size)
    return AddressRange.sized(node, 0)


def touched_pages(pid: int) -> Touched:
    """A Touched that asks the kernel which pages of a running process hold something (a zero page read by it does not)."""

    def ask(ranges: tuple[AddressRange, ...]) -> Iterator[AddressRange]:
        wanted = [(piece.low, piece.high) for piece in ranges]
        for low, high, flags in _inspect.page_states(pid, wanted):
            if flags & (PAGE_PRESENT | PAGE_SWAPPED) and not flags & PAGE_ZERO:
                yield AddressRange(low, high)

    return ask
