"""The commands inside a real gdb: on a live inferior, a core, and a remote one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.core_maker import gcore
from tests.support.libcs import BUILDS, running
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
LOAD = ROOT / "tinspect/gdb_plugin/load.py"
Json = dict[str, Any]

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")


def in_gdb(*commands: str, target: tuple[str, ...] = (), load: bool = True) -> str:
    """What gdb prints for ``commands``, each of which is tried even when one before it failed."""
    steps = [f"source {LOAD}"] if load else []
    arguments = [argument for command in (*steps, *commands) for argument in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", *target, "-ex", "set width 200", *arguments],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def zoo() -> Iterator[tuple[int, tuple[Json, ...]]]:
    with running(BUILDS[0], "zoo") as (pid, lines):
        yield pid, tuple(line for line in lines if line["kind"] != "ready")


def own(told: tuple[Json, ...]) -> Json:
    return next(words for words in told if words["kind"] == "own")


def test_bounds_are_the_target_s_own_words(zoo: tuple[int, tuple[Json, ...]]) -> None:
    pid, told = zoo
    output = in_gdb("tinspect stacks", target=("-p", str(pid)))
    for words in told:
        assert re.search(rf"^ *{words['tid']} .*{words['low']:#x}  {words['high']:#x} ", output, re.M), words["kind"]


def test_functions_speak_of_the_selected_thread(zoo: tuple[int, tuple[Json, ...]]) -> None:
    pid, told = zoo
    words = own(told)
    output = in_gdb(
        f"python next(t for t in gdb.selected_inferior().threads() if t.ptid[1] == {words['tid']}).switch()",
        'printf "low %lx high %lx\\n", $_tinspect_stack_low(), $_tinspect_stack_high()',
        'printf "distance %ld\\n", $_tinspect_guard_distance() - ((long) $sp - (long) $_tinspect_stack_low())',
        f'printf "owner %d self %d\\n", $_tinspect_thread({words["local"]}), $_thread',
        'printf "nobody %d\\n", $_tinspect_thread(8)',
        target=("-p", str(pid)),
    )
    assert f"low {words['low']:x} high {words['high']:x}" in output
    assert "distance 0" in output
    owner = re.search(r"owner (\d+) self (\d+)", output)
    assert owner is not None
    assert owner[1] == owner[2] != "0"
    assert "nobody 0" in output


def test_the_selection_stays(zoo: tuple[int, tuple[Json, ...]]) -> None:
    pid, _ = zoo
    state = 'printf "at %d %d %lx\\n", $_inferior, $_thread, $pc'
    output = in_gdb("thread 3", "up", state, "tinspect report", state, target=("-p", str(pid)))
    places = re.findall(r"^at .*$", output, re.M)
    assert len(places) == 2
    assert places[0] == places[1]


def test_threads_can_be_chosen(zoo: tuple[int, tuple[Json, ...]]) -> None:
    pid, told = zoo
    output = in_gdb("tinspect stacks 1", "tinspect stacks 99", "tinspect stacks x", target=("-p", str(pid)))
    assert str(pid) in output
    assert all(f"\n{words['tid']} " not in output for words in told if words["kind"] != "main")
    assert 'Unknown thread 99. "info threads" lists them.' in output
    assert "Invalid thread ID: x." in output


def test_whatis_takes_expressions(zoo: tuple[int, tuple[Json, ...]]) -> None:
    pid, told = zoo
    output = in_gdb("tinspect whatis $sp", f"tinspect whatis {own(told)['local']}", target=("-p", str(pid)))
    assert f"stack of thread {pid}" in output
    assert f"stack of thread {own(told)['tid']}" in output


@pytest.mark.parametrize("how", ["core", "remote"])
def test_cores_and_remote_targets(zoo: tuple[int, tuple[Json, ...]], how: str, tmp_path: Path) -> None:
    pid, told = zoo
    executable = str(Path(f"/proc/{pid}/exe").readlink())
    if how == "core":
        output = in_gdb("tinspect stacks", "tinspect threads", target=(executable, str(gcore(pid, tmp_path))))
    else:
        if shutil.which("gdbserver") is None:
            pytest.skip("gdbserver is not installed")
        server = f"target remote | gdbserver --once --attach - {pid}"
        output = in_gdb(server, "tinspect stacks", "tinspect threads", "detach", target=(executable,))
    for words in told:
        if words["kind"] != "main":
            assert f"{words['low']:#x}  {words['high']:#x}" in output, words["kind"]
    assert "run_own" in output


def test_code_that_gcore_left_out_is_code_still(tmp_path: Path) -> None:
    """gcore dumps no text of a file: a key's destructor in it has not been unloaded for that."""
    source, program, report = tmp_path / "key.c", tmp_path / "key", tmp_path / "report.json"
    source.write_text("""#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
  pthread_key_t key;
  pthread_key_create(&key, free);
  pthread_setspecific(key, malloc(8));
  return write(1, "!", 1) + pause();
}
""")
    subprocess.run(["gcc", "-g", "-pthread", "-o", str(program), str(source)], check=True)
    with subprocess.Popen([program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        core = gcore(process.pid, tmp_path)
        process.kill()
    in_gdb(f"tinspect report --json {report}", target=(str(program), str(core)))
    told = json.loads(report.read_text())
    (key,) = told["tls_keys"]
    assert (key["mapped"], Path(key["module"]).name) == (True, "libc.so.6")
    assert [finding["code"] for finding in told["findings"] if finding["severity"] == "error"] == []
    assert {thread["state"] for thread in told["threads"]} == {"unknown"}  # a core keeps none


def test_a_command_that_is_none_is_refused() -> None:
    output = in_gdb("tinspect stakcs")
    assert 'Undefined tinspect command: "stakcs"' in output
    assert "List of tinspect subcommands" not in output


def test_nothing_to_look_at_is_said_in_one_sentence() -> None:
    output = in_gdb("tinspect threads")
    assert "There is no inferior to look at. Start the program, attach to a process, or load a core." in output
    assert "Traceback" not in output


def test_loading_twice_keeps_settings_and_other_people_s_commands(tmp_path: Path) -> None:
    init = tmp_path / "gdbinit"
    init.write_text("define threads\necho mine\\n\nend\ndefine stacks\necho mine too\\n\nend\n")
    output = in_gdb(
        "set tinspect heap on", f"source {LOAD}", "show tinspect heap", "help tinspect stacks", "threads", "stacks",
        target=("-x", str(init)),
    )  # fmt: skip
    assert "heap and globals are looked for: on" in output
    assert "Usage: tinspect stacks [THREAD...]" in output
    assert re.search(r"^mine$", output, re.M)
    assert re.search(r"^mine too$", output, re.M)


def test_settings_are_listed() -> None:
    output = in_gdb("show tinspect")
    assert output.count("Whether ") == 3


def test_answers_are_forgotten_when_the_inferior_runs(tmp_path: Path) -> None:
    source = tmp_path / "deep.c"
    source.write_text("void stop(void){} int dig(int n){ volatile char b[4096]; b[0]=n; if(n==0) stop(); else dig(n-1); return b[0]; }"
                      "int main(){ dig(1); dig(50); }")  # fmt: skip
    program = tmp_path / "deep"
    subprocess.run(["gcc", "-g", "-O0", "-o", str(program), str(source)], check=True)
    depth = 'printf "used %ld\\n", $_tinspect_stack_high() - (long) $sp - ($_tinspect_guard_distance() - $_tinspect_guard_distance())'
    output = in_gdb(
        "break stop",
        "run",
        "tinspect stacks",
        depth,
        "continue",
        "tinspect stacks",
        depth,
        "kill",
        target=(str(program),),
    )
    used = [int(found) for found in re.findall(r"^used (\d+)", output, re.M)]
    assert len(used) == 2
    assert used[1] > used[0] + 40 * 4096
    sizes = re.findall(r"8(?:\.0)? MiB +([0-9.]+ [KM]iB)", output)
    assert len(sizes) == 2
    assert sizes[0] != sizes[1]


def test_an_old_python_gets_one_sentence(tmp_path: Path) -> None:
    lie = f"python import sys; sys.version_info = (3, 9, 2, 'final', 0); exec(open({str(LOAD)!r}).read(), {{'__file__': {str(LOAD)!r}}})"
    output = in_gdb(lie, load=False)
    assert "tinspect needs a gdb with Python 3.11 or later; this one has 3.9." in output


def test_the_json_report_is_the_contract(zoo: tuple[int, tuple[Json, ...]], tmp_path: Path) -> None:
    pid, told = zoo
    path = tmp_path / "report.json"
    in_gdb(f"tinspect report --json {path}", target=("-p", str(pid)))
    report = json.loads(path.read_text())
    assert report["schema"] == "tinspect.report/1"
    assert report["target"]["kind"] == "gdb"
    assert {thread["tid"] for thread in report["threads"]} == {words["tid"] for words in told}


def test_the_table_of_commands_in_the_docs_is_gdb_s_own_help() -> None:
    page = (ROOT / "docs/how-to/gdb.md").read_text()
    listed = dict(re.findall(r"^tinspect (\w+) -- (.*)\.$", in_gdb("help tinspect"), re.M))
    assert {"threads", "stacks", "refs", "whatis", "report"} <= set(listed)
    for name in listed:
        assert f"`tinspect {name}" in page, name
    for name in set(listed) - {"whatis", "report"}:
        assert listed[name].removeprefix("Show ") in page, name
