from __future__ import annotations

import pytest

from tests.unit.cli.fake import CommandLine


@pytest.fixture
def tinspect(monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Runs command lines with fake services."""
    return CommandLine(monkeypatch)
