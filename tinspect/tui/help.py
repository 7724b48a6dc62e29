"""The help, made from the bindings."""

from __future__ import annotations

from functools import cache

from tinspect.tui.bindings import GROUPS, MOUSE
from tinspect.views.span import Line, Span
from tinspect.views.table import Role
from tinspect.views.width import display_width

FOOTER = "? help  / filter  Tab pane  Enter follow  ←→ panes  r refresh  S exact  h hold  w what is  q leave"
"""The keys one needs first."""

_LABEL = 12


@cache
def help_lines() -> tuple[Line, ...]:
    """All keys in their groups."""
    lines: list[Line] = [(Span("Keys", Role.TITLE), Span("   ↑ ↓ scroll, ? or Esc closes", Role.DIM)), ()]
    for group in GROUPS:
        lines.append((Span(group.title, Role.TITLE),))
        lines += [_line(item.label, item.words) for item in group.bindings]
        lines.append(())
    return (*lines, (Span("Mouse", Role.TITLE),), *(_line(action, words) for action, words in MOUSE))


def _line(label: str, words: str) -> Line:
    return (Span("  "), Span(label + " " * max(_LABEL - display_width(label), 1), Role.NAME), Span(words))
