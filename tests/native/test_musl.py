"""The runtime's C tests with musl for a C library: no __cxa_thread_atexit_impl, other keys, no forced unwind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.building import alone_in
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build/native-tests/musl"
KERNEL_HEADERS = ("linux", "asm-generic", "asm")
LEFT_OUT = {
    # musl's pthread_exit runs cleanup handlers but does not unwind: leaving a scope by it is fatal there, in words.
    "pthread_exit_from_the_body_joins",
    "pthread_exit_in_a_destructor_is_fatal",
    # Its pthread_cleanup_push is a list that unwinding knows nothing of; `cleanup` attributes do run.
    "panics_run_cleanups",
}


def link_kernel_headers() -> Path:
    """musl-gcc looks into musl's headers alone, and musl ships none of the kernel's."""
    folder = OUT / "kernel"
    folder.mkdir(parents=True, exist_ok=True)
    for name in KERNEL_HEADERS:
        places = [Path("/usr/include") / name, *Path("/usr/include").glob(f"*-linux-gnu/{name}")]
        target = next(place for place in places if place.is_dir())
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    return folder


@pytest.fixture(scope="module")
def programs() -> Path:
    if shutil.which("musl-gcc") is None or shutil.which("make") is None:
        pytest.skip("needs musl-gcc (Debian: musl-tools) and make")
    with alone_in(OUT):
        options = [
            f"OUT={OUT}",
            f"CC=musl-gcc -idirafter {link_kernel_headers()}",
            "TEST_LIBS=tests/native/musl/find_object.c -Wl,--eh-frame-hdr -lgcc_eh",
            "TEST_SOURCES_CXX=",
        ]
        subprocess.run(["make", "-s", "-j2", "-f", "tests/native/build.mk", *options, "tests"], cwd=ROOT, check=True)
    return OUT


@pytest.mark.parametrize("program", sorted(path.stem for path in ROOT.glob("tests/native/test_*.c")))
def test_on_musl(programs: Path, program: str) -> None:
    """Every test of one program; a failure names the test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TINSPECT_")}
    listing = subprocess.run([programs / program, "--list"], capture_output=True, text=True, check=True)
    failures = []
    for test in set(listing.stdout.split()) - LEFT_OUT:
        done = subprocess.run(
            [programs / program, test], capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment
        )
        if done.returncode != 0:
            failures.append(f"{test}: exit status {done.returncode}\n{done.stderr}")
    assert not failures, "\n".join(failures)
