"""What doctor says of rights and tools it cannot have tried here, and why a process may not be inspected."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tinspect.arch.x86_64 import X86_64
from tinspect.backends import kernel_tasks, machine
from tinspect.backends.refusal import find_hindrance, may_trace_others
from tinspect.errors import TargetNotFound, TargetRefused
from tinspect.model.doctor import CheckState, DoctorCheck


def check(name: str) -> DoctorCheck:
    return next(found for found in machine.check_machine() if found.name == name)


@pytest.fixture
def no_gdb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH of nothing: the folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("no_gdb")
@pytest.mark.parametrize(
    ("scope", "capable", "state", "words"),
    [
        (1, True, CheckState.OK, "With CAP_SYS_PTRACE"),
        (0, False, CheckState.OK, "of your own"),
        (1, False, CheckState.LIMITED, "Only descendants"),  # root in a container is no more than that
        (2, False, CheckState.MISSING, "needs CAP_SYS_PTRACE"),
        (3, True, CheckState.MISSING, "forbids tracing altogether"),
    ],
)
def test_who_may_be_traced(
    monkeypatch: pytest.MonkeyPatch, scope: int, capable: bool, state: CheckState, words: str
) -> None:
    monkeypatch.setattr(machine, "yama_scope", lambda: scope)
    monkeypatch.setattr(machine, "may_trace_others", lambda: capable)
    found = check("stopping processes")
    assert found.state is state
    assert words in found.detail


def test_the_capability_is_that_of_the_process() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    # Bit 19 of linux/capability.h.
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
    assert may_trace_others() == bool(mask >> 19 & 1)


@pytest.mark.parametrize(
    ("script", "state", "words"),
    [
        (None, CheckState.LIMITED, "not installed"),
        ("echo 3.12", CheckState.OK, "embeds Python 3.12"),
        ("echo 3.9", CheckState.LIMITED, "3.11 is needed"),
        ("echo 'Python scripting is not supported in this copy of GDB.' >&2", CheckState.LIMITED, "without Python"),
        ("exit 1", CheckState.LIMITED, "does not tell"),
    ],
)
def test_gdb_is_judged_by_what_it_says(no_gdb: Path, script: str | None, state: CheckState, words: str) -> None:
    if script is not None:
        (no_gdb / "gdb").write_text(f"#!/bin/sh\n{script}\n")
        (no_gdb / "gdb").chmod(0o755)
    found = check("gdb")
    assert found.state is state
    assert words in found.detail


def test_hindrances_are_named() -> None:
    assert isinstance(find_hindrance(1 << 30), TargetNotFound)
    own = find_hindrance(os.getpid())
    assert own is not None
    assert "itself" in own.message
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert find_hindrance(child.pid) is None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        zombie = find_hindrance(child.pid)
        assert isinstance(zombie, TargetRefused)
        assert "zombie" in zombie.message
        assert str(os.getpid()) in zombie.next_step


def test_a_thread_is_told_from_its_process() -> None:
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    found = find_hindrance(thread.native_id or 0)
    go.set()
    thread.join()
    assert found is not None
    assert f"--tid {thread.native_id}" in found.next_step


@pytest.mark.parametrize("kept", ["", "{}", "[]", "nonsense", '{"a": 1}', '{"task_struct.flags": null}', "[" * 100_000])
def test_a_cache_of_kernel_offsets_that_is_none_is_written_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: str
) -> None:
    """The extension refuses numbers that are missing or none; here its part is played, since the real one needs rights."""
    path = tmp_path / "btf.json"
    path.write_text(kept)

    class Inspect:
        def btf_offsets(self, _path: str) -> tuple[tuple[str, int], ...]:
            return (("task_struct.flags", 44),)

        def bpf_tasks(self, pid: int, offsets: dict[str, int], _registers: bool) -> tuple[tuple[object, ...], ...]:
            if not isinstance(offsets["task_struct.flags"], int):
                raise TypeError(offsets)
            return ((pid, 0, 0, 2, 1, 1, False, None, None),)

    monkeypatch.setattr(kernel_tasks, "_inspect", Inspect())
    monkeypatch.setattr(kernel_tasks, "_cache_path", lambda: path)
    (task,) = kernel_tasks.read_kernel_tasks(7, X86_64, registers=False)
    assert task.tid == 7
    assert path.read_text() == '{"task_struct.flags": 44}'
