"""Makes what the manual shows of the full-screen view: ``python -m scripts.tui_docs keys|screens``.

The key table comes from the bindings. The screens in docs/tutorials/tui.md are those of the bundled demo program in a real terminal:
after each line ``<!-- screen COLUMNS LINES KEYS -->`` the next block is replaced. Thread ids, clock and durations are made the same always.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.tmux import ROOT, Terminal
from tinspect.tui.bindings import key_table

TUTORIAL = ROOT / "docs/tutorials/tui.md"
KEYS = ROOT / "docs/reference/tui-keys.md"
_BLOCK = re.compile(r"(<!-- screen (\d+) (\d+)((?: \w+)*) -->\n```text\n).*?(```)", re.DOTALL)
_FIRST_TID = 40_001
_WAITING = {
    "3": "Instructions",
    "M": "Stacks where they lie",
    "X": "who points into whom",
    "2": "rsp",
    "6": "Pointed to by",
}


def main() -> int:
    if sys.argv[1:] == ["keys"]:
        KEYS.write_text(key_table())
    elif sys.argv[1:] == ["screens"]:
        TUTORIAL.write_text(_BLOCK.sub(_replaced, TUTORIAL.read_text()))
    else:
        print(__doc__, file=sys.stderr)
        return 64
    return 0


def _replaced(block: re.Match[str]) -> str:
    columns, lines, keys = int(block[2]), int(block[3]), block[4].split()
    return f"{block[1]}{_screen(columns, lines, keys)}{block[5]}"


def _screen(columns: int, lines: int, keys: list[str]) -> str:
    # The same addresses each time: without them the screens would differ in every line.
    command = ["setarch", "-R", str(ROOT / "build/native/tinspect-demo")]
    demo = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if demo.stdout is not None:
            demo.stdout.readline()
        tids = sorted(int(task.name) for task in Path(f"/proc/{demo.pid}/task").iterdir())
        with Terminal(columns, lines) as terminal:
            terminal.type(f"tinspect tui {demo.pid} --interval 3600\n")
            terminal.wait_for("report made in")
            for key in keys:
                terminal.press(key)
                if key in _WAITING:
                    terminal.wait_for(_WAITING[key])
            return _normal(terminal.screen(), tids)
    finally:
        demo.kill()
        demo.wait()


def _normal(text: str, tids: list[int]) -> str:
    names = {str(tid): str(_FIRST_TID + rank) for rank, tid in enumerate(tids)}
    text = re.sub(r"(?<![\w.])\d{4,7}(?![\w.])", lambda found: names.get(found.group(), found.group()), text)
    text = re.sub(r"\d\d:\d\d:\d\d", "12:00:00", text)
    text = re.sub(r"report made in [\d.]+ \S+; every 3600 s", "report made in 90.0 ms; every 2 s", text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines()).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
