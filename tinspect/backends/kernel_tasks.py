"""Every thread of a process as the kernel keeps it, by a BPF task iterator: alternate stacks, registers, context switches. Stops nothing.

Needs root, or CAP_BPF and CAP_PERFMON, and a kernel with BTF. The offsets it needs are learnt from BTF once for each kernel and kept in the
user's cache folder.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tinspect.arch import Architecture
from tinspect.errors import TargetRefused
from tinspect.formats.elf import parse_notes
from tinspect.formats.elf_constants import NT_GNU_BUILD_ID
from tinspect.model.registers import RegisterSet
from tinspect.native import _inspect

_BTF = "/sys/kernel/btf/vmlinux"
_KERNEL_NOTES = Path("/sys/kernel/notes")
# What offsets are kept; raised when btf_offsets asks for more than an older cache holds.
_CACHE_VERSION = 2
_SEGMENT_MASK = 0xFFFF
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class KernelTask:
    """One thread. ``switches`` counts its context switches: while it is off the CPU and the count stands still, it does not run.

    ``altstack_*`` are sas_ss_sp, sas_ss_size and sas_ss_flags. ``registers`` and ``thread_pointer`` are stale while ``on_cpu``.
    """

    tid: int
    altstack_low: int
    altstack_size: int
    altstack_flags: int
    switches: int
    on_cpu: bool
    thread_pointer: int | None
    registers: RegisterSet | None


def read_kernel_tasks(pid: int, architecture: Architecture, *, registers: bool) -> tuple[KernelTask, ...]:
    """All threads of ``pid``. Raises TargetRefused, whose words say which right or kernel feature is missing."""
    try:
        rows = with_kernel_offsets(lambda offsets: _inspect.bpf_tasks(pid, offsets, registers))
    except OSError as error:
        raise _explain(error) from None
    return tuple(
        KernelTask(tid, low, size, flags, voluntary + involuntary, on_cpu, tp, _registers(architecture, data, tp))
        for tid, low, size, flags, voluntary, involuntary, on_cpu, tp, data in rows
    )


def _registers(architecture: Architecture, data: bytes | None, thread_pointer: int | None) -> RegisterSet | None:
    """struct pt_regs as registers: the kernel keeps a prefix of NT_PRSTATUS's there; what follows it is not known."""
    if data is None:
        return None
    layout = architecture.registers
    count = min(len(data) // 8, len(layout.names))
    values = {
        name: int.from_bytes(data[8 * index : 8 * index + 8], "little")
        for index, name in enumerate(layout.names[:count])
    }
    for segment in ("cs", "ss"):
        if segment in values:
            values[segment] &= _SEGMENT_MASK  # the bits above are the kernel's own (FRED)
    if architecture.thread_pointer is not None and thread_pointer is not None:
        values[architecture.thread_pointer] = thread_pointer
    if layout.pc not in values or layout.sp not in values:
        return None
    return RegisterSet(tuple(values), tuple(values.values()), values[layout.pc], values[layout.sp])


def _explain(error: OSError) -> TargetRefused:
    if error.errno == errno.EPERM:
        return TargetRefused(
            "A BPF task iterator may not be used here: it needs root, or CAP_BPF and CAP_PERFMON.",
            "Run as root.",
        )
    if error.errno == errno.ENOENT:
        return TargetRefused("This kernel offers no type information (BTF), which the BPF task iterator needs.", "")
    return TargetRefused(f"The BPF task iterator does not work on this kernel: {error.strerror}.", "")


def with_kernel_offsets(ask: Callable[[dict[str, int]], _T]) -> _T:
    """What ``ask`` gives, by the kernel's numbers from the cache or from BTF. Raises OSError."""
    path = _cache_path()
    kept = _kept(path) if path is not None else None
    if kept is not None:
        # A cache in which a number is missing or cannot be is no failure: it is written anew.
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            return ask(kept)
    offsets = dict(_inspect.btf_offsets(_BTF))
    if path is not None:
        _keep(path, offsets)
    return ask(offsets)


def _kept(path: Path) -> dict[str, int] | None:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


def _cache_path() -> Path | None:
    """A file named after the running kernel's build id, which no other kernel shares; None when that cannot be told."""
    try:
        notes = parse_notes(memoryview(_KERNEL_NOTES.read_bytes()))
    except OSError:
        return None
    build_id = next((note.data.hex() for note in notes if note.owner == "GNU" and note.type == NT_GNU_BUILD_ID), "")
    if not build_id:
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "tinspect" / f"btf-{_CACHE_VERSION}-{build_id}.json"


def _keep(path: Path, offsets: dict[str, int]) -> None:
    """Written beside and renamed, so that nobody reads half a file. A cache that cannot be written is no failure."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(offsets))
        beside.replace(path)
    except OSError:
        pass
