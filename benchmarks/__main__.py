"""Runs every benchmark, or those named: ``python -m benchmarks [--full] [NAME...]``. Each prints ratios taken side by side in one run.

Without ``--full`` the sizes are those that take less than a minute; documented measurements are of the full ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
QUICK = {
    "altstack": ("1000",),
    "attach": ("10", "100"),
    "compare": ("--rounds", "1"),
    "core": ("100",),
    "pause": ("10", "1000"),
    "scan": ("256",),
    "unwind": ("10", "100"),
}


def main() -> int:
    scripts = [*sorted(HERE.rglob("bench_*.py")), HERE / "runtime" / "compare.py"]
    words = sys.argv[1:]
    full = "--full" in words
    wanted = set(words) - {"--full"}
    unknown = wanted - {path.stem.removeprefix("bench_") for path in scripts}
    if unknown:
        print(f"no benchmark called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 64
    failed = []
    for path in scripts:
        name = path.stem.removeprefix("bench_")
        if wanted and name not in wanted:
            continue
        print(f"\n=== {name}", flush=True)
        command = [sys.executable, str(path), *(() if full else QUICK.get(name, ()))]
        if subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(HERE.parent)}).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
