"""The full-screen view: what a refresh costs and how long the target stands still for it, how soon a key is on the screen, what an idle
view costs, how much it writes. ``python -m benchmarks.bench_tui [THREADS...]``."""

from __future__ import annotations

import asyncio
import io
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from tinspect.model.options import AttachOptions
from tinspect.model.report import ProcessReport
from tinspect.model.whatis import WhatIs
from tinspect.session import Inspector, attach
from tinspect.tui.app import Viewer
from tinspect.tui.moment import Moment, make_moment
from tinspect.tui.refresh import Refresher
from tinspect.tui.state import Refreshing, State

ROOT = Path(__file__).parents[1]
COUNTS = (10, 1000, 10_000)
KEYS = 100
IDLE = 3.0


class Counted(io.StringIO):
    """A terminal that only counts."""

    encoding = "utf-8"

    def fileno(self) -> int:
        raise io.UnsupportedOperation

    def isatty(self) -> bool:
        return True


def build(folder: Path) -> Path:
    program = folder / "waiting_threads"
    source = ROOT / "tests/programs/waiting_threads.c"
    subprocess.run(["cc", "-O1", "-pthread", str(source), "-o", str(program)], check=True)
    return program


def timed(work: Callable[[], Moment]) -> tuple[Moment, float]:
    start = time.perf_counter()
    return work(), (time.perf_counter() - start) * 1e3


def refresh_costs(inspector: Inspector, count: int) -> Moment:
    first = make_moment(inspector.report(AttachOptions(passive=True)))  # learns symbols and unwind rules
    passive, passive_ms = timed(lambda: make_moment(inspector.report(AttachOptions(passive=True)), first))
    stopped, stopped_ms = timed(lambda: make_moment(inspector.report(AttachOptions()), passive))
    pause = stopped.report.target.pause_us or 0
    print(
        f"{count:>6} threads  refresh passive {passive_ms:9.1f} ms, pause 0;  stopped {stopped_ms:9.1f} ms, pause {pause / 1000:.1f} ms"
    )
    return stopped


class Given:
    """An inspector that has its report already: what is measured is the view alone."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def report(self, *_: object) -> ProcessReport:
        return self._moment.report

    def whatis(self, *_: object) -> tuple[WhatIs, ...]:
        return ()

    def instructions(self, _: int) -> tuple[()]:
        return ()

    def close(self) -> None:
        return


async def view_costs(moment: Moment, count: int) -> None:
    out = Counted()
    screen = Vt100_Output(out, lambda: Size(60, 200), term="xterm-256color")
    with create_pipe_input() as keyboard:
        refresher = Refresher(Given(moment), AttachOptions(), is_process=True)
        viewer = Viewer(refresher, State(refreshing=Refreshing(paused=True)), source=keyboard, output=screen)
        painted = asyncio.Event()
        viewer.application.after_render += lambda _: painted.set()
        running = asyncio.create_task(viewer.run())
        while viewer.state.moment is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the first picture is drawn
        delays, sizes = [], []
        for number in range(KEYS):
            painted.clear()
            before, start = out.tell(), time.perf_counter()
            keyboard.send_text("j" if number % 20 < 10 or count > KEYS else "k")
            await painted.wait()
            delays.append((time.perf_counter() - start) * 1e3)
            sizes.append(out.tell() - before)
        used = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.sleep(IDLE)
        later = resource.getrusage(resource.RUSAGE_SELF)
        keyboard.send_text("q")
        await running
    idle = (later.ru_utime + later.ru_stime - used.ru_utime - used.ru_stime) / IDLE
    delays.sort()
    print(
        f"{count:>6} threads  key to paint {statistics.median(delays):.1f} ms (95 of 100 within {delays[int(KEYS * 0.95)]:.1f} ms), "
        f"{statistics.median(sizes):.0f} bytes a frame, idle {idle:.2%} of a processor   [200×60]"
    )


def main() -> int:
    counts = [int(word) for word in sys.argv[1:]] or COUNTS
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        for count in counts:
            process = subprocess.Popen([program, str(count)], stdout=subprocess.PIPE, text=True)
            try:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    print(f"{count:>6} threads  cannot be started here")
                    continue
                with attach(process.pid) as inspector:
                    moment = refresh_costs(inspector, count)
                asyncio.run(view_costs(moment, count))
            finally:
                process.kill()
                process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
