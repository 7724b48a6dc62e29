"""Builds the runtime's test programs, plain and under sanitizers, and runs each of their tests as one item."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.building import alone_in
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/native-tests"
SANITIZERS = {"plain": "", "asan": "address,undefined", "tsan": "thread"}

# AddressSanitizer would take SIGSEGV and the alternate stacks for itself; ThreadSanitizer refuses threads after a fork.
ENVIRONMENT = {
    "ASAN_OPTIONS": "use_sigaltstack=0:handle_segv=0:handle_sigbus=0:handle_abort=0:detect_stack_use_after_return=0",
    "TSAN_OPTIONS": "die_after_fork=0:halt_on_error=1:use_sigaltstack=0:handle_segv=0:handle_abort=0",
}
TESTS = re.compile(r"\bTEST\((\w+)\)")
INCLUDED = re.compile(r'^#include "(test_\w+\.c)"', re.MULTILINE)
DECLARED = re.compile(r"/\* not under (\w+): ([^*]+) \*/")


def read_source(source: Path) -> str:
    """A test file's text, and that of the test file it builds upon."""
    text = source.read_text()
    return text + "".join(read_source(source.parent / name) for name in INCLUDED.findall(text))


def find_items() -> list[object]:
    """(variant, program, test) for each TEST(name) in the sources; a file says which variants it leaves out."""
    items: list[object] = []
    for source in sorted([*ROOT.glob("tests/native/test_*.c"), *ROOT.glob("tests/native/test_*.cpp")]):
        text = read_source(source)
        left_out = {variant for variant, _ in DECLARED.findall(text)}
        for variant in SANITIZERS:
            if variant not in left_out:
                items += [
                    pytest.param(variant, source.stem, name, id=f"{variant}-{source.stem[5:]}-{name}")
                    for name in TESTS.findall(text)
                ]
    return items


def build(variant: str) -> Path:
    """Builds a variant's programs, once at a time: several test processes may ask for it."""
    out = BUILD / variant
    with alone_in(out):
        options = [f"OUT={out}", f"SAN={SANITIZERS[variant]}"]
        command = ["make", "-s", "-j2", "-f", "tests/native/build.mk", *options, "tests"]
        subprocess.run(command, cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """Directory of built programs by variant, filled as they are asked for."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("needs make and a C compiler")
    return {}


@pytest.mark.parametrize(("variant", "program", "test"), find_items())
def test_native(programs: dict[str, Path], variant: str, program: str, test: str) -> None:
    if variant not in programs:
        programs[variant] = build(variant)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TINSPECT_")} | ENVIRONMENT
    done = subprocess.run(
        [programs[variant] / program, test],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_a_hundred_thousand_scopes_wait_for_their_destructors(programs: dict[str, Path]) -> None:
    programs.setdefault("plain", build("plain"))
    command = [str(programs["plain"] / "test_scope_ends"), "implicit_join_waits_for_destructors"]
    subprocess.run(command, check=True, env=os.environ | {"TI_TEST_SCOPES": "100000"}, timeout=110)
