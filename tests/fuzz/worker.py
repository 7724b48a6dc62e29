"""One target under atheris: python -m tests.fuzz.worker TARGET [libFuzzer's options and corpora]."""

from __future__ import annotations

import sys
import time

import atheris

with atheris.instrument_imports(include=["tinspect"]):
    from tests.fuzz import targets


LONGEST = 1.0


def main() -> None:
    """Hands over to libFuzzer, which does not return."""
    name = sys.argv.pop(1)

    def run(data: bytes) -> None:
        started = time.process_time()
        targets.run_one(name, data)
        # By the processor's clock: on a busy machine the other one says nothing.
        spent = time.process_time() - started
        if spent > LONGEST:
            raise TimeoutError(f"{spent:.1f} s for {len(data)} bytes")

    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


main()
