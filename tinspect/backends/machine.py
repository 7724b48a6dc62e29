"""What this machine and these rights allow: every check is a try, not a guess from a version number."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tinspect.arch import resolve_architecture
from tinspect.backends.kernel_tasks import read_kernel_tasks
from tinspect.backends.process_memory import PAGE_GUARD
from tinspect.backends.refusal import explain_refusal, find_hindrance, may_trace_others, yama_scope
from tinspect.backends.running_process import open_running
from tinspect.errors import TinspectError
from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.native import _inspect

_OK, _LIMITED, _MISSING = CheckState.OK, CheckState.LIMITED, CheckState.MISSING
_X86_64, _AARCH64 = 62, 183
_GDB_PYTHON = "import sys; print('%d.%d' % sys.version_info[:2])"


def check_machine() -> tuple[DoctorCheck, ...]:
    """The checks that concern no process in particular."""
    return (*_tracing(), _kernel_tasks(), _pages(), _guard_markers(), _debug_files(), _gdb())


def check_process(pid: int) -> tuple[DoctorCheck, ...]:
    """The checks for one process: may it be looked at, and may it be stopped?"""
    hindrance = find_hindrance(pid)
    if hindrance is not None:
        return (DoctorCheck(f"process {pid}", _MISSING, hindrance.message, hindrance.next_step),)
    return tuple(_of_process(pid))


def _tracing() -> Iterator[DoctorCheck]:
    scope = yama_scope()
    if scope >= 3:
        detail = "This kernel forbids tracing altogether (yama ptrace_scope is 3)."
        yield DoctorCheck("stopping processes", _MISSING, detail, "Only a reboot changes that; --passive works.")
    elif may_trace_others():
        detail = "With CAP_SYS_PTRACE every process of this user namespace may be traced."
        yield DoctorCheck("stopping processes", _OK, detail)
    elif scope == 0:
        yield DoctorCheck("stopping processes", _OK, "Processes of your own may be traced (yama ptrace_scope is 0).")
    elif scope == 1:
        detail = "Only descendants of your shell may be traced (yama ptrace_scope is 1)."
        yield DoctorCheck(
            "stopping processes",
            _LIMITED,
            detail,
            "Run with CAP_SYS_PTRACE (as root), or: sysctl kernel.yama.ptrace_scope=0",
        )
    else:
        detail = f"Tracing needs CAP_SYS_PTRACE here (yama ptrace_scope is {scope})."
        yield DoctorCheck("stopping processes", _MISSING, detail, "Run with that capability, as root has it.")


def _kernel_tasks() -> DoctorCheck:
    name = "BPF task iterator"
    machine = _AARCH64 if os.uname().machine == "aarch64" else _X86_64
    try:
        read_kernel_tasks(os.getpid(), resolve_architecture(machine), registers=True)
    except TinspectError as error:
        return DoctorCheck(name, _MISSING, error.message, error.next_step)
    detail = "Alternate stacks and registers of any thread can be read without stopping it."
    return DoctorCheck(name, _OK, detail)


def _pages() -> DoctorCheck:
    name = "page states"
    marker = bytearray(1 << 16)
    address = _address_of(marker)
    try:
        _inspect.page_states(os.getpid(), ((address & -4096, (address & -4096) + 4096),))
    except OSError as error:
        return DoctorCheck(
            name, _MISSING, f"/proc/PID/pagemap cannot be read: {error.strerror}. Peak use stays unknown."
        )
    return DoctorCheck(name, _OK, "Peak use of stacks and installed guards are read from the kernel's page tables.")


def _address_of(buffer: bytearray) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _guard_markers() -> DoctorCheck:
    """Installs a guard in a page of our own and looks whether the kernel tells of it."""
    import ctypes
    import mmap

    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    libc = ctypes.CDLL(None, use_errno=True)
    name = "installed guards"
    if libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), 102) != 0:  # MADV_GUARD_INSTALL
        number = ctypes.get_errno()
        if number == errno.EINVAL:  # madvise(2): an advice it does not know
            return DoctorCheck(name, _OK, "This kernel has none: all guards show in /proc/PID/maps.")
        return DoctorCheck(name, _LIMITED, f"Whether this kernel has any could not be tried: {os.strerror(number)}.")
    runs = _inspect.page_states(os.getpid(), ((address, address + mmap.PAGESIZE),))
    flags = runs[0][2] if runs else 0
    libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), 103)  # MADV_GUARD_REMOVE
    if flags & PAGE_GUARD:
        return DoctorCheck(name, _OK, "Guards made with MADV_GUARD_INSTALL (glibc 2.42 and later) are seen.")
    detail = "This kernel has guards made with MADV_GUARD_INSTALL, but does not show them (Linux 6.15 and later do)."
    return DoctorCheck(name, _LIMITED, detail, "Such guards are reported by libc's word alone.")


def _debug_files() -> DoctorCheck:
    name = "debug files"
    found = Path("/usr/lib/debug/.build-id").is_dir()
    if found:
        return DoctorCheck(name, _OK, "Separate debug files are installed under /usr/lib/debug.")
    detail = "No separate debug files are installed: libc's layout is learnt from its code, and system libraries have no line numbers."
    return DoctorCheck(name, _LIMITED, detail, "On Debian: apt-get install libc6-dbg")


def _gdb() -> DoctorCheck:
    name = "gdb"
    path = shutil.which("gdb")
    if path is None:
        return DoctorCheck(
            name, _LIMITED, "gdb is not installed: the commands inside gdb cannot be used.", "apt-get install gdb"
        )
    command = [path, "-nx", "-batch", "-ex", f"python {_GDB_PYTHON}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return DoctorCheck(name, _LIMITED, f"{path} does not run.", "Start it by hand to see why.")
    output = done.stdout.strip()
    version = tuple(int(part) for part in output.split(".")) if output.replace(".", "").isdigit() else ()
    if not version:
        without = "not supported" in done.stderr  # "Python scripting is not supported in this copy of GDB."
        detail = "gdb is built without Python." if without else "gdb does not tell which Python it embeds."
        return DoctorCheck(name, _LIMITED, detail, "Use a gdb with Python 3.11 or later.")
    if version < (3, 11):
        return DoctorCheck(name, _LIMITED, f"gdb embeds Python {output}; 3.11 is needed.", "Use a newer gdb.")
    return DoctorCheck(name, _OK, f"gdb embeds Python {output}: run tinspect gdb.")


def _of_process(pid: int) -> Iterator[DoctorCheck]:
    try:
        process = open_running(pid)
    except TinspectError as error:
        yield DoctorCheck(f"process {pid}", _MISSING, error.message, error.next_step)
        return
    detail = (
        f"{process.facts.executable or 'It'} ({process.architecture.name}, {len(process.threads)} threads) may be read."
    )
    yield DoctorCheck(f"process {pid}", _OK, detail)
    status = process.proc.status()
    if status.tracer:
        refusal = explain_refusal(pid)
        yield DoctorCheck("stopping it", _MISSING, refusal.message, refusal.next_step)
    else:
        yield DoctorCheck("stopping it", _OK, "No tracer holds it.")
    if status.seccomp:
        detail = "It runs under seccomp: no system call is ever run inside it."
        yield DoctorCheck(
            "seccomp", _LIMITED, detail, "Alternate stacks come from the BPF task iterator or from signal frames."
        )
