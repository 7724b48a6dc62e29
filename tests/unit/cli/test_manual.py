from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_S
from tinspect.cli.arguments import ALTSTACK_NAMES, SECTION_NAMES
from tinspect.cli.manual import described_commands, man_page, reference_page
from tinspect.cli.parser import COMMANDS
from tinspect.model.options import AltstackMode, Section

DOCS = Path(__file__).parents[3] / "docs"


def test_the_pages_are_those_of_the_parser() -> None:
    assert reference_page() == (DOCS / "reference" / "cli.md").read_text(), "run: make pages"
    assert man_page() == (DOCS / "man" / "tinspect.1").read_text(), "run: make pages"


def test_names_in_the_parser_are_those_of_the_model() -> None:
    """The parser has copies, so that --help need not import the model."""
    assert tuple(Section) == SECTION_NAMES
    assert tuple(AltstackMode) == ALTSTACK_NAMES


def test_synopses() -> None:
    synopses = {command.name: command.synopsis for command in described_commands()}
    assert synopses["attach"] == "tinspect attach [OPTION...] PID"
    assert synopses["run"] == "tinspect run [OPTION...] -- CMD [ARG...]"
    assert synopses["snapshot"] == "tinspect snapshot [OPTION...] PID -o FILE"
    assert synopses["gdb"] == "tinspect gdb [OPTION...] [GDB ARG...]"
    assert synopses["completion"] == "tinspect completion SHELL"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_page_renders_without_warnings() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou"],
        input=man_page(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stderr == ""
    shown = " ".join(done.stdout.split())
    for command in COMMANDS:
        assert f"tinspect {command.NAME}" in shown
    assert "--stop-busy" in shown
    assert "EXIT STATUS" in shown
    assert "\\e" not in shown
