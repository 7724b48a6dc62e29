"""One target under atheris: python -m tests.fuzz.worker TARGET [libFuzzer's options and corpora]."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["tinspect"]):
    from tests.fuzz import targets


def main() -> None:
    """Hands over to libFuzzer, which does not return."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, lambda data: targets.run_one(name, data))
    atheris.Fuzz()


main()
