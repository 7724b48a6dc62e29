"""Why a backend knows no alternate signal stacks, and what to do about it: the words of its gap of the whole process."""

from __future__ import annotations

from tinspect.model.gap import Gap

NOT_ASKED = Gap("sigaltstack", "alternate signal stacks were not asked for (--altstack off).")
IN_A_CORE = Gap(
    "sigaltstack",
    "a core dump tells the alternate signal stack of a thread in a signal handler alone; "
    "tinspect snapshot keeps those of all while the process lives.",
)
REMOTE = Gap("sigaltstack", "gdb cannot ask a remote kernel for alternate signal stacks. Run tinspect on that machine.")
