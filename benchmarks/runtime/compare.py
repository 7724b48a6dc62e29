"""Builds the runtime's benchmark programs and runs them side by side, one process each, shuffled, pinned and not.

Each program prints `case/implementation ns`. What is shown is the best of the rounds (a
neighbour on the machine costs nothing then), and its ratio to tinspect's.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OURS = "tinspect"
IMPLEMENTATIONS = [OURS, "tinspect-no-altstack", "pthread", "rust", "c++"]


def find_rustc() -> str | None:
    """rustc on the PATH, or where rustup puts it."""
    at_home = Path.home() / ".cargo/bin/rustc"
    return shutil.which("rustc") or (str(at_home) if at_home.exists() else None)


def build(out: Path) -> list[list[str]]:
    """Commands of all programs that can be built here, built into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["make", "-s", "-j2", "-f", "tinspect/native/scope/build.mk", f"OUT={out}", "all"], cwd=ROOT, check=True
    )
    include = f"-I{ROOT / 'tinspect/native/include'}"
    commands: list[list[str]] = []
    for source in sorted(HERE.glob("bench_*.*")):
        program = out / f"{source.stem}_{source.suffix[1:]}"
        if source.suffix == ".c":
            build_one: list[str | Path] = [
                "cc",
                "-O2",
                "-std=gnu11",
                include,
                source,
                out / "libtinspect.a",
                "-pthread",
                "-o",
                program,
            ]
        elif source.suffix == ".cpp":
            build_one = ["c++", "-O2", "-std=c++20", include, source, "-pthread", "-o", program]
        elif source.suffix == ".rs" and (rustc := find_rustc()) is not None:
            build_one = [rustc, "-O", source, "-o", program]
        else:
            continue
        if subprocess.run(build_one, check=source.suffix != ".rs").returncode != 0:
            print(f"{source.name} is left out: rustc before 1.66 lacks std::hint::black_box", file=sys.stderr)
            continue
        arguments = ["pthread", OURS, "tinspect-no-altstack"] if source.name == "bench_spawn.c" else [""]
        commands += [[str(program), *filter(None, [argument])] for argument in arguments]
    return commands


def run(command: list[str], pinned: bool) -> list[tuple[str, str, float]]:
    """(case, implementation, ns) for each line a program prints."""
    cpu = min(os.sched_getaffinity(0))
    pin = (lambda: os.sched_setaffinity(0, {cpu})) if pinned else None
    text = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pin).stdout
    rows = []
    for line in text.splitlines():
        name, value = line.split()
        case, _, implementation = name.partition("/")
        rows.append((case, implementation, float(value)))
    return rows


def measure(commands: list[list[str]], rounds: int, pinned: bool) -> dict[str, dict[str, float]]:
    """Best ns by case and implementation."""
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for command in random.sample(commands, len(commands)):
            for case, implementation, value in run(command, pinned):
                samples[case][implementation].append(value)
    return {case: {name: min(values) for name, values in by.items()} for case, by in samples.items()}


def show(title: str, best: dict[str, dict[str, float]]) -> None:
    """One line a case: ns, and in brackets how many times tinspect's."""
    names = [name for name in IMPLEMENTATIONS if any(name in by for by in best.values())]
    print(f"\n{title}\n{'':28}" + "".join(f"{name:>24}" for name in names), flush=True)
    for case, by in sorted(best.items()):
        ours = by.get(OURS)
        cells = []
        for name in names:
            ratio = f" ({by[name] / ours:.2f})" if name in by and ours else ""
            cells.append(f"{by[name]:.1f}{ratio}" if name in by else "-")
        print(f"{case:28}" + "".join(f"{cell:>24}" for cell in cells))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench")
    parser.add_argument("--only", default="", help="programs whose name holds this")
    options = parser.parse_args()
    commands = [command for command in build(options.out.resolve()) if options.only in Path(command[0]).name]
    print(f"ns per operation, best of {options.rounds} rounds; in brackets: times {OURS}'s", flush=True)
    show("pinned to one CPU", measure(commands, options.rounds, pinned=True))
    show("not pinned", measure(commands, options.rounds, pinned=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
