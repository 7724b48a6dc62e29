from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.unit.cli.fake import CommandLine, FakeTerminal
from tests.unit.reports import crowd
from tinspect.cli import progress as progress_module
from tinspect.cli.files import write_whole
from tinspect.cli.progress import ProgressLine
from tinspect.cli.terminal import Terminal, takes_unicode
from tinspect.views.span import Span
from tinspect.views.table import Role


def test_long_output_goes_through_the_pager(
    tinspect: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paged = tmp_path / "paged"
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("PAGER", f"sh -c 'echo \"LESS=$LESS\" >{paged}; cat >>{paged}'")
    tinspect.session.reports = [crowd(100)]
    outcome = tinspect.run("attach", "1", "--every-thread", "--only", "threads", terminal=True)
    assert outcome.output == ""
    assert paged.read_text().startswith("LESS=FRX\n")
    assert paged.read_text().count("worker-") == 100
    paged.unlink()
    assert "main" in tinspect.run("attach", "1", "--only", "threads", terminal=True).output  # it fits
    assert "worker-9" in tinspect.run("attach", "1", "--every-thread", "--no-pager", terminal=True).output
    assert "worker-9" in tinspect.run("attach", "1", "--every-thread").output
    assert not paged.exists()


@pytest.mark.parametrize("pager", ["", "cat", "/no/such/pager"])
def test_no_pager(tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch, pager: str) -> None:
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("PAGER", pager)
    tinspect.session.reports = [crowd(100)]
    assert "worker-9" in tinspect.run("attach", "1", "--every-thread", terminal=True).output


def test_a_senseless_pager_is_named(tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("PAGER", "less '")
    tinspect.session.reports = [crowd(100)]
    outcome = tinspect.run("attach", "1", "--every-thread", terminal=True)
    assert outcome.status == 2
    assert "PAGER cannot be understood" in outcome.errors


def test_ascii_streams_get_ascii(tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    class AsciiStream(io.StringIO):
        encoding = "ascii"

    assert not takes_unicode(AsciiStream())
    assert takes_unicode(FakeTerminal())
    monkeypatch.setattr("tinspect.cli.context.takes_unicode", lambda stream: False)
    assert tinspect.run("attach", "1").output.isascii()


def test_painting() -> None:
    line = (Span("bad", Role.ERROR), Span(" plain  "))
    assert Terminal(FakeTerminal()).paint([line]) == ["bad plain"]
    assert Terminal(FakeTerminal(), colour=True).paint([line]) == ["\x1b[1;31mbad\x1b[0m plain  "]


def test_progress_shows_itself_late_and_on_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, patience, shown in (
        (FakeTerminal(), 0.0, True),
        (FakeTerminal(), 60.0, False),
        (io.StringIO(), 0.0, False),
    ):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(progress_module, "PATIENCE", patience)
        with ProgressLine(stream, enabled=True) as line:
            line.tell("reading [bold]stacks", 1, 3)
            line.tell("reading [bold]stacks", 2, 3)
            line.tell("thinking", 0, None)
        assert ("reading [bold]stacks" in stream.getvalue()) is shown


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    write_whole(str(target), "one")
    write_whole(str(target), "two")
    assert target.read_text() == "two"
    with pytest.raises(UnicodeEncodeError):
        write_whole(str(target), "\udcff")
    assert target.read_text() == "two"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(str(tmp_path / "no" / "page.html"), "one")
    assert caught.value.filename == str(tmp_path / "no" / "page.html")
    write_whole("/dev/null", "gone")
