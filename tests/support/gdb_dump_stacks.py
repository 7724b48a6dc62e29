"""Runs inside gdb: prints registers and frames of all threads as one line of JSON. ``names`` and ``limit`` are set before."""

import json
import re

import gdb

MASK = (1 << 64) - 1


def cfa_of(frame):
    frame.select()
    found = re.search(r"frame at (0x[0-9a-f]+)", gdb.execute("info frame", to_string=True))
    return int(found.group(1), 16) if found else None


def start_of(frame):
    """Where the frame's function begins, by debug information or by the symbol table."""
    function = frame.function()
    if function is not None:
        return int(function.value().address) & MASK
    address = frame.pc() - (0 if frame.type() == gdb.SIGTRAMP_FRAME or frame.newer() is None else 1)
    try:
        found = re.search(r"<.+?(?:\+(\d+))?>", gdb.execute(f"output/a {address:#x}", to_string=True))
    except gdb.error:
        found = None
    return address - int(found.group(1) or 0) if found else None


def frames_of():
    frames = []
    frame = gdb.newest_frame()
    while frame is not None and frame.is_valid() and len(frames) < limit:
        # Inlined and tail-called functions have no frame of their own on the stack.
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frames.append(
                {
                    "pc": frame.pc(),
                    "cfa": cfa_of(frame),
                    "function": frame.name(),
                    "start": start_of(frame),
                    "kind": "signal" if frame.type() == gdb.SIGTRAMP_FRAME else "normal",
                }
            )
        try:
            older = frame.older()
        except gdb.error:
            older = None
        if older is None:
            reason = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
        frame = older
    return frames, reason if frame is None else "limit"


result = []
for thread in gdb.selected_inferior().threads():
    thread.switch()
    newest = gdb.newest_frame()
    registers = []
    for name in names:
        try:
            registers.append(int(newest.read_register(name)) & MASK)
        except (ValueError, gdb.error):
            registers.append(0)
    frames, reason = frames_of()
    result.append({"tid": thread.ptid[1], "registers": registers, "frames": frames, "stop": reason})
print("STACKS " + json.dumps(result))
