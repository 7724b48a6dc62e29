"""The demo program: what it says about itself is consistent, and it ends cleanly."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import PATIENCE_S, wait_until_still

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    out = tmp_path_factory.mktemp("demo")
    subprocess.run(
        ["make", "-s", "-j2", "-f", "tinspect/native/scope/build.mk", f"OUT={out}", "demo"], cwd=ROOT, check=True
    )
    process = subprocess.Popen([out / "tinspect-demo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        truth = json.loads(process.stdout.readline())
        wait_until_still(process.pid)
        yield process, truth
    finally:
        process.kill()
        process.wait()


def contains(bounds: dict[str, Any], address: str) -> bool:
    return int(bounds["low"], 16) <= int(address, 16) < int(bounds["high"], 16)


def test_each_thread_stands_on_its_own_stack(demo: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    for thread in demo[1]["threads"]:
        on = thread["sigaltstack"] if thread["sigaltstack"]["state"] == "onstack" else thread["stack"]
        assert contains(on, thread["local"]), thread["name"]


def test_the_kernel_knows_the_threads_by_these_names(demo: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    process, truth = demo
    tasks = Path(f"/proc/{process.pid}/task")
    names = {int(task.name): (task / "comm").read_text().strip() for task in tasks.iterdir()}
    assert names == {thread["tid"]: thread["name"][:15].strip() for thread in truth["threads"]}


def test_pointers_are_where_it_says(demo: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    process, truth = demo
    held = [(pointer["at"], pointer["value"]) for pointer in [truth["stray"], *truth["dangling"]]]
    held += [(loan["held_at"], None) for loan in truth["loans"]]
    with Path(f"/proc/{process.pid}/mem").open("rb") as memory:
        for at, value in held:
            memory.seek(int(at, 16))
            found = int.from_bytes(memory.read(8), "little")
            loans = [loan for loan in truth["loans"] if loan["held_at"] == at]
            assert found == int(value, 16) if value else found == int(loans[0]["low"], 16)


def test_the_dead_threads_stack_is_nobodys(demo: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    truth = demo[1]
    dangling = next(pointer for pointer in truth["dangling"] if pointer["kind"] == "thread")
    assert not any(contains(thread["stack"], dangling["value"]) for thread in truth["threads"])


def test_it_ends_when_stdin_closes(demo: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    process = demo[0]
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=PATIENCE_S) == 0
