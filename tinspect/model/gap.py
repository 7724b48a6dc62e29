"""What could not be learnt, and why: the entries of the report's ``incomplete``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that is missing. ``what`` names the section or fact ("sigaltstack", "stack", "tls_values");
    ``tid`` is None when it concerns the process; ``why`` is a clear sentence with the cause and, if any, the next step.
    """

    what: str
    why: str
    tid: int | None = None
