from __future__ import annotations

from pathlib import Path

from prompt_toolkit.output import ColorDepth

from tinspect.tui.bindings import GROUPS, key_table
from tinspect.tui.help import help_lines
from tinspect.tui.style import color_depth, make_style
from tinspect.views.span import plain_text

ROOT = Path(__file__).parents[3]


def test_no_key_means_two_things() -> None:
    keys = [key for group in GROUPS for item in group.bindings for key in item.keys]
    assert len(keys) == len(set(keys))


def test_help_and_manual_name_every_key() -> None:
    text = plain_text(help_lines())
    assert all(item.label in text and item.words in text for group in GROUPS for item in group.bindings)
    manual = (ROOT / "docs/reference/tui-keys.md").read_text()
    assert manual == key_table(), "run: .venv/bin/python scripts/tui_docs.py keys"


def test_colours() -> None:
    assert color_depth({"NO_COLOR": "1", "COLORTERM": "truecolor"}) is ColorDepth.MONOCHROME
    assert color_depth({"COLORTERM": "truecolor"}) is ColorDepth.TRUE_COLOR
    assert color_depth({}) is None
    # Only the terminal's own sixteen: its user has made them readable on the background there is.
    assert not any("#" in style for _, style in make_style().style_rules)
