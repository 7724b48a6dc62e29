"""Runs inside gdb: prints registers and frames of all threads as one line of JSON."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import gdb

MASK = (1 << 64) - 1
NAMES = os.environ["STACKS_REGISTERS"].split(",")
LIMIT = int(os.environ["STACKS_LIMIT"])


def cfa_of(frame: Any) -> int | None:
    frame.select()
    found = re.search(r"frame at (0x[0-9a-f]+)", gdb.execute("info frame", to_string=True))
    return int(found.group(1), 16) if found else None


def start_of(frame: Any) -> int | None:
    """Where the frame's function begins, by debug information or by the symbol table."""
    function = frame.function()
    if function is not None:
        return int(function.value().address) & MASK
    address = frame.pc() - (0 if frame.type() == gdb.SIGTRAMP_FRAME or frame.newer() is None else 1)
    try:
        found = re.search(r"<.+?(?:\+(\d+))?>", gdb.execute(f"output/a {address:#x}", to_string=True))
    except gdb.error:
        found = None
    return int(address - int(found.group(1) or 0)) if found else None


def describe(frame: Any) -> dict[str, Any]:
    return {
        "pc": frame.pc(),
        "cfa": cfa_of(frame),
        "function": frame.name(),
        "start": start_of(frame),
        "kind": "signal" if frame.type() == gdb.SIGTRAMP_FRAME else "normal",
    }


def older(frame: Any) -> Any:
    try:
        return frame.older()
    except gdb.error:
        return None


def frames_of() -> tuple[list[dict[str, Any]], str]:
    frames: list[dict[str, Any]] = []
    frame = gdb.newest_frame()
    reason = "limit"
    while frame is not None and frame.is_valid() and len(frames) < LIMIT:
        # Inlined and tail-called functions have no frame of their own on the stack.
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frames.append(describe(frame))
        reason = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
        frame = older(frame)
    return frames, reason


def read(frame: Any, name: str) -> int:
    try:
        return int(frame.read_register(name)) & MASK
    except (ValueError, gdb.error):
        return 0


result = []
for thread in gdb.selected_inferior().threads():
    thread.switch()
    newest = gdb.newest_frame()
    registers = [read(newest, name) for name in NAMES]
    frames, stop = frames_of()
    result.append({"tid": thread.ptid[1], "registers": registers, "frames": frames, "stop": stop})
print("STACKS " + json.dumps(result))
