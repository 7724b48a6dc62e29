"""Backtraces of all threads: tinspect's unwinder against gdb and eu-stack on the same process.

Run: python -m benchmarks.bench_unwind [THREADS...].
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.support.live_process import LiveProcess
from tests.support.standing_process import StandingProcess, build
from tests.support.waiting import until
from tinspect.arch.x86_64 import X86_64
from tinspect.model.registers import RegisterSet
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import open_symbols
from tinspect.unwind.steps import StepStore
from tinspect.unwind.unwinder import Unwinder


def is_waiting(task: Path) -> bool:
    """Whether it has got to its wait: the kernel says no more than "running" of one that has not."""
    return len((task / "syscall").read_text().split()) == 9


def blocked_registers(pid: int) -> dict[int, RegisterSet]:
    """sp and pc of every thread that waits in a system call (proc_pid_syscall(5)); enough where CFAs are counted from sp."""
    found = {}
    names = X86_64.registers.names
    for task in Path(f"/proc/{pid}/task").iterdir():
        until(partial(is_waiting, task), f"thread {task.name} waits")
        fields = (task / "syscall").read_text().split()
        sp, pc = int(fields[-2], 16), int(fields[-1], 16)
        values = tuple({"rsp": sp, "rip": pc}.get(name, 0) for name in names)
        found[int(task.name)] = RegisterSet(names, values, pc, sp)
    return found


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def unwind_all(pid: int, registers: dict[int, RegisterSet]) -> tuple[float, float, int]:
    """Seconds for everything from opening files, seconds once files were seen before, and frames in all."""
    with LiveProcess(pid) as process:
        images = ImageStore(process.files)
        steps = StepStore(images)

        def once() -> list[int]:
            symbols = open_symbols(process.modules, images)
            unwinder = Unwinder(
                process.memory, process.modules, process.files, X86_64, symbols, mappings=process.mappings, steps=steps
            )
            stacks = [unwinder.unwind(tid, values) for tid, values in registers.items()]
            assert all(stack.complete for stack in stacks), next(s for s in stacks if not s.complete)
            counts.append(sum(len(stack.frames) for stack in stacks))
            return counts

        counts: list[int] = []
        return timed(once), min(timed(once) for _ in range(3)), counts[0]


def run_tool(*command: str) -> float:
    return timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False))


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        program = build("waiting_threads.c", Path(directory) / "waiting_threads", "-O2")
        print(
            f"{'threads':>8} {'frames':>8} {'first s':>9} {'again s':>9} {'gdb s':>8} {'eu-stack s':>11} {'first/gdb':>10}"
        )
        for count in [int(argument) for argument in sys.argv[1:]] or [10, 1000]:
            with StandingProcess([program, str(count)]) as standing:
                registers = blocked_registers(standing.pid)
                first, again, frames = unwind_all(standing.pid, registers)
                gdb = run_tool("gdb", "-nx", "-batch", "-p", str(standing.pid), "-ex", "thread apply all bt")
                eu = run_tool("eu-stack", "-p", str(standing.pid)) if shutil.which("eu-stack") else float("nan")
            print(f"{count:8} {frames:8} {first:9.4f} {again:9.4f} {gdb:8.3f} {eu:11.3f} {first / gdb:10.2f}")


if __name__ == "__main__":
    main()
