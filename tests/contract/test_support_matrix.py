"""The page that says what each backend cannot tell is the suite's own list."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.backends import BACKENDS

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/support-matrix.md"


def test_every_missing_fact_is_listed_with_its_reason() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\w, -]+) \| (.+) \|$", PAGE.read_text(), re.M)
    listed = {(fact, backend, reason) for fact, backends, reason in rows for backend in backends.split(", ")}
    expected = {(fact, b.name, reason) for b in BACKENDS for fact, reason in b.lacks.items()}
    assert listed == expected
