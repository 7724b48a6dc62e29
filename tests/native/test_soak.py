"""The soak test, made short: `make soak` makes 10,000 kills."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.native.test_inject import REASON
from tests.support.waiting import PATIENCE_S

KILLS = 100


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_random_kills_of_the_injector_harm_no_thread() -> None:
    command = [sys.executable, str(Path(__file__).with_name("soak_inject.py")), "--kills", str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{KILLS} kills, \d+ threads intact", done.stdout, re.MULTILINE)
