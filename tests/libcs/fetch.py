"""Fetches other releases of glibc and musl as Debian packages into build/libcs, without touching the system's own apt state.

usage: python tests/libcs/fetch.py [NAME...]

Every apt directory is private (below build/libcs/apt), packages are downloaded and unpacked with ``dpkg-deb -x``, nothing is
installed. A release that cannot be fetched (offline, not Debian) is named with its reason and left out; tests skip it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "build" / "libcs"
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Release:
    """One entry of the matrix: a Debian suite and the packages of one libc in it."""

    name: str
    suite: str
    packages: tuple[str, ...]


RELEASES = (
    Release("glibc-bullseye", "bullseye", ("libc6", "libc6-dbg", "libc6-dev")),
    Release("glibc-trixie", "trixie", ("libc6", "libc6-dbg", "libc6-dev")),
    Release("glibc-sid", "sid", ("libc6", "libc6-dbg", "libc6-dev")),
    Release("musl-sid", "sid", ("musl", "musl-dev")),
)


class FetchFailed(Exception):
    """A release that could not be had, and why."""


def run(command: list[str], cwd: Path | None = None) -> None:
    """Runs ``command`` quietly. Raises FetchFailed with the last line it said."""
    try:
        result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"{command[0]} took longer than {TIMEOUT_SECONDS} s") from None
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise FetchFailed(f"{command[0]}: {lines[-1] if lines else f'exit status {result.returncode}'}")


def apt_options(suite: str) -> list[str]:
    """Options that keep every file apt reads or writes below build/libcs/apt/SUITE. Writes the sources list, updates it once."""
    home = ROOT / "apt" / suite
    for folder in ("lists/partial", "cache/archives/partial", "etc"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (home / "sources.list").write_text(f"deb {signed}{MIRROR} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": "-",
        "Dir::Etc::preferencesparts": "-",
        "Dir::State::lists": home / "lists",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",  # a mirror that lags behind still has the libcs
        "APT::Sandbox::User": "",
    }
    result = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    stamp = home / "updated"
    if not stamp.exists():
        run(["apt-get", "-qq", *result, "update", "--error-on=any"])
        stamp.touch()
    return result


def settle(root: Path) -> None:
    """Makes the unpacked tree usable as a compiler's sysroot: merges /lib and /lib64 as the base system does, no link leaves it."""
    for name in ("lib", "lib64"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for path in root.rglob("*"):
        if path.is_symlink() and path.readlink().is_absolute():
            inside = os.path.relpath(root / path.readlink().relative_to("/"), path.parent)
            path.unlink()
            path.symlink_to(inside)


def fetch(release: Release) -> Path:
    """The folder that holds the unpacked packages; fetched unless it is there. Raises FetchFailed."""
    destination = ROOT / release.name
    if destination.exists():
        return destination
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise FetchFailed(f"{tool} is not installed: this is no Debian system")
    options = apt_options(release.suite)
    with tempfile.TemporaryDirectory(dir=ROOT) as scratch:
        folder = Path(scratch)
        run(["apt-get", "-qq", *options, "download", *release.packages], cwd=folder)
        for package in sorted(folder.glob("*.deb")):
            run(["dpkg-deb", "-x", str(package), str(folder / "root")])
        settle(folder / "root")
        (folder / "root").rename(destination)  # appears complete or not at all
    return destination


def main(names: list[str]) -> int:
    """Fetches the named releases, or all."""
    missing = 0
    for release in RELEASES:
        if names and release.name not in names:
            continue
        try:
            print(f"{release.name}: {fetch(release)}", flush=True)
        except FetchFailed as failure:
            print(f"{release.name}: left out, {failure}", flush=True)
            missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    ROOT.mkdir(parents=True, exist_ok=True)
    sys.exit(main(sys.argv[1:]))
