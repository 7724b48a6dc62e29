"""Cores that systemd keeps: a pid or a name becomes a core file through coredumpctl(1), where that exists."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import BinaryIO

from tinspect.errors import TargetNotFound


def open_by_coredumpctl(match: str) -> BinaryIO:
    """The newest core of that pid or program name, in an unnamed temporary file. Raises TargetNotFound when there is none."""
    tool = shutil.which("coredumpctl")
    if tool is None:
        raise TargetNotFound(
            f"There is no file {match}.",
            "A core of a pid or a program's name is found through coredumpctl alone, which this machine lacks.",
        )
    spool = tempfile.TemporaryFile()  # noqa: SIM115 (handed over to the caller)
    try:
        done = subprocess.run(
            [tool, "--quiet", "dump", "--", match],
            stdout=spool,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode or not spool.tell():
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            said = f": {lines[-1]}" if lines else ""
            raise TargetNotFound(f"There is no file {match}, and coredumpctl gave no core of that name or pid{said}.")
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool
