"""What this machine and these rights allow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How well something works here."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check. ``detail`` says what was found, ``next_step`` what to do about it ("" when nothing needs doing)."""

    name: str
    state: CheckState
    detail: str
    next_step: str = ""
