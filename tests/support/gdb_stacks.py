"""What gdb says of a process: the registers and frames of all its threads, as ground truth."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE_S
from tinspect.arch.x86_64 import X86_64
from tinspect.model.registers import RegisterSet

_SCRIPT = Path(__file__).with_name("gdb_dump_stacks.py")


@dataclass(frozen=True)
class GdbFrame:
    """One frame; ``cfa`` is None where gdb tells none (the outermost, when it has no unwind information)."""

    pc: int
    cfa: int | None
    function: str | None
    start: int | None
    kind: str


@dataclass(frozen=True)
class GdbThread:
    tid: int
    registers: RegisterSet
    frames: tuple[GdbFrame, ...]
    stop: str


def gdb_stacks(pid: int, frame_limit: int = 400) -> dict[int, GdbThread]:
    """All threads of the live process ``pid`` by tid."""
    command = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set backtrace past-main on"]
    command += ["-p", str(pid), "-x", str(_SCRIPT)]
    environment = {**os.environ, "STACKS_REGISTERS": ",".join(X86_64.registers.names), "STACKS_LIMIT": str(frame_limit)}
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True, env=environment)
    marked = [line for line in run.stdout.splitlines() if line.startswith("STACKS ")]
    assert marked, run.stdout + run.stderr
    threads = {}
    for item in json.loads(marked[-1].removeprefix("STACKS ")):
        values = tuple(item["registers"])
        by_name = dict(zip(X86_64.registers.names, values, strict=True))
        registers = RegisterSet(X86_64.registers.names, values, by_name["rip"], by_name["rsp"])
        frames = tuple(GdbFrame(**frame) for frame in item["frames"])
        threads[item["tid"]] = GdbThread(item["tid"], registers, frames, item["stop"])
    return threads
