"""The program in a real terminal: keys in, screen out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import core_maker
from tests.support.tmux import PROMPT, ROOT, Terminal
from tests.support.waiting import PATIENCE_S, wait_until_still

pytestmark = [pytest.mark.usefixtures("tmux"), pytest.mark.xdist_group("tui")]

READY = "report made in"
DEMO = ROOT / "build/native/tinspect-demo"

PYTHON = """
import sys, threading
def worker(): threading.Event().wait()
for n in range(3): threading.Thread(target=worker, name=f"py-{n}", daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


class Demo:
    """The demo program, and what it says of itself."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([DEMO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.truth = json.loads(self.process.stdout.readline())
        self.tids = {thread["name"]: thread["tid"] for thread in self.truth["threads"]}

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()


@pytest.fixture
def demo() -> Iterator[Demo]:
    if not DEMO.exists():
        pytest.skip("the demo program is not built: make runtime")
    program = Demo()
    yield program
    program.end()


def test_the_demo_is_shown_and_references_are_followed(demo: Demo) -> None:
    with Terminal(80, 24) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid}\n")
        terminal.wait_for(READY, f"pid {demo.process.pid}", "15 threads", "looked at without stopping it")
        # The stray pointer: where the program says it points, there the cursor comes to stand.
        terminal.type("/stray")
        terminal.press("Enter")
        terminal.type("6")
        terminal.wait_for("Points into other stacks: 1")
        stray = int(demo.truth["stray"]["value"], 16)
        terminal.wait(lambda screen: _address_in(screen, "live") == stray, f"a pointer to {stray:#x}")
        terminal.press("Tab", "Enter")
        terminal.wait_for("[frames]", "outer_body")
        terminal.wait(lambda screen: _cursor_line(screen).startswith("4 "), "the cursor on frame 4", colours=True)
        terminal.press("BSpace")
        terminal.wait_for("[refs]", "Points into other stacks: 1")
        terminal.type("q")
        terminal.wait_for(PROMPT)
        terminal.wait_for_plain_screen()


def _address_in(screen: str, verdict: str) -> int | None:
    found = re.search(rf"^{verdict}.*?(0x[0-9a-f]+) ", screen, re.MULTILINE)
    return int(found[1], 16) if found else None


def _cursor_line(screen: str) -> str:
    """The line in reverse video, less its indentation."""
    lines = (line for line in screen.splitlines() if re.search(r"\x1b\[[0-9;]*\b7m", line))
    return re.sub(r"\x1b\[[0-9;]*m", "", next(lines, "")).lstrip()


def _rows(screen: str) -> dict[int, str]:
    """The lines of the list of threads, by tid."""
    return {int(line.split()[0]): line for line in screen.splitlines() if re.match(r" *\d+ ", line)}


def test_every_thread_stands_in_the_wide_list_with_its_stack(demo: Demo) -> None:
    with Terminal(200, 60) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid}\n")
        words = {tid: [name] for name, tid in demo.tids.items()}
        words[demo.tids["own stack"]].append("none")
        words[demo.tids["altstack"]].append("elsewhere")

        def are_there(screen: str) -> bool:
            rows = _rows("\n".join(screen.splitlines()[3:18]))
            return rows.keys() == words.keys() and all(word in rows[tid] for tid in words for word in words[tid])

        terminal.wait(are_there, "every thread with its stack")
        terminal.type("M")
        terminal.wait_for("Stacks where they lie")
        terminal.resize(80, 24)
        terminal.wait(lambda screen: "[map]" in screen and max(map(len, screen.splitlines())) <= 80, "the small screen")
        terminal.type("q")
        terminal.wait_for(PROMPT)


def test_stopped_only_when_asked_and_running_after_it(demo: Demo) -> None:
    with Terminal(100, 30) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid} --interval 3600\n")
        terminal.wait_for(READY, "looked at without stopping it")
        terminal.type("S")
        terminal.wait_for("stood still for")
        wait_until_still(demo.process.pid)
        terminal.type("w")
        terminal.wait_for("what is")
        stray = demo.truth["stray"]
        terminal.press("C-u")
        terminal.type(stray["value"])
        terminal.press("Enter")
        terminal.wait_for("[whatis]", f"On the stack of thread {demo.tids['demo']}")
        terminal.press("Tab", "1", "Tab", "y")
        terminal.wait_for("Copied 0x")
        assert re.fullmatch(r"0x[0-9a-f]+", terminal.clipboard().strip())
        terminal.type("q")
        terminal.wait_for(PROMPT)


def test_the_last_picture_of_a_dead_process_stays(demo: Demo) -> None:
    with Terminal(100, 30) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid} --interval 0.2\n")
        terminal.wait_for(READY)
        demo.process.kill()
        demo.process.wait()
        assert "first reader" in terminal.wait_for("it has ended")
        terminal.press("Down", "Down")
        terminal.type("4")
        terminal.wait_for("[stack]", "Alternate signal stacks")
        terminal.type("q")
        terminal.wait_for(PROMPT)


def test_ctrl_z_and_back(demo: Demo) -> None:
    with Terminal(80, 24) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid}\n")
        terminal.wait_for(READY)
        terminal.press("C-z")
        terminal.wait_for("Stopped", PROMPT)
        assert terminal.format("#{alternate_on}") == "0"
        terminal.type("echo still $((40 + 2))\n")
        terminal.wait_for("still 42")
        terminal.type("fg\n")
        terminal.wait_for(READY, "[frames]")
        terminal.type("q")
        terminal.wait_without(READY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_clean_after_signals(demo: Demo, number: signal.Signals) -> None:
    with Terminal(80, 24) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid}; echo status $?\n")
        terminal.wait_for(READY)
        viewer = next(pid for pid in _children(int(terminal.format("#{pane_pid}"))))
        os.kill(viewer, number)
        terminal.wait(lambda screen: re.search(r"^status \d", screen, re.MULTILINE) is not None, "its status")
        terminal.wait_for_plain_screen()
        wait_until_still(demo.process.pid)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_no_colours_where_none_are_wanted(demo: Demo) -> None:
    with Terminal(80, 24, {"NO_COLOR": "1"}) as terminal:
        terminal.type(f"tinspect tui {demo.process.pid}\n")
        terminal.wait_for(READY)
        assert not re.search(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|38|9[0-7])(?:;[0-9]+)*m", terminal.screen(colours=True))


def test_a_terminal_that_cannot_is_refused(demo: Demo) -> None:
    with Terminal(80, 24, {"TERM": "dumb"}) as terminal:
        terminal.type(f"TERM=dumb tinspect tui {demo.process.pid}; echo status $?\n")
        terminal.wait_for("TERM=dumb)", "status 64")


def test_a_process_that_is_not_there_is_told_on_the_plain_screen() -> None:
    with Terminal(80, 24) as terminal:
        terminal.type("tinspect tui 4194304; echo status $?\n")
        terminal.wait_for("status 2")
        assert terminal.format("#{alternate_on}") == "0"


def test_cpython_with_threads() -> None:
    process = subprocess.Popen([sys.executable, "-c", PYTHON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "ready\n"
        tids = sorted(int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir())
        with Terminal(120, 40) as terminal:
            terminal.type(f"tinspect tui {process.pid}\n")
            terminal.wait_for(READY, "4 threads", *(str(tid) for tid in tids))
            terminal.press("Down")
            terminal.type("5")
            terminal.wait_for("[tls]", "Thread-local variables")
            terminal.type("q")
            terminal.wait_for(PROMPT)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_a_core(tmp_path: Path) -> None:
    program = core_maker.start_crash(tmp_path, "overflow")
    try:
        core = program.die()
    finally:
        program.end()
    with Terminal(100, 30) as terminal:
        terminal.type(f"tinspect tui {core} {program.executable}\n")
        terminal.wait_for(READY, "core dump", "a core does not change", *(str(tid) for tid in program.threads))
        terminal.type("F")
        terminal.wait_for("[findings]", "stack-overflow", f"Thread {program.crasher.tid}")
        terminal.type("3")
        terminal.wait_for("→")
        terminal.type("q")
        terminal.wait_for(PROMPT)
