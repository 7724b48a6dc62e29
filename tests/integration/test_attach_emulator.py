"""A process that emulates another processor is looked at as what it is: the emulator. Its guest's ELF images are data to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.aarch64 import SYSROOT, build_program, needs_aarch64, running
from tinspect.model.options import AttachOptions
from tinspect.session import attach_report

pytestmark = needs_aarch64


@pytest.mark.parametrize("passive", [False, True], ids=["live", "passive"])
def test_the_emulator_s_own_threads_and_libc_are_shown(tmp_path: Path, passive: bool) -> None:
    program = build_program("core_crash")
    with running(tmp_path, program, ("wait", "2"), "ready") as emulated:
        told = [line.split() for line in emulated.lines]
        mapped = Path(f"/proc/{emulated.process.pid}/maps").read_text()
        report = attach_report(emulated.process.pid, AttachOptions(passive=passive))
    assert (
        str(SYSROOT / "lib/libc.so.6") in mapped
    )  # the guest's libc lies there too, at a lower address than the emulator's
    assert report.target.architecture == os.uname().machine
    assert report.target.libc.name == "glibc"
    assert not [gap for gap in report.incomplete if gap.what == "libc"]
    assert not [module.path for module in report.modules if module.path.startswith((str(SYSROOT), str(program)))]
    # QEMU gives each guest thread a thread of its own, under the tid that the guest sees; it stands on the emulator's stack.
    guests = {int(words[1]): (int(words[3], 0), int(words[4], 0)) for words in told if words[0] == "thread"}
    for tid, (low, high) in guests.items():
        entry = report.thread(tid)
        assert entry
        assert entry.stack
        assert entry.stack.range.high <= low or high <= entry.stack.range.low
