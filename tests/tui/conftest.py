from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def tmux() -> str:
    found = shutil.which("tmux")
    if found is None:
        pytest.skip("tmux is not installed: no terminal to look at")
    return found
