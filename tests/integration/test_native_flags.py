"""A program builds by each way of asking for the flags, wherever the libraries were moved to."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runtime_programs import HEADERS, ROOT, build_runtime
from tests.support.waiting import PATIENCE_S

PROGRAM = """
#include <tinspect/runtime.h>
static void *body(ti_scope scope, void *context) { (void)scope; return context; }
int main(void)
{
    return ti_scope_run("x", 0, body, NULL, NULL, NULL) == TI_OK && ti_version() == (TI_VERSION_MAJOR << 16 | TI_VERSION_MINOR) ? 0 : 1;
}
"""


def ask(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "tinspect", "native", *arguments]
    return shlex.split(
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S).stdout
    )


def pkg_config(folder: Path, *arguments: str) -> list[str]:
    command = ["pkg-config", *arguments, "tinspect"]
    environment = {"PKG_CONFIG_PATH": str(folder), "PATH": "/usr/bin:/bin"}
    return shlex.split(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def builds_and_runs(flags: list[str], folder: Path) -> bool:
    (folder / "use.c").write_text(PROGRAM)
    subprocess.run(["cc", folder / "use.c", *flags, "-o", folder / "use"], check=True, timeout=PATIENCE_S)
    return subprocess.run([folder / "use"], timeout=PATIENCE_S, check=False).returncode == 0


needs_pkg_config = pytest.mark.skipif(shutil.which("pkg-config") is None, reason="needs pkg-config")


@pytest.mark.parametrize("static", [[], ["--static"]], ids=["shared", "static"])
def test_the_printed_flags_build_a_program(tmp_path: Path, static: list[str]) -> None:
    build_runtime()
    assert builds_and_runs(ask("--cflags", "--libs", *static), tmp_path)


@needs_pkg_config
def test_pkg_config_builds_a_program(tmp_path: Path) -> None:
    build_runtime()
    (folder,) = ask("--pkg-config")
    assert builds_and_runs(pkg_config(Path(folder), "--cflags", "--libs"), tmp_path)


@needs_pkg_config
def test_the_pkg_config_file_moves_with_its_folder(tmp_path: Path) -> None:
    """As in a wheel: lib beside include, in a folder that no build knew."""
    built = tmp_path / "built"
    command = [
        "make",
        "-s",
        "-f",
        "tinspect/native/scope/build.mk",
        f"OUT={built}",
        "PC_INCLUDE=../include",
        f"{built}/tinspect.pc",
    ]
    subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE_S)
    library = tmp_path / "moved/lib"
    library.mkdir(parents=True)
    shutil.copytree(HEADERS, tmp_path / "moved/include")
    shutil.copy(built / "tinspect.pc", library)
    shutil.copy(build_runtime() / "libtinspect.so", library)
    flags = pkg_config(library, "--cflags", "--libs")
    assert all(str(ROOT) not in flag for flag in flags)
    assert builds_and_runs(flags, tmp_path)


@needs_pkg_config
def test_the_version_is_the_headers(tmp_path: Path) -> None:
    assert pkg_config(build_runtime(), "--modversion") == ["1.0"]


def test_asking_for_nothing_or_both_is_wrong_usage() -> None:
    for arguments in ([], ["--pkg-config", "--libs"]):
        command = [sys.executable, "-m", "tinspect", "native", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout) == (64, "")
        assert "--pkg-config" in done.stderr
