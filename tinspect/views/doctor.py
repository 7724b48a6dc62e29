"""What this machine and these rights allow, and what to do about the rest."""

from __future__ import annotations

from collections.abc import Iterable

from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.views.table import Cell, Column, Role, Row, Table

_COLUMNS = (
    Column("state", "STATE"),
    Column("name", "CHECK"),
    Column("detail", "FOUND", min_width=30, wrap=True),
)
_STATES = {
    CheckState.OK: Cell("ok", Role.GOOD, sort=2),
    CheckState.LIMITED: Cell("limited", Role.WARNING, sort=1),
    CheckState.MISSING: Cell("missing", Role.ERROR, sort=0),
}


def doctor_table(checks: Iterable[DoctorCheck]) -> Table:
    """One row a check; what to do about it stands behind what was found."""
    rows = tuple(
        Row(f"check:{check.name}", (_STATES[check.state], Cell(check.name), Cell(_words(check)))) for check in checks
    )
    return Table("doctor", "What is possible here", _COLUMNS, rows, "no checks")


def _words(check: DoctorCheck) -> str:
    step = f" → {check.next_step}" if check.next_step else ""
    return check.detail + step
