"""Ground truth is the kernel itself: this process's own files, beside what os, resource and threading say."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import resource
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.errors import FormatError
from tinspect.formats.auxv import AT_PAGESZ, parse_auxv
from tinspect.formats.procfs import (
    STATE_WORDS,
    decode_name,
    parse_limits,
    parse_maps,
    parse_stat,
    parse_status,
    parse_syscall,
)

HOSTILE_NAMES = [b"a\nb", b") R 1 (", b"\\n\\\\", b"\x1b[31m", b"\xff\xfe", b" blank ", b"tab\t:", b"[bold]"]


def own(name: str) -> bytes:
    return Path(f"/proc/thread-self/{name}").read_bytes()


def test_maps_of_this_process_hold_its_own_code_and_stack() -> None:
    table = parse_maps(own("maps"))
    function = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value
    assert function is not None
    code = table.find(function)
    assert code is not None
    assert code.is_executable
    assert code.is_file
    assert table.find_named("[stack]") is not None


def test_maps_names_a_file_with_a_newline_and_one_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a\nb \x1b[0m"
    path.write_bytes(bytes(8192))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 8192, prot=mmap.PROT_READ):
        found = parse_maps(own("maps")).find_named(str(path))
        assert found is not None
        assert not found.deleted
        assert found.inode == path.stat().st_ino
        path.unlink()
        gone = parse_maps(own("maps")).find_named(str(path))
        assert gone is not None
        assert gone.deleted


@pytest.mark.parametrize(
    "line", [b"nonsense", b"2000-1000 r-xp 0 0:0 0", b"1000-2000 rwzp 0 0:0 0", b"-1-2 r-xp 0 0:0 0"]
)
def test_maps_refuses_what_is_no_mapping(line: bytes) -> None:
    with pytest.raises(FormatError):
        parse_maps(line + b"\n")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_thread_name_comes_through_every_file(name: bytes) -> None:
    seen: dict[str, str] = {}

    def body() -> None:
        Path("/proc/thread-self/comm").write_bytes(name)
        seen["stat"] = parse_stat(own("stat")).name
        seen["status"] = parse_status(own("status")).name

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    expected = decode_name(name)
    assert seen == {"stat": expected, "status": expected}


def test_status_and_stat_agree_with_the_system_calls() -> None:
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        status, stat = parse_status(own("status")), parse_stat(own("stat"))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert status.tid == stat.tid == threading.get_native_id()
    assert status.tgid == os.getpid()
    assert status.parent == stat.parent == os.getppid()
    assert status.uids[:3] == os.getresuid()
    assert status.state == stat.state == "running"
    assert status.blocked_signals is not None
    assert status.blocked_signals >> (signal.SIGUSR1 - 1) & 1
    assert status.namespace_tids[-1] == threading.get_native_id()
    assert status.tracer == 0
    assert not stat.is_kernel_thread
    assert stat.cpu_time_us(os.sysconf("SC_CLK_TCK")) > 0


def test_a_kernel_thread_is_known_by_its_flag() -> None:
    # kthreadd of a Linux 6.18: PF_KTHREAD is 0x200000 (include/linux/sched.h).
    line = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 7 0 0 20 0 1 0 17 0 0 18446744073709551615"
    assert parse_stat(line).is_kernel_thread


def test_syscall_of_a_thread_blocked_in_read_and_of_the_reader_itself() -> None:
    reading, writing = os.pipe()
    ready = threading.Event()
    tid = 0

    def body() -> None:
        nonlocal tid
        tid = threading.get_native_id()
        ready.set()
        os.read(reading, 1)

    thread = threading.Thread(target=body)
    thread.start()
    ready.wait()
    try:
        path = Path(f"/proc/self/task/{tid}")
        while parse_stat((path / "stat").read_bytes()).state != "sleeping" or _number(path) != 0:
            os.sched_yield()
        line = parse_syscall((path / "syscall").read_bytes())
        assert line.call is not None
        assert line.call.arguments[0] == reading
        assert line.call.arguments[2] == 1
        assert line.sp is not None
        assert parse_maps(own("maps")).find(line.sp) is not None
    finally:
        os.write(writing, b"x")
        thread.join()
        os.close(reading)
        os.close(writing)
    assert parse_syscall(b"running\n").is_running
    assert parse_syscall(b"-1 0x7ffd 0x4000\n").pc == 0x4000


def _number(path: Path) -> int | None:
    call = parse_syscall((path / "syscall").read_bytes()).call
    return call.number if call else None


def test_limits_agree_with_getrlimit() -> None:
    limits = parse_limits(own("limits"))
    for name, number in (("Max stack size", resource.RLIMIT_STACK), ("Max core file size", resource.RLIMIT_CORE)):
        assert limits[name] == resource.getrlimit(number)


def test_auxv_tells_the_page_size() -> None:
    assert parse_auxv(own("auxv"))[AT_PAGESZ] == os.sysconf("SC_PAGE_SIZE")
    assert parse_auxv(b"\x06" * 7) == {}


def test_every_state_word_is_text_of_its_own_letter() -> None:
    assert set("RSDTtZX") <= set(STATE_WORDS)
    assert all(re.fullmatch("[a-z ]+", word) for word in STATE_WORDS.values())


@pytest.mark.parametrize("parse", [parse_maps, parse_status, parse_stat, parse_syscall, parse_limits, parse_auxv])
@given(data=st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_format_error(parse: object, data: bytes) -> None:
    assert callable(parse)
    with suppress(FormatError):
        parse(data)
