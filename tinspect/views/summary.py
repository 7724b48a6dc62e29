"""The first lines of a report: what was inspected, for how long it stood still, and whether anything is wrong."""

from __future__ import annotations

from collections.abc import Collection

from tinspect.model.options import ALL_SECTIONS, Section
from tinspect.model.report import ProcessReport, Severity
from tinspect.views.findings import findings_words, gaps_words
from tinspect.views.process import libc_words
from tinspect.views.span import Line, Span
from tinspect.views.table import SEVERITY_ROLES, Role
from tinspect.views.threads import threads_summary
from tinspect.views.words import duration_words

_KINDS = {"live": "", "passive": "looked at without stopping it", "core": "core dump", "gdb": "in gdb"}


def summary_lines(report: ProcessReport, sections: Collection[Section] = ALL_SECTIONS) -> tuple[Line, ...]:
    """Three lines: the target; its threads; the pause, findings and gaps. Without the findings section nobody has looked for all
    findings: then those that were met are counted, and their absence is not claimed."""
    target = report.target
    who = f"pid {target.pid}" if target.pid is not None else "process"
    facts = (target.architecture, libc_words(target.libc), _KINDS.get(target.kind, target.kind))
    first = (
        Span(f"{who}  ", Role.TITLE),
        Span(target.executable or "?", Role.NAME),
        Span(f"  {'; '.join(fact for fact in facts if fact)}", Role.DIM),
    )
    parts: list[Line] = []
    if report.findings or Section.FINDINGS in sections:
        parts.append((Span("findings: "), Span(findings_words(report), _worst_role(report))))
    if report.incomplete:
        parts.append((Span("not learnt: "), Span(gaps_words(report), Role.WARNING)))
    if target.pause_us or (target.pause_us == 0 and target.kind != "passive"):
        parts.append((Span(f"stood still for {duration_words(target.pause_us)}"),))
    last = tuple(span for part in parts for span in (Span("; "), *part))[1:]
    return (first, (Span(threads_summary(report)),), *((last,) if last else ()))


def _worst_role(report: ProcessReport) -> Role:
    found = {finding.severity for finding in report.findings}
    worst = next((severity for severity in Severity if severity in found), None)
    return Role.GOOD if worst is None else SEVERITY_ROLES[worst]
