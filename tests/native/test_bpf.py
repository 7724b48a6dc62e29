"""The BPF task iterator says what every thread says of itself, and stops none."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.capturing import start_altstack_truth
from tests.support.waiting import PATIENCE_S, until
from tinspect.native import _inspect

if TYPE_CHECKING:
    from tests.native.conftest import Program

StartProgram = Callable[..., "Program"]
SS_ONSTACK, SS_DISABLE = 1, 2
BTF = Path("/sys/kernel/btf/vmlinux")
REGISTER_WORDS, RIP, SP = 21, 16, 19  # struct pt_regs, arch/x86/include/asm/ptrace.h

Task = tuple[int, int, int, int, int, int, bool, int | None, bytes | None]


def offsets_or_reason() -> dict[str, int] | str:
    if not BTF.exists():
        return f"this kernel offers no {BTF}"
    offsets = dict(_inspect.btf_offsets())
    try:
        _inspect.bpf_tasks(os.getpid(), offsets, False)
    except PermissionError as error:
        return str(error)
    return offsets


OFFSETS = offsets_or_reason()
needs_bpf = pytest.mark.skipif(isinstance(OFFSETS, str), reason=str(OFFSETS))


def tasks_of(pid: int, registers: bool) -> dict[int, Task]:
    assert not isinstance(OFFSETS, str)
    return {task[0]: task for task in _inspect.bpf_tasks(pid, OFFSETS, registers)}


def tids_of(pid: int) -> set[int]:
    return {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}


@needs_bpf
@pytest.mark.parametrize("registers", [False, True])
def test_alternate_stacks_are_what_each_thread_says(start_program: StartProgram, registers: bool) -> None:
    program, lines = start_altstack_truth(start_program, 40)
    tasks = tasks_of(program.pid, registers)
    assert set(tasks) == tids_of(program.pid)
    for _, kind, tid, sp, size, flags, base, *_ in lines:
        _, seen_sp, seen_size, seen_flags, _, _, _, thread_pointer, register_bytes = tasks[int(tid)]
        assert (seen_size, seen_flags) == (int(size), int(flags, 16) & ~SS_ONSTACK), kind
        assert seen_flags & SS_DISABLE or seen_sp == int(sp, 16), kind
        assert thread_pointer == int(base, 16), kind
        assert (register_bytes is not None) == registers
    assert {line[1] for line in lines} == {
        "none", "set", "autodisarm", "disabled", "onstack", "spin", "more", "main"
    }  # fmt: skip


def compare_with_proc(pid: int, tids: Iterable[int]) -> int:
    """Compare the registers of those threads that have not run meanwhile with what /proc says; how many that were."""
    before = tasks_of(pid, True)
    syscalls = {tid: Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split() for tid in tids}
    after = tasks_of(pid, True)
    quiet = [tid for tid in tids if before[tid][4:7] == after[tid][4:7] and not before[tid][6]]
    for tid in quiet:
        data = before[tid][8]
        assert data is not None
        assert data == after[tid][8]
        if syscalls[tid][0] != "running":
            registers = struct.unpack(f"={REGISTER_WORDS}Q", data)
            assert (registers[SP], registers[RIP]) == tuple(int(word, 16) for word in syscalls[tid][-2:])
    return sum(syscalls[tid][0] != "running" for tid in quiet)


@needs_bpf
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="knows the registers of x86-64")
def test_registers_of_sleeping_threads_are_those_proc_tells(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program, 20)
    told = [int(line[2]) for line in lines]
    assert compare_with_proc(program.pid, told) == len(told) - 1  # all but the one that spins


@needs_bpf
def test_a_thread_that_runs_shows_it(start_program: StartProgram) -> None:
    program, lines = start_altstack_truth(start_program)
    told = {line[1]: int(line[2]) for line in lines}
    spin, sleeping = told["spin"], told["set"]
    for _ in range(5):
        first = tasks_of(program.pid, False)
        wait_for_cpu_time(program.pid, spin)
        second = tasks_of(program.pid, False)
        assert first[sleeping][4:7] == second[sleeping][4:7]
        assert not first[sleeping][6]
        # It was on a CPU at a look, or was put on one and pushed off again in between, and has that counted.
        assert first[spin][6] or second[spin][6] or first[spin][4:6] != second[spin][4:6]


def wait_for_cpu_time(pid: int, tid: int) -> None:
    """Until the thread has run for another tick of the clock."""

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # utime and stime of proc_pid_stat(5), after pid and name

    before = ticks()
    until(lambda: ticks() > before, f"thread {tid} to run")


@needs_bpf
def test_no_thread_is_missing_while_others_come_and_go(start_program: StartProgram) -> None:
    """The kernel cuts its walk short when the thread it stands at ends; that is noticed and done again."""
    program = start_program("thread_churn", "500")
    staying = {int(line[1]) for line in program.hear_until("ready")} | {program.pid}
    for _ in range(50):
        assert staying <= set(tasks_of(program.pid, False))


@needs_bpf
def test_signals_do_not_disturb_it() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    own = os.getpid()
    sender = os.fork()
    if sender == 0:
        while os.getppid() == own:
            os.kill(own, signal.SIGUSR1)
        os._exit(0)
    try:
        for _ in range(20):
            assert tasks_of(own, True).keys() >= {own}
    finally:
        os.kill(sender, signal.SIGKILL)
        os.waitpid(sender, 0)
        signal.signal(signal.SIGUSR1, before)


IN_NAMESPACE = """
import json, os, sys, threading
from tinspect.native import _inspect
offsets = dict(_inspect.btf_offsets())
release = threading.Event()
tids, ready = [], threading.Barrier(6)
def run():
    tids.append(threading.get_native_id()); ready.wait(); release.wait()
