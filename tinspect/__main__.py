"""The program: puts the faces and the session together, and hands them to the command line."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinspect.cli.services import Session
    from tinspect.model.options import AttachOptions

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "native" / "lib"
_BUILT = _PACKAGE.parent / "build" / "native"
_BUILD_STEP = "Run make runtime in the source tree, or install the wheel."


class Program:
    """The services of the real program. Imports are late: each command pays only for what it uses."""

    def session(self) -> Session:
        """See Services."""
        from tinspect import session

        return session

    def run_tui(
        self, target: str, options: AttachOptions, *, executable: str | None, sysroot: str | None, interval: float
    ) -> int:
        """See Services."""
        from tinspect.tui import run

        return run(target, options, executable=executable, sysroot=sysroot, interval=interval)

    def gdb_script(self) -> Path:
        """See Services."""
        return _PACKAGE / "gdb_plugin" / "load.py"

    def demo_program(self) -> Path:
        """See Services."""
        return _find_built("tinspect-demo")

    def native_directories(self) -> tuple[Path, Path]:
        """See Services."""
        return _PACKAGE / "native" / "include", _find_built("libtinspect.a").parent


def _find_built(name: str) -> Path:
    """A file of the runtime: in the wheel beside the package, in a source tree under build/."""
    from tinspect.errors import TinspectError

    for directory in (_INSTALLED, _BUILT):
        if (directory / name).exists():
            return directory / name
    raise TinspectError(f"{name} was not built.", _BUILD_STEP)


def _replace_closed_streams() -> None:
    """Descriptors 0 to 2 that were closed (a daemon's, or >&- in a shell) lead nowhere from now on: else the next files opened here,
    a target's memory among them, would take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (stays open)


def main() -> int:
    """Runs the command line of this process; the exit status."""
    _replace_closed_streams()
    # A report on 10,000 threads is a million small values that live to the end: looking for cycles among them doubles the time.
    gc.set_threshold(200_000, 20, 100)
    try:
        from tinspect.cli.main import run_command_line

        return run_command_line(sys.argv[1:], Program())
    except KeyboardInterrupt:  # in the midst of an import
        return 130


if __name__ == "__main__":
    sys.exit(main())
