"""A real terminal: tmux, driven by keys and read as text."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
PROMPT = "your-turn>"


class Terminal:
    """A shell in a tmux of its own, ``columns`` × ``lines``. Its prompt is PROMPT."""

    def __init__(self, columns: int, lines: int, environment: Mapping[str, str] | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tmux"))
        self._tmux = ["tmux", "-S", str(self._folder / "socket"), "-f", "/dev/null"]
        # tmux takes PATH from its caller, not from -e: so all comes from there.
        self._environment = {
            **os.environ,
            "PS1": f"{PROMPT} ",
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            **(environment or {}),
        }
        self._run("new-session", "-d", "-x", str(columns), "-y", str(lines), "bash", "--norc", "--noprofile", "-i")
        self._run("set-option", "-s", "set-clipboard", "on")

    def __enter__(self) -> Terminal:
        self.wait_for(PROMPT)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False, timeout=PATIENCE_S)
        shutil.rmtree(self._folder)

    def _run(self, *arguments: str) -> str:
        run = subprocess.run(
            [*self._tmux, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return run.stdout

    def type(self, text: str) -> None:
        """Letters as they are."""
        self._run("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: "Enter", "C-z", "Down"."""
        self._run("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def screen(self, colours: bool = False) -> str:
        """What is on the screen."""
        return self._run("capture-pane", "-p", *(["-e"] if colours else []))

    def format(self, words: str) -> str:
        """One of tmux's own variables, as "#{alternate_on}"."""
        return self._run("display-message", "-p", words).strip()

    def wait_for_plain_screen(self) -> None:
        """Until the terminal is as a program should leave it: main screen, no mouse reports, a cursor."""
        modes = "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"
        self.wait(lambda _: self.format(modes) == "0 0 1", "a plain screen")

    def clipboard(self) -> str:
        return self._run("show-buffer")

    def wait(self, is_there: Callable[[str], bool], what: str, *, colours: bool = False) -> str:
        """The screen, once ``is_there`` says so. Ask for all that is to be there: the program paints line by line."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_there(screen := self.screen(colours)):
            assert time.monotonic() < deadline, f"{what} never came:\n{screen}"
            time.sleep(0.05)
        return screen

    def wait_for(self, *texts: str) -> str:
        """The screen, once all ``texts`` stand on it."""
        return self.wait(lambda screen: all(text in screen for text in texts), " and ".join(texts))

    def wait_without(self, text: str) -> str:
        return self.wait(lambda screen: text not in screen, f"a screen without {text}")

    def keys_until(self, keys: Sequence[str], text: str) -> str:
        """Presses keys, then waits for a text."""
        self.press(*keys)
        return self.wait_for(text)
