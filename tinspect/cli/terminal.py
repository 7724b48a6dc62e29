"""Where words go: a stream, its width, whether it takes colours and more than ASCII; and the pager for what is long."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from tinspect.errors import TinspectError

if TYPE_CHECKING:
    from tinspect.views.span import Line

WIDTH_OF_NO_TERMINAL = 120
NARROWEST = 40


def wants_colour(stream: TextIO, environment: Mapping[str, str], no_colour: bool) -> bool:
    """Whether to colour: --no-color, NO_COLOR and CLICOLOR=0 forbid, CLICOLOR_FORCE insists, else a terminal that is not dumb."""
    if no_colour or environment.get("NO_COLOR") or environment.get("CLICOLOR") == "0":
        return False
    if environment.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def takes_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding can write our signs."""
    try:
        "…–×█▒·├└─→µ“”".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@dataclass(frozen=True)
class Terminal:
    """A stream to write lines to. ``colour`` and ``unicode`` say what it takes, ``pager`` whether long output may be paged."""

    stream: TextIO
    colour: bool = False
    unicode: bool = False
    pager: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows as they are now; COLUMNS and LINES win (environ(7))."""
        if not self.stream.isatty() and "COLUMNS" not in os.environ:
            return WIDTH_OF_NO_TERMINAL, 1 << 30
        columns, rows = shutil.get_terminal_size((80, 24))
        return max(columns, NARROWEST), rows

    @property
    def width(self) -> int:
        """Columns."""
        return self.size[0]

    @cached_property
    def _styles(self) -> Mapping[str, tuple[str, str]]:
        """What to write before and after a text of each role; rich knows how many colours this terminal has."""
        from rich.color import ColorSystem
        from rich.console import Console
        from rich.style import Style

        from tinspect.cli.styles import STYLES

        name = Console(file=self.stream, force_terminal=True).color_system or "standard"
        systems = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}
        rendered = {
            role: Style.parse(style).render("\0", color_system=systems.get(name, ColorSystem.STANDARD))
            for role, style in STYLES.items()
        }
        return {role: (text.split("\0")[0], text.split("\0")[1]) for role, text in rendered.items()}

    def paint(self, lines: Iterable[Line]) -> list[str]:
        """The lines as text, with colours where they are wanted; no line ends."""
        if not self.colour:
            return ["".join(span.text for span in line).rstrip() for line in lines]
        styles = self._styles
        painted = []
        for line in lines:
            parts = [(styles[span.role], span.text) for span in line]
            painted.append("".join(f"{before}{text}{after}" for (before, after), text in parts))
        return painted

    def write(self, lines: Iterable[Line]) -> None:
        """Writes the lines; through the pager when they are more than the screen holds."""
        painted = self.paint(lines)
        lines_ended = [f"{line}\n" for line in painted]
        if self.pager and self.stream.isatty() and len(painted) >= self.size[1] and page("".join(lines_ended)):
            return
        self.stream.writelines(lines_ended)  # piece by piece: one huge write() would hide that the reader is gone
        self.stream.flush()


def page(text: str) -> bool:
    """Shows ``text`` through $PAGER (less); False when there is no pager that starts. Raises TinspectError for a senseless $PAGER."""
    import subprocess

    command = _pager_command()
    if not command:
        return False
    # R: colours pass; F: gone when it fits after all; X: what was read stays on the screen.
    environment = {**os.environ, "LESS": os.environ.get("LESS", "FRX"), "LV": os.environ.get("LV", "-c")}
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment, text=True, errors="backslashreplace"
        )
    except OSError:
        return False
    # Ctrl-C belongs to the pager while it runs.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.communicate(text)
    finally:
        signal.signal(signal.SIGINT, previous)
    return True


def _pager_command() -> list[str]:
    import shlex

    try:
        command = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError as problem:
        raise TinspectError(
            f"PAGER cannot be understood: {problem}.", "Set it to a command, or use --no-pager."
        ) from problem
    return [] if command == ["cat"] else command
