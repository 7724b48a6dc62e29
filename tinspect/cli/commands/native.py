"""tinspect native: how to build a program against the scoped-thread runtime."""

from __future__ import annotations

import argparse
import shlex

from tinspect.cli.context import Context
from tinspect.errors import UsageError

NAME = "native"
HELP = "compiler and linker flags of the scoped-thread runtime"
DESCRIPTION = "Prints how to build a C or C++ program against the scoped-thread runtime: cc demo.c $(tinspect native --cflags --libs)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("--cflags", action="store_true", help="flags for the compiler")
    parser.add_argument("--libs", action="store_true", help="flags for the linker")
    parser.add_argument("--pkg-config", action="store_true", help="the folder of tinspect.pc, for PKG_CONFIG_PATH")
    parser.add_argument("--static", action="store_true", help="with --libs: link the static library")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    if arguments.pkg_config == (arguments.cflags or arguments.libs):
        raise UsageError("nothing or too much was asked for.", "Give --cflags, --libs or both; or --pkg-config alone.")
    headers, libraries = context.services.native_directories()
    if arguments.pkg_config:
        context.output.write(f"{libraries}\n")
        return 0
    flags: list[str] = []
    if arguments.cflags:
        flags += [f"-I{headers}", "-pthread"]
    if arguments.libs:
        shared = [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-ltinspect"]
        flags += [str(libraries / "libtinspect.a")] if arguments.static else shared
        flags += [] if "-pthread" in flags else ["-pthread"]
    context.output.write(f"{shlex.join(flags)}\n")
    return 0
