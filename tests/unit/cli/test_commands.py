"""Every command against a fake session: what it asks, what it writes where, how it ends."""

from __future__ import annotations

import json
import shutil
import signal
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.cli.fake import CommandLine, ends_after
from tests.unit.reports import HOSTILE_NAMES, crowd, renamed, sample_report
from tinspect.cli.parser import COMMANDS
from tinspect.errors import TargetRefused, TinspectError
from tinspect.formats.report_json import dump_report, parse_report
from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.model.options import AltstackMode, AttachOptions, RunOptions, Section, SnapshotOptions

COMPLETE = replace(sample_report(), incomplete=())


def test_attach_shows_every_section(tinspect: CommandLine) -> None:
    outcome = tinspect.run("attach", "4242")
    assert outcome.status == 1
    assert outcome.errors == ""
    for title in (
        "pid 4242", "Crash", "Threads: 4", "Stacks", "Guards", "Alternate signal stacks", "Thread-specific keys", "References",
        "Locks of the runtime", "Scopes: 3", "Process", "Findings: 1 error, 1 note", "Not learnt: 2 gaps",
    ):  # fmt: skip
        assert title in outcome.output
    assert "\x1b" not in outcome.output
    assert tinspect.session.calls == [("attach", 4242, AttachOptions())]


def test_attach_passes_on_what_is_asked(tinspect: CommandLine) -> None:
    tinspect.session.reports = [COMPLETE]
    outcome = tinspect.run(
        "attach", "7", "--only", "stacks,guards", "--tid", "1,2", "--tid", "3", "--heap", "--passive", "--stop-busy",
        "--altstack", "bpf", "--timeout", "2.5",
    )  # fmt: skip
    assert outcome.status == 0
    wanted = AttachOptions(
        frozenset({Section.STACKS, Section.GUARDS}), frozenset({1, 2, 3}), True, True, True, AltstackMode.BPF, 2.5
    )
    assert tinspect.session.calls == [("attach", 7, wanted)]
    assert "Guards" in outcome.output
    assert "Threads" not in outcome.output


def test_json_stands_alone_on_standard_output(tinspect: CommandLine) -> None:
    outcome = tinspect.run("attach", "4242", "--json")
    assert outcome.output.count("\n") == 1
    assert parse_report(outcome.output) == sample_report()
    assert outcome.status == 1
    on_terminal = tinspect.run("attach", "4242", "--json", terminal=True)
    assert parse_report(on_terminal.output) == sample_report()
    assert "\x1b" not in on_terminal.output


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_reach_no_stream_raw(tinspect: CommandLine, name: str) -> None:
    tinspect.session.reports = [renamed(sample_report(), name)]
    for arguments in (
        ("--no-pager",),
        ("--json",),
        ("--no-pager", "--every-thread", "--frames", "--libc-refs", "--no-color"),
    ):
        for terminal in (True, False):
            outcome = tinspect.run("attach", "1", *arguments, terminal=terminal)
            shown = outcome.output.replace("\n", "")
            for code in (
                "\x1b[0m",
                "\x1b[1m",
                "\x1b[1;31m",
                "\x1b[2m",
                "\x1b[2;3m",
                "\x1b[32m",
                "\x1b[33m",
                "\x1b[36m",
                "\x1b[2;36m",
                "\x1b[7m",
            ):
                shown = shown.replace(code, "")  # the only ones that we write
            assert shown.isprintable()
    if name.startswith("\x1b[31m"):
        assert "\x1b[31m" not in tinspect.run("attach", "1", "--no-pager", terminal=True).output


