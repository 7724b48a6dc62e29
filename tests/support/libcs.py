"""The libc matrix: builds a ground-truth program against each libc there is, runs it, and reads what it says of itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.building import alone_in
from tests.support.waiting import PATIENCE_S, wait_until_still

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "programs"
FETCHED = ROOT / "build" / "libcs"
BUILT = ROOT / "build" / "tests" / "libc"
_FLAGS = ("-g", "-O1", "-Wall", "-Wextra", "-Werror")
_WITHOUT_THREADS = ("single_truth",)


@dataclass(frozen=True, slots=True)
class LibcBuild:
    """One libc a program is built for: ``folder`` of build/libcs, or "" for the system's own."""

    name: str
    family: str
    folder: str = ""
    static: bool = False
    stripped: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def root(self) -> Path:
        return FETCHED / self.folder

    def why_missing(self) -> str:
        """Why nothing can be built for it here; "" when it can."""
        if self.folder and not self.root.exists():
            return f"build/libcs/{self.folder} is not there: python tests/libcs/fetch.py gets it when online"
        if self.family == "musl" and shutil.which("musl-gcc") is None:
            return "musl-gcc is not installed (musl-tools)"
        return ""

    @property
    def debug_roots(self) -> tuple[str, ...]:
        return (str(self.root),) if self.folder else ("",)


def _glibc_builds() -> Iterator[LibcBuild]:
    for folder in ("", "glibc-bullseye", "glibc-trixie", "glibc-sid"):
        name = folder or "glibc-system"
        yield LibcBuild(name, "glibc", folder)
        yield LibcBuild(f"{name}-static", "glibc", folder, static=True)
    yield LibcBuild("glibc-system-static-stripped", "glibc", static=True, stripped=True)
    yield LibcBuild("glibc-sid-static-stripped", "glibc", "glibc-sid", static=True, stripped=True)


def _musl_builds() -> Iterator[LibcBuild]:
    for folder in ("", "musl-sid"):
        name = folder or "musl-system"
        yield LibcBuild(name, "musl", folder)
        yield LibcBuild(f"{name}-static", "musl", folder, static=True)
    yield LibcBuild("musl-system-static-stripped", "musl", static=True, stripped=True)


BUILDS = (*_glibc_builds(), *_musl_builds())


def _library_folder(build: LibcBuild) -> Path:
    if build.family == "musl":
        return build.root / "usr/lib/x86_64-linux-musl"
    for folder in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"):
        if (build.root / folder / "libc.so.6").exists():
            return build.root / folder
    raise FileNotFoundError(f"no libc.so.6 in {build.root}")


def _musl_specs(build: LibcBuild) -> Path:
    """The fetched musl-gcc.specs, its paths led into the fetched folder."""
    specs = BUILT / build.name / "musl-gcc.specs"
    text = (_library_folder(build) / "musl-gcc.specs").read_text()
    specs.write_text(text.replace(" /usr/", f" {build.root}/usr/").replace("-L/usr/", f"-L{build.root}/usr/"))
    return specs


def _compiler(build: LibcBuild) -> list[str]:
    if build.family == "musl":
        return ["musl-gcc"] if not build.folder else ["gcc", "-specs", str(_musl_specs(build))]
    if not build.folder:
        return ["gcc"]
    return [
        "gcc", f"--sysroot={build.root}", "-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu",
        f"-B{build.root}/usr/lib/x86_64-linux-gnu",
    ]  # fmt: skip


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")


def _is_built(path: Path, source: Path) -> bool:
    """Whether ``path`` is newer than all it is made from."""
    inputs = (source, PROGRAMS / "truth.h", Path(__file__))
    return path.exists() and all(path.stat().st_mtime > entry.stat().st_mtime for entry in inputs)


def _compile(build: LibcBuild, source: Path, path: Path, flags: list[str], strip: bool = False) -> Path:
    with alone_in(path.parent):
        if not _is_built(path, source):
            beside = path.with_name(f"{path.name}.part")  # a build that is broken off leaves no half a program
            _run([*_compiler(build), *_FLAGS, str(source), "-o", str(beside), *flags])
            if strip:
                _run(["strip", str(beside)])
            beside.replace(path)
    return path


@cache
def build_program(build: LibcBuild, name: str) -> Path:
    """The program tests/programs/NAME.c, compiled and linked for ``build``."""
    flags = [] if name in _WITHOUT_THREADS else ["-pthread"]
    if build.static:
        flags += ["-static", "-DSTATIC_PROGRAM"]
        if build.folder == "glibc-bullseye":
            # The system's libgcc unwinds by a function that glibc has since 2.35; these programs never unwind.
            flags.append("-Wl,--defsym=_dl_find_object=abort")
    elif name == "tls_vars":
        build_library(build, "tls_opened")
        flags += [str(build_library(build, "tls_needed")), f"-Wl,-rpath,{BUILT / build.name}", "-ldl"]
    return _compile(build, PROGRAMS / f"{name}.c", BUILT / build.name / name, flags, build.stripped)


@cache
def build_library(build: LibcBuild, name: str) -> Path:
    """The shared library libNAME.so of tests/programs/NAME.c, compiled for ``build``."""
    path = BUILT / build.name / f"lib{name}.so"
    return _compile(build, PROGRAMS / f"{name}.c", path, ["-shared", "-fPIC", f"-Wl,-soname,{path.name}"])


def _command(build: LibcBuild, program: Path) -> list[str]:
    if build.static or not build.folder:
        return [str(program)]
    folder = _library_folder(build)
    if build.family == "musl":
        return [str(folder / "libc.so"), "--library-path", str(program.parent), str(program)]
    return [str(folder / "ld-linux-x86-64.so.2"), "--library-path", f"{folder}:{program.parent}", str(program)]


@contextmanager
def running(build: LibcBuild, name: str, *arguments: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Runs the program; gives its pid and every line it wrote until it said that it is ready, once it stands still. Ends it
    afterwards."""
    command = [*_command(build, build_program(build, name)), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[dict[str, Any]] = []
            for line in process.stdout:
                lines.append(json.loads(line))
                if lines[-1]["kind"] == "ready":
                    break
            else:
                raise RuntimeError(f"{name} for {build.name} ended before it was ready")
            wait_until_still(process.pid)
            yield process.pid, lines
        finally:
            process.kill()
