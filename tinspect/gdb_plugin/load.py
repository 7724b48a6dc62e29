"""Source this file in gdb (`source`, -x, or .gdbinit) to get tinspect's commands. Written so that any Python gdb may embed can read it."""

import os
import sys

import gdb


def _package_folders() -> "list[str]":
    """The folder that holds the package, and the environment's folder when this is a source tree with its own."""
    # os.path and % throughout: any Python that a gdb may embed must be able to read this file, to say that it is too old.
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    version = "python%d.%d" % sys.version_info[:2]  # noqa: UP031
    return [here, os.path.join(here, ".venv", "lib", version, "site-packages")]  # noqa: PTH118


def _load() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (gdb brings its own Python)
        raise gdb.GdbError(
            "tinspect needs a gdb with Python 3.11 or later; this one has %d.%d. Use a newer gdb."  # noqa: UP031
            % sys.version_info[:2]
        )
    for folder in _package_folders():
        if os.path.isdir(folder) and folder not in sys.path:  # noqa: PTH112
            sys.path.append(folder)
    try:
        from tinspect.gdb_plugin.register import register
    except ImportError as error:
        raise gdb.GdbError("tinspect could not be loaded: %s. Install it again." % error) from None  # noqa: UP031
    register()


_load()
