"""What a user may ask for, as values: shared by the session and every face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Section(StrEnum):
    """The sections of a report, in the order they are shown."""

    THREADS = "threads"
    STACKS = "stacks"
    GUARDS = "guards"
    ALTSTACKS = "altstacks"
    TLS = "tls"
    REFS = "refs"
    LOCKS = "locks"
    SCOPES = "scopes"
    PROCESS = "process"
    FINDINGS = "findings"


ALL_SECTIONS: frozenset[Section] = frozenset(Section)


class AltstackMode(StrEnum):
    """How alternate signal stacks may be learnt: the best way that leaves the target alone (auto), one way only, or not at all.

    Signal frames and the runtime's registry tell of some whatever the mode. Injection, which lets each thread make a system call, happens
    only when it is asked for.
    """

    AUTO = "auto"
    BPF = "bpf"
    INJECT = "inject"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """How to look at a target. ``tids`` None means every thread; ``timeout`` is seconds to wait for threads to stop.

    ``heap`` scans heap and globals for references too; ``passive`` stops nothing, ``stop_busy`` then stops those threads alone that run.
    """

    sections: frozenset[Section] = ALL_SECTIONS
    tids: frozenset[int] | None = None
    heap: bool = False
    passive: bool = False
    stop_busy: bool = False
    altstack: AltstackMode = AltstackMode.AUTO
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """What a snapshot holds beside stacks, descriptors, TLS and registry: ``full`` all memory, ``heap`` heap and globals."""

    full: bool = False
    heap: bool = False
    compress: bool = False
    altstack: AltstackMode = AltstackMode.AUTO
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """A snapshot that was written: file size and captured bytes, the pause in µs, and what is missing from it, in words."""

    path: str
    file_size: int
    captured: int
    threads: int
    pause_us: int | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """When `tinspect run` reports: at a fatal signal always; ``signals`` (numbers) when they arrive; ``after`` seconds once.

    ``output`` is the file that receives a snapshot instead of a report being shown; ``children`` follows forks.
    """

    signals: frozenset[int] = frozenset()
    after: float | None = None
    output: str | None = None
    children: bool = False


Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Told what is being done: the step in words, how much is done, and out of how much (None when that is unknown)."""


def no_progress(step: str, done: int, total: int | None) -> None:
    """For callers that don't want to be told."""