for _ in range(5): threading.Thread(target=run, daemon=True).start()
ready.wait()
seen = [task[0] for task in _inspect.bpf_tasks(os.getpid(), offsets, True)]
print(json.dumps([sorted(seen), sorted([*tids, os.getpid()]), os.getpid()]))
os._exit(0)
"""


@needs_bpf
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare(1) is not installed")
def test_inside_a_pid_namespace_the_numbers_are_the_namespaces() -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", IN_NAMESPACE]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=PATIENCE_S)
    if done.stderr.startswith("unshare: "):  # no rights, or within a chroot, whose root is no mount point
        pytest.skip(f"cannot make a pid namespace with a /proc of its own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    seen, told, pid = json.loads(done.stdout)
    assert pid == 1
    assert seen == told


@needs_bpf
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare(1) is not installed")
def test_from_outside_the_numbers_are_ours() -> None:
    child = subprocess.Popen(
        [*["unshare", "--pid", "--fork", "sh", "-c"], "echo here; exec sleep 60"], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout
        if child.stdout.readline() != b"here\n":
            pytest.skip("may not make a pid namespace here")
        inner = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text())
        assert set(tasks_of(inner, True)) == {inner}
        os.kill(inner, 9)
    finally:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def test_the_numbers_are_plain_and_survive_json() -> None:
    if not BTF.exists():
        pytest.skip(f"this kernel offers no {BTF}")
    offsets = _inspect.btf_offsets()
    assert dict(offsets) == dict(json.loads(json.dumps(offsets)))
    assert all(isinstance(name, str) and type(number) is int and number >= 0 for name, number in offsets)


def test_what_is_no_btf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="CONFIG_DEBUG_INFO_BTF"):
        _inspect.btf_offsets(str(tmp_path / "vmlinux"))
    (tmp_path / "vmlinux").write_bytes(b"ELF is not BTF" * 99)
    with pytest.raises(OSError, match="not BTF"):
        _inspect.btf_offsets(str(tmp_path / "vmlinux"))


def errno_or_offsets(path: str) -> Any:
    try:
        return _inspect.btf_offsets(path)
    except OSError as error:
        return error.errno


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_btf_is_refused_or_answered_and_never_worse(data: st.DataObject) -> None:
    blob = bytearray(small_btf())
    for _ in range(data.draw(st.integers(1, 6))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile() as file:
        file.write(blob[: data.draw(st.integers(0, len(blob)))])
        file.flush()
        seen = errno_or_offsets(file.name)
        assert seen in (errno.EBADMSG, errno.ENODATA) or min(dict(seen).values()) >= 0


def test_made_btf_gives_its_offsets() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(small_btf())
        file.flush()
        assert dict(_inspect.btf_offsets(file.name)) == SMALL_OFFSETS


def test_unknown_processes_and_wrong_numbers_are_errors() -> None:
    if isinstance(OFFSETS, str):
        pytest.skip(OFFSETS)
    with pytest.raises(ProcessLookupError):
        _inspect.bpf_tasks(2**22 + 1, OFFSETS, False)
    with pytest.raises(KeyError, match="sas_ss_sp"):
        _inspect.bpf_tasks(os.getpid(), {k: v for k, v in OFFSETS.items() if not k.endswith("sas_ss_sp")}, False)
    with pytest.raises(ValueError, match="out of bounds"):
        _inspect.bpf_tasks(os.getpid(), {**OFFSETS, "task_struct.nvcsw": 2**40}, False)
    with pytest.raises(OSError, match="loading the task iterator") as caught:
        _inspect.bpf_tasks(os.getpid(), {**OFFSETS, "task_struct.nvcsw": 32760}, False)
    assert "task" in str(caught.value)  # the verifier's own words


@pytest.mark.skipif(os.geteuid() != 0 or not BTF.exists(), reason="needs root, to give up rights, and BTF")
def test_without_the_rights_it_says_which() -> None:
    offsets = dict(_inspect.btf_offsets())
    reader = os.fork()
    if reader == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            _inspect.bpf_tasks(os.getpid(), offsets, True)
        except PermissionError as error:
            os._exit(0 if "CAP_BPF and CAP_PERFMON" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == 0


def small_btf() -> bytes:
    """BTF with all that is needed: on_cpu in an unnamed structure, thread behind a typedef, a bit field."""
    strings, types = bytearray(b"\0"), bytearray()

    def name(text: str) -> int:
        if not text:
            return 0
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    def add(text: str, kind: int, items: Sequence[tuple[str, int, int]], size_or_type: int, bits: bool = False) -> None:
        types.extend(struct.pack("<III", name(text), kind << 24 | bits << 31 | len(items), size_or_type))
        for member, type_id, offset in items:
            types.extend(struct.pack("<III", name(member), type_id, offset))

    types.extend(struct.pack("<IIII", name("long"), 1 << 24, 8, 64))  # 1
    add("thread_struct", 4, [("fsbase", 1, 40 * 8), ("uw", 6, 48 * 8)], 64)  # 2
    add("thread_t", 8, [], 2)  # 3
    add("", 4, [("on_cpu", 1, 32)], 8)  # 4
    members = ["group_leader", "thread_pid", "nvcsw", "nivcsw", "signal", "sas_ss_sp", "sas_ss_size", "sas_ss_flags"]
    add(
        "task_struct",
        4,
        [("early", 1, 3 << 24), ("flags", 1, 64), ("", 4, 128)]
        + [(member, 1, (24 + 8 * index) * 8) for index, member in enumerate(members)]
        + [("thread", 3, 100 * 8)],
        400,
        bits=True,
    )  # 5
    add("", 4, [("tp_value", 1, 0)], 8)  # 6
    add("pid", 4, [("level", 1, 32), ("numbers", 1, 128)], 32)
    add("upid", 4, [("nr", 1, 0)], 16)
    add("signal_struct", 4, [("nr_threads", 1, 64)], 16)
    add("pt_regs", 4, [], 168)
    add("bpf_iter_task", 12, [], 1)
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + bytes(types) + bytes(strings)


SMALL_OFFSETS = {
    "task_struct.flags": 8,
    "task_struct.on_cpu": 20,
    "task_struct.group_leader": 24,
    "task_struct.thread_pid": 32,
    "task_struct.nvcsw": 40,
    "task_struct.nivcsw": 48,
    "task_struct.signal": 56,
    "task_struct.sas_ss_sp": 64,
    "task_struct.sas_ss_size": 72,
    "task_struct.sas_ss_flags": 80,
    **(
        {"task_struct.thread.uw.tp_value": 148}
        if os.uname().machine == "aarch64"
        else {"task_struct.thread.fsbase": 140}
    ),
    "pid.level": 4,
    "pid.numbers": 16,
    "upid.nr": 0,
    "sizeof.upid": 16,
    "signal_struct.nr_threads": 8,
    "sizeof.pt_regs": 168,
    "function.bpf_iter_task": 11,
}
