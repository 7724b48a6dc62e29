"""All findings in the order a reader wants them: errors first, then by thread."""

from __future__ import annotations

from collections.abc import Iterable

from tinspect.model.report import Finding, Severity

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, warnings, notes; within each by thread, findings of the process first; equal ones once."""
    return tuple(sorted(set(findings), key=lambda f: (_ORDER[f.severity], f.tid or 0, f.code, f.message)))
