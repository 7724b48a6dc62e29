"""The conclusions, and what could not be learnt."""

from __future__ import annotations

from tinspect.model.gap import Gap
from tinspect.model.report import Finding, ProcessReport
from tinspect.views.grouping import grouped, tids_cell
from tinspect.views.table import SEVERITY_ROLES, Align, Cell, Column, Role, Row, Table
from tinspect.views.words import count_words

_SEVERITIES = ("error", "warning", "note")

_FINDING_COLUMNS = (
    Column("severity", "SEVERITY"),
    Column("tid", "TID", Align.RIGHT),
    Column("message", "WHAT", min_width=30, wrap=True),
    Column("code", "CODE", priority=1),
)
_GAP_COLUMNS = (
    Column("what", "WHAT"),
    Column("tid", "TID", Align.RIGHT),
    Column("why", "WHY", min_width=30, wrap=True),
)


def findings_table(report: ProcessReport) -> Table:
    """The findings, errors first; equal ones about several threads share a row."""
    findings = sorted(report.findings, key=lambda finding: _SEVERITIES.index(finding.severity))
    groups = grouped(findings, lambda finding: (finding.severity, finding.code, finding.message))
    rows = tuple(_finding_row(group, index) for index, group in enumerate(groups))
    return Table("findings", f"Findings: {findings_words(report)}", _FINDING_COLUMNS, rows, "nothing to report")


def _finding_row(group: list[Finding], index: int) -> Row:
    first = group[0]
    tids = tuple(finding.tid for finding in group if finding.tid is not None)
    role = SEVERITY_ROLES[first.severity]
    cells = (
        Cell(first.severity.value, role, sort=_SEVERITIES.index(first.severity)),
        tids_cell(tids),
        Cell(first.message),
        Cell(first.code, Role.DIM),
    )
    return Row(f"finding:{first.code}:{index}", cells, tids, first.severity)


def findings_words(report: ProcessReport) -> str:
    """ "1 error, 2 warnings", or "none"."""
    counts = [(sum(finding.severity == severity for finding in report.findings), severity) for severity in _SEVERITIES]
    return ", ".join(count_words(count, severity) for count, severity in counts if count) or "none"


def incomplete_table(report: ProcessReport) -> Table:
    """What could not be learnt; equal reasons share a row."""
    rows = []
    for index, group in enumerate(_gap_groups(report)):
        tids = tuple(gap.tid for gap in group if gap.tid is not None)
        cells = (Cell(group[0].what, Role.WARNING), tids_cell(tids), Cell(group[0].why))
        rows.append(Row(f"gap:{index}", cells, tids))
    title = f"Not learnt: {gaps_words(report)}"
    return Table("incomplete", title, _GAP_COLUMNS, tuple(rows), "everything asked for was learnt")


def gaps_words(report: ProcessReport) -> str:
    """ "3 gaps": one that many threads share counts once."""
    return count_words(len(_gap_groups(report)), "gap")


def _gap_groups(report: ProcessReport) -> list[list[Gap]]:
    return grouped(report.incomplete, lambda gap: (gap.what, gap.why))
