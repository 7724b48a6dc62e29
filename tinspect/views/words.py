"""Numbers and facts as words, the same in every face."""

from __future__ import annotations

from collections.abc import Sequence

from tinspect.model.frame import Frame
from tinspect.views.table import NOTHING, UNKNOWN, Cell, Role

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def address_words(address: int) -> str:
    """An address, zero-padded so that a column of them lines up: 12 digits, 16 above the 48-bit half."""
    return f"{address:#014x}" if address < 1 << 48 else f"{address:#018x}"


def address_cell(address: int | None, role: Role = Role.ADDRESS) -> Cell:
    """An address, or "?"."""
    return UNKNOWN if address is None else Cell(address_words(address), role, sort=address)


def size_words(size: int) -> str:
    """A number of bytes: "96 B", "132 KiB", "1.5 MiB"; three significant figures at most."""
    if abs(size) < 1024:
        return f"{size} B"
    value, unit = float(size), 0
    while abs(value) >= 1023.5 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    digits = 0 if value == int(value) or abs(value) >= 99.95 else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def size_cell(size: int | None, role: Role = Role.SIZE) -> Cell:
    """A size in a column of sizes (units line up), or "?"."""
    if size is None:
        return UNKNOWN
    number, unit = size_words(size).split(" ")
    return Cell(f"{number} {unit:<3}", role, sort=size)


def duration_words(microseconds: int) -> str:
    """A time span: "812 µs", "4.2 ms", "1.3 s", "2 min 5 s", "3 h 12 min"."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.1f} ms"
    seconds = microseconds // 1_000_000
    if seconds < 60:
        return f"{microseconds / 1_000_000:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds // 60 % 60} min"


def count_words(count: int, singular: str, plural: str = "") -> str:
    """ "1 thread", "3 threads"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def tids_words(tids: Sequence[int]) -> str:
    """Thread ids, short: "12", "12–15" when they follow each other, "12…99" when not."""
    if not tids:
        return ""
    low, high = min(tids), max(tids)
    if low == high:
        return str(low)
    return f"{low}–{high}" if high - low == len(set(tids)) - 1 else f"{low}…{high}"


def tid_list_words(tids: Sequence[int], limit: int = 6) -> str:
    """Thread ids one by one, at most ``limit`` of them: "2, 3, 4 and 12 more"."""
    shown = ", ".join(str(tid) for tid in tids[:limit])
    return shown if len(tids) <= limit else f"{shown} and {len(tids) - limit} more"


def tid_cell(tid: int | None, gone: str = "?") -> Cell:
    """A thread id, or what to say when there is none."""
    return Cell(gone, Role.DIM) if tid is None else Cell(str(tid), Role.PLAIN, sort=tid)


def function_words(function: str | None, offset: int | None = None) -> str:
    """A place in code: "futex_wait+0x12"; "?" when it has no name."""
    if function is None:
        return "?"
    return f"{function}+{offset:#x}" if offset else function


def frame_words(frame: Frame) -> str:
    """A call frame's place: function and offset, the module when there is no function, the signal trampoline by that name."""
    if frame.is_signal_frame:
        return "<signal handler called>"
    if frame.function is None and frame.module is not None:
        return f"? in {file_name(frame.module)}"
    return function_words(frame.function, frame.offset)


def file_name(path: str) -> str:
    """The last part of a path."""
    return path.rsplit("/", 1)[-1]


def optional_cell(text: str | None, role: Role = Role.PLAIN) -> Cell:
    """Text that is simply left out when there is none."""
    return Cell(text, role) if text else NOTHING


def number_cell(number: int | None) -> Cell:
    """A plain number, or "?"."""
    return UNKNOWN if number is None else Cell(str(number), sort=number)
