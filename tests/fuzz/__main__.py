"""make fuzz: every target in its own process under atheris, with seeds from real cores. Ends with 1 when anything was found.

A finding is kept under build/fuzz/TARGET-*; run it again with:
python -m tests.fuzz --again TARGET FILE
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.seeds import make_seeds
from tests.fuzz.targets import TARGETS, run_one

FOLDER = Path("build/fuzz")
# How the executions are shared out: whole reports cost a thousand times what a note does.
SHARES = {"report": 0.004, "core": 0.04, "compressed": 0.04, "snapshot_note": 0.05, "call_frames": 0.06, "elf": 0.06}
TIMEOUT = 60  # by the wall clock: the worker itself refuses a second of processor time
MEMORY_MIB = 512


def main() -> int:
    """The command."""
    arguments = _parse()
    if arguments.again:
        run_one(arguments.again[0], Path(arguments.again[1]).read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "atheris"], check=True)
    make_seeds(FOLDER / "seeds")
    names = arguments.target or list(TARGETS)
    left = 1 - sum(SHARES.get(name, 0) for name in names)
    plain = sum(name not in SHARES for name in names)
    total, found = 0, []
    for name in names:
        share = SHARES.get(name, left / max(plain, 1)) if len(names) > 1 else 1
        executed, ok = _fuzz(name, max(int(arguments.runs * share), 1000))
        total += executed
        if not ok:
            found.append(name)
    print(f"{total:,} executions; {'nothing found' if not found else 'FOUND in: ' + ', '.join(found)}")
    return 1 if found else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000, help="executions over all targets")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="this one only; may be repeated")
    parser.add_argument("--again", nargs=2, metavar=("TARGET", "FILE"), help="run one kept input")
    return parser.parse_args()


def _fuzz(name: str, runs: int) -> tuple[int, bool]:
    """Executions made, and whether nothing was found."""
    corpus, seeds = FOLDER / "corpus" / name, FOLDER / "seeds" / name
    for folder in (corpus, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.worker", name, f"-runs={runs}", f"-timeout={TIMEOUT}"]
    command += [f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={FOLDER}/{name}-", "-print_final_stats=1"]
    done = subprocess.run(
        [*command, str(corpus), str(seeds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode("utf-8", "replace")
    numbers = {key: int(value) for key, value in re.findall(r"stat::(\w+):\s+(\d+)", said)}
    executed = numbers.get("number_of_executed_units", 0)
    seconds = time.monotonic() - started
    print(
        f"{name:16} {executed:>9,} executions  {seconds:6.1f} s  "
        f"peak {numbers.get('peak_rss_mb', 0)} MiB  slowest {numbers.get('slowest_unit_time_sec', 0)} s",
        flush=True,
    )
    if done.returncode:
        print(said[-3000:], flush=True)
    return executed, done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