def test_colours_and_their_legend_on_a_terminal(tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = tinspect.run("attach", "1", "--no-pager", terminal=True)
    assert "\x1b[1;31m" in coloured.output
    assert "colours: " in coloured.output
    for arguments, variable in (
        (("--no-color",), None),
        ((), ("NO_COLOR", "1")),
        ((), ("CLICOLOR", "0")),
        ((), ("TERM", "dumb")),
    ):
        with monkeypatch.context() as patch:
            if variable:
                patch.setenv(*variable)
            assert "\x1b" not in tinspect.run("attach", "1", "--no-pager", *arguments, terminal=True).output
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    assert "\x1b[1;31m" in tinspect.run("attach", "1").output


def test_width_of_the_terminal(tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (80, 100, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = tinspect.run("attach", "1", "--only", "stacks,guards,refs,threads").output.splitlines()
        assert max(len(line) for line in lines if not line.startswith("pid")) <= columns


def test_every_thread(tinspect: CommandLine) -> None:
    tinspect.session.reports = [crowd(100)]
    assert "×99" in tinspect.run("attach", "1", "--only", "threads").output
    assert tinspect.run("attach", "1", "--only", "threads", "--every-thread").output.count("worker-") == 100


def test_core_in_either_order(tinspect: CommandLine, tmp_path: Path) -> None:
    header = b"\x7fELF" + bytes(12)
    core, program = tmp_path / "core", tmp_path / "program"
    core.write_bytes(header + b"\4\0")
    program.write_bytes(header + b"\3\0")
    for first, second in ((core, program), (program, core)):
        tinspect.run("core", str(first), str(second), "--sysroot", "/sys")
    assert [call[1:3] for call in tinspect.session.calls] == [(str(core), str(program))] * 2
    assert tinspect.session.calls[0][4] == "/sys"
    assert tinspect.run("core", str(program)).status == 64
    tinspect.run("core", "-")
    assert tinspect.session.calls[-1][1:3] == ("-", None)


def test_run_reports_to_standard_error(tinspect: CommandLine) -> None:
    outcome = tinspect.run(
        "run", "--on", "usr1", "--on", "15", "--after", "3", "--children", "--", "cmd", "-x", "--json"
    )
    assert outcome.status == 139
    assert outcome.output == ""
    assert "killed by SIGSEGV" in outcome.errors
    assert "tinspect: Process 7 ended while it was being looked at." in outcome.errors
    assert "Stacks" in outcome.errors
    _, command, run, _ = tinspect.session.calls[0]
    assert command == ["cmd", "-x", "--json"]
    assert run == RunOptions(frozenset({int(signal.SIGUSR1), 15}), 3.0, None, True)


def test_run_reports_to_a_file(tinspect: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    tinspect.run("run", "--json", "--report", str(file), "cmd")
    assert parse_report(file.read_text()) == sample_report()
    assert tinspect.run("run", "--json", "--", "cmd").status == 64
    assert tinspect.run("run").status == 64
    assert tinspect.run("run", "--report", str(tmp_path / "no" / "file"), "cmd").status == 2


def test_snapshot(tinspect: CommandLine) -> None:
    outcome = tinspect.run("snapshot", "5", "-o", "out.core", "--full", "--compress", "--altstack", "off")
    assert outcome.status == 0
    assert "4 KiB, for 1 MiB of memory" in outcome.output
    assert tinspect.session.calls == [
        ("snapshot", 5, "out.core", SnapshotOptions(full=True, compress=True, altstack=AltstackMode.OFF))
    ]
    data = json.loads(tinspect.run("snapshot", "5", "-o", "out.core", "--json").output)
    assert data["schema"] == "tinspect.snapshot/1"
    assert data["pause_us"] == 900
    assert tinspect.run("snapshot", "5").status == 64


def test_whatis(tinspect: CommandLine) -> None:
    outcome = tinspect.run("whatis", "12", "0x10", "ff", "--exe", "prog")
    assert outcome.status == 0
    assert "0x0000000000ff" in outcome.output
    assert "\x1b" not in outcome.output
    assert tinspect.session.calls == [("whatis", "12", (0x10, 0xFF), "prog", None)]
    single = tinspect.run("whatis", "core.1", "10").output
    assert single.startswith("In the stack of thread 1")
    assert "0x000000000010" in single
    data = json.loads(tinspect.run("whatis", "12", "10", "--json").output)
    assert data["schema"] == "tinspect.whatis/1"
    assert data["answers"][0]["address"] == "0x10"
    assert data["answers"][0]["region"] == {"low": "0x0", "high": "0x1000", "size": 4096}
    for wrong in ("xyz", "-1", "1" * 17):
        assert tinspect.run("whatis", "12", wrong).status == 64


def test_tui(tinspect: CommandLine) -> None:
    assert tinspect.run("tui", "12", terminal=True).status == 0
    assert tinspect.services.shown == [("12", None, None, 2.0)]
    outcome = tinspect.run("tui", "12")
    assert outcome.status == 64
    assert "needs a terminal" in outcome.errors


def test_gdb(tinspect: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tinspect.services.directory = tmp_path
    assert tinspect.run("gdb", "--script").output == f"{tmp_path}/load.py\n"
    gdb = tmp_path / "bin" / "gdb"
    monkeypatch.setenv("PATH", str(gdb.parent))
    outcome = tinspect.run("gdb", "-p", "12")
    assert outcome.status == 2
    assert "Install the package gdb." in outcome.errors
    become: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda name, arguments: become.append(arguments))
    tinspect.run("gdb", "-p", "12", "--batch")
    assert become == [["gdb", "-x", f"{tmp_path}/load.py", "-p", "12", "--batch"]]


def test_doctor(tinspect: CommandLine) -> None:
    assert tinspect.run("doctor").status == 0
    tinspect.session.checks = (DoctorCheck("bpf", CheckState.LIMITED, "No CAP_BPF.", "Run as root."),)
    outcome = tinspect.run("doctor", "12")
    assert outcome.status == 1
    assert "No CAP_BPF. → Run as root." in outcome.output
    data = json.loads(tinspect.run("doctor", "--json").output)
    assert data["checks"][0]["state"] == "limited"
    assert [call[1] for call in tinspect.session.calls] == [None, 12, None]


def test_demo_waits_for_the_program_and_ends_it(tinspect: CommandLine, tmp_path: Path) -> None:
    tinspect.services.directory = tmp_path
    program = tmp_path / "tinspect-demo"
    program.write_text("#!/bin/sh\necho ready\nexec cat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    tinspect.session.reports = [COMPLETE]
    outcome = tinspect.run("demo")
    assert outcome.status == 0
    assert "Stacks" in outcome.output
    pid = tinspect.session.calls[0][1]
    assert not Path(f"/proc/{pid}").exists()
    program.write_text("#!/bin/sh\nexit 3\n")
    outcome = tinspect.run("demo")
    assert outcome.status == 2
    assert "ended before it was ready" in outcome.errors
    program.unlink()
    assert tinspect.run("demo").status == 2


def test_report_from_a_saved_one(tinspect: CommandLine, tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    saved.write_text(dump_report(COMPLETE))
    assert "Threads: 4" in tinspect.run("report", str(saved)).output
    page = tmp_path / "page.html"
    assert tinspect.run("report", str(saved), "--html", str(page)).status == 0
    assert page.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [saved, page] or set(tmp_path.iterdir()) == {saved, page}
    assert tinspect.session.calls == []
    assert tinspect.run("report", "12", "--html", "-").output.startswith("<!doctype html>")
    assert tinspect.session.calls[-1][:2] == ("attach", 12)
    tinspect.run("report", "some.core", "exe")
    assert tinspect.session.calls[-1][:3] == ("core", "some.core", "exe")
    saved.write_text('{"schema": "tinspect.report/1"')
    outcome = tinspect.run("report", str(saved))
    assert outcome.status == 2
    assert "not valid JSON" in outcome.errors
    assert tinspect.run("report", str(tmp_path)).status == 2


def test_native(tinspect: CommandLine) -> None:
    assert tinspect.run("native", "--cflags").output == "-I/nowhere/include -pthread\n"
    flags = tinspect.run("native", "--cflags", "--libs").output
    assert flags == "-I/nowhere/include -pthread '-L/nowhere/lib dir' '-Wl,-rpath,/nowhere/lib dir' -ltinspect\n"
    assert tinspect.run("native", "--libs", "--static").output == "'/nowhere/lib dir/libtinspect.a' -pthread\n"
    assert tinspect.run("native").status == 64


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command(tinspect: CommandLine, shell: str) -> None:
    outcome = tinspect.run("completion", shell)
    assert outcome.status == 0
    for command in COMMANDS:
        assert command.NAME in outcome.output
    assert "--stop-busy" in outcome.output


def test_watch_as_a_stream(tinspect: CommandLine) -> None:
    tinspect.session.reports = ends_after(COMPLETE, COMPLETE)
    outcome = tinspect.run("attach", "4242", "--watch", "0.001", "--json")
    assert [parse_report(line) for line in outcome.output.splitlines()] == [COMPLETE] * 2
    assert "process 4242 has ended" in outcome.errors
    assert outcome.status == 0


def test_watch_in_place_marks_changes_and_keeps_the_last_picture(
    tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "200")
    before = crowd(3)
    tinspect.session.reports = ends_after(before, replace(before, threads=before.threads[:3]), before)
    outcome = tinspect.run("attach", "1", "--watch", "0.001", "--only", "threads", terminal=True)
    screen, _, after = outcome.output.rpartition("\x1b[?1049l")
    assert screen.startswith("\x1b[?1049h")
    assert screen.count("\x1b[H") == 3
    assert "\x1b[7m102" in screen
    assert "Threads: 4" in after
    assert outcome.status == 0


def test_watch_leaves_the_screen_on_ctrl_c(tinspect: CommandLine) -> None:
    tinspect.session.reports = [COMPLETE, KeyboardInterrupt()]
    outcome = tinspect.run("attach", "1", "--watch", "0.001", terminal=True)
    assert outcome.status == 130
    assert "\x1b[?25h\x1b[?1049l" in outcome.output


@pytest.mark.parametrize(
    "problem", [TargetRefused("it is traced by 9.", "End 9 first."), TinspectError("no such thing.")]
)
def test_errors_are_one_sentence_and_the_next_step(tinspect: CommandLine, problem: TinspectError) -> None:
    tinspect.session.reports = [problem]
    outcome = tinspect.run("attach", "1")
    assert outcome == type(outcome)(2, "", f"tinspect: {problem}\n")


def test_errors_that_quote_the_target_are_inert(tinspect: CommandLine) -> None:
    tinspect.session.reports = [TinspectError("no \x1b[31m such \u202e file.")]
    assert tinspect.run("attach", "1").errors == "tinspect: no \\x1b[31m such \\u202e file.\n"


def test_a_defect_is_one_line_too(tinspect: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    tinspect.session.reports = [ZeroDivisionError("oops")]
    outcome = tinspect.run("attach", "1")
    assert outcome.status == 2
    assert outcome.errors.startswith("tinspect: internal error: ZeroDivisionError: oops.")
    monkeypatch.setenv("TINSPECT_DEBUG", "1")
    assert "Traceback" in tinspect.run("attach", "1").errors


def test_ctrl_c(tinspect: CommandLine) -> None:
    tinspect.session.reports = [KeyboardInterrupt()]
    outcome = tinspect.run("attach", "1")
    assert outcome == type(outcome)(130, "", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("core", "app."), ["app.core"]),
        (("core", "app.core", "app."), ["app.core"]),
        (("whatis", "app."), ["app.core"]),
        (("tui", "--sysroot", "fol"), ["folder"]),
        (("report", "app.core", "--html", "app."), ["app.core"]),
        (("run", "--", "app."), ["app.core"]),
        (("gdb", "app."), ["app.core"]),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_files_are_completed(
    tinspect: CommandLine, tmp_path: Path, words: tuple[str, ...], expected: list[str]
) -> None:
    (tmp_path / "app.core").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "script").write_text(tinspect.run("completion", "bash").output)
    line = " ".join(("tinspect", *words))
    asking = f'source ./script; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _shtab_tinspect; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", asking], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
