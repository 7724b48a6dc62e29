"""The full-screen view: a prompt_toolkit application over the same views as the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinspect.model.options import AttachOptions


def run(target: str, options: AttachOptions, *, executable: str | None, sysroot: str | None, interval: float) -> int:
    """Shows ``target`` (a pid in digits, or a core) until its user leaves; refreshes come every ``interval`` seconds.

    Returns the exit status. Raises TinspectError when the target cannot be looked at, or the terminal is too simple.
    """
    import asyncio
    import sys
    from os import environ

    from tinspect.errors import UsageError
    from tinspect.session import open_target
    from tinspect.tui.app import Viewer
    from tinspect.tui.refresh import Refresher
    from tinspect.tui.state import Refreshing, State

    if environ.get("TERM", "dumb") == "dumb":
        raise UsageError("this terminal cannot place its cursor (TERM=dumb).", "Use tinspect attach or tinspect core.")
    is_process = target.isdecimal()
    still = "" if is_process else "a core does not change"
    state = State(refreshing=Refreshing(interval=interval, still=still))
    unicode = "utf" in (sys.stdout.encoding or "").lower()

    async def show() -> int:
        inspector = open_target(target, executable, sysroot)
        refresher = Refresher(inspector, options, is_process=is_process)
        return await Viewer(refresher, state, unicode=unicode).run()

    return asyncio.run(show())
