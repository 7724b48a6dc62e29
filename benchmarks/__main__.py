"""Runs every benchmark, or those named: ``python -m benchmarks [NAME...]``. Each prints ratios taken side by side in one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    scripts = [*sorted(HERE.rglob("bench_*.py")), HERE / "runtime" / "compare.py"]
    wanted = set(sys.argv[1:])
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
        if subprocess.run(
            [sys.executable, str(path)], check=False, env={**os.environ, "PYTHONPATH": str(HERE.parent)}
        ).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
