"""What the scoped-thread runtime says of its threads, scopes, loans and locks, read through its registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinspect.analyses.context import Context
from tinspect.model.gap import Gap
from tinspect.model.lock import Lock
from tinspect.model.report import Finding
from tinspect.model.scope import RuntimeKey, RuntimeThread, Scope


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything the registry told. Empty when the target does not use the runtime."""

    by_tid: Mapping[int, RuntimeThread] = field(default_factory=dict)
    scopes: tuple[Scope, ...] = ()
    locks: tuple[Lock, ...] = ()
    keys: tuple[RuntimeKey, ...] = ()
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


def analyze(context: Context) -> Runtime:
    """Reads the registry of the target, if it has one."""
    return Runtime()
