"""How each role looks: the sixteen colours that every terminal theme sets to be readable, on light and on dark; bold, dim and reverse
alone where colours are not wanted (NO_COLOR)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from tinspect.views.table import Role

_STYLES: Mapping[Role, str] = {
    Role.PLAIN: "",
    Role.TITLE: "bold",
    Role.HEADER: "underline",
    Role.ADDRESS: "",
    Role.SIZE: "",
    Role.NAME: "bold",
    Role.CODE: "",
    Role.DIM: "dim",
    Role.GUESS: "dim italic",
    Role.GOOD: "ansigreen",
    Role.NOTE: "ansicyan",
    Role.WARNING: "ansiyellow bold",
    Role.ERROR: "ansired bold",
    Role.USED: "ansicyan",
    Role.PEAK: "ansiblue",
    Role.FREE: "dim",
    Role.CHANGED: "ansimagenta bold",
}
_BARS = frozenset((Role.USED, Role.PEAK, Role.FREE))


def make_style() -> Style:
    """The style sheet of the application."""
    return Style(
        [(role.value, style) for role, style in _STYLES.items() if style] + [("chosen", "reverse"), ("marked", "bold")]
    )


def style_of(role: Role, *, chosen: bool, marked: bool) -> str:
    """The classes of a span; the cursor turns all but bars round, which would vanish."""
    classes = f"class:{role.value}"
    if chosen and role not in _BARS:
        return f"{classes} class:chosen"
    return f"{classes} class:marked" if marked else classes


def color_depth(environment: Mapping[str, str] = os.environ) -> ColorDepth | None:
    """How many colours to use: none with NO_COLOR (no-color.org), all of them where COLORTERM says so; None leaves it to TERM."""
    if environment.get("NO_COLOR"):
        return ColorDepth.MONOCHROME
    if environment.get("COLORTERM") in {"truecolor", "24bit"}:
        return ColorDepth.TRUE_COLOR
    return None
