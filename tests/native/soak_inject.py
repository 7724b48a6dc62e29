"""Kill the injector with SIGKILL at random instants, again and again: no thread of its target may be harmed.

A call that no stop can leave alone (epoll_wait, recv with a timeout) may see EINTR when the kill comes between the stop
and the injector's undoing of it, as from any debugger that dies: those are counted. Without a kill there are none.

Run: python tests/native/soak_inject.py [--kills N] [--seed N]. The target checks itself (tests/programs/invariants.c).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

from tinspect.formats.gadgets import SyscallGadgets, find_gadgets
from tinspect.native import _inspect

ROOT = Path(__file__).resolve().parents[2]
LONGEST_LIFE_S = 0.012
KILLS_BETWEEN_CHECKS = 50
Threads = list[tuple[int, int, int]]


def find_libc_gadgets(pid: int) -> SyscallGadgets:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = re.match(r"(\w+)-(\w+) r-xp .*/(libc\.so|libc-|ld-musl)", line)
        if match:
            low, high = (int(bound, 16) for bound in match.groups()[:2])
            gadgets = find_gadgets(_inspect.read_memory(pid, low, high - low), low)
            assert gadgets
            return gadgets
    raise AssertionError(f"process {pid} has no libc")


class Target:
    def __init__(self) -> None:
        program = "build/programs/invariants"
        subprocess.run(["make", "-s", "-f", "tests/programs/programs.mk", program], cwd=ROOT, check=True)
        self.process = subprocess.Popen([ROOT / program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.threads: Threads = []
        self.stacks: dict[int, tuple[int, int, int]] = {}
        while (words := self.hear())[0] == "thread":
            tid, low, high, sp, size, flags = (int(word, 0) for word in words[2:])
            self.threads.append((tid, low, high))
            self.stacks[tid] = (sp, size, flags)
        assert words == ["ready"]

    def hear(self) -> list[str]:
        assert self.process.stdout
        words = self.process.stdout.readline().split()
        if not words or words[0] == "failed":
            raise SystemExit(f"the target noticed: {' '.join(words)} (status {self.process.wait()})")
        return words

    def check(self) -> int:
        """Wait until every thread has made another round; how many calls were interrupted so far."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended: what it said last is still to be heard
            self.process.stdin.write("alive\n")
            self.process.stdin.flush()
        return int(self.hear()[1])

    def check_free(self) -> None:
        for status in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            text = status.read_text()
            assert "\nTracerPid:\t0\n" in text, text
            assert not re.search(r"\nState:\t[tT]", text), text


def ask_for_ever(target: Target, gadgets: SyscallGadgets) -> None:
    while True:
        _inspect.inject_sigaltstack(target.process.pid, target.threads, gadgets)


def kill_one(target: Target, gadgets: SyscallGadgets, life_s: float) -> None:
    """Let a child inject for a random time, and kill it; its death is complete when this returns."""
    child = os.fork()
    if child == 0:
        try:
            ask_for_ever(target, gadgets)
        finally:
            os._exit(1)
    time.sleep(life_s)
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != -signal.SIGKILL:
        target.check()  # says why, if it was the target that ended
        raise SystemExit(f"the injector ended by itself, with status {status}")


def check_answers(target: Target, gadgets: SyscallGadgets) -> None:
    for tid, sp, size, flags, error, why in _inspect.inject_sigaltstack(target.process.pid, target.threads, gadgets):
        assert (error, why) == (0, None), (tid, error, why)
        assert (sp, size, flags) == target.stacks[tid], tid


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    generator = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    target = Target()
    gadgets = find_libc_gadgets(target.process.pid)
    check_answers(target, gadgets)
    interrupted = target.check()
    assert interrupted == 0, f"injection left {interrupted} EINTR without any kill"
    started = time.monotonic()
    for kill in range(1, options.kills + 1):
        kill_one(target, gadgets, generator.uniform(0, LONGEST_LIFE_S))
        if kill % KILLS_BETWEEN_CHECKS == 0 or kill == options.kills:
            interrupted = target.check()
            if kill % (20 * KILLS_BETWEEN_CHECKS) == 0:
                print(f"{kill} kills, {time.monotonic() - started:.0f} s", flush=True)
    check_answers(target, gadgets)
    target.check_free()
    target.process.kill()
    target.process.wait()
    print(f"{options.kills} kills, {len(target.threads)} threads intact, {interrupted} calls of theirs interrupted")


if __name__ == "__main__":
    main()
