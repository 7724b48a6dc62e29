"""The web page in headless Chromium: no console message, tables and drawings present, hostile names inert."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_S
from tests.unit.reports import renamed, sample_report
from tinspect.views.html import html_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "</title><script>document.body.id='owned'</script><img src=x onerror=\"document.body.id='owned'\"><svg/onload=1>'\">"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def opened(page: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """The page's elements after loading, as text; the browser's log on standard error."""
    assert CHROMIUM is not None
    file = directory / "page.html"
    file.write_text(page, encoding="utf-8")
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={directory / 'profile'}",
            "--enable-logging=stderr", "--log-level=0", "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    done = opened(html_page(sample_report()), tmp_path)
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<table>") == html_page(sample_report()).count("<table>")
    assert len(re.findall('<rect class="used"', done.stdout)) >= 2
    assert 'aria-label="who points into whose stack"' in done.stdout


def test_the_log_would_show_what_the_policy_stops(tmp_path: Path) -> None:
    """The check above can fail: a script smuggled in by hand is refused, and the log says so."""
    page = html_page(sample_report()).replace("</body>", "<script>document.body.id='owned'</script></body>")
    done = opened(page, tmp_path)
    assert "CONSOLE" in done.stderr
    assert 'id="owned"' not in done.stdout


def test_hostile_names_are_inert_in_a_browser(tmp_path: Path) -> None:
    done = opened(html_page(renamed(sample_report(), HOSTILE)), tmp_path)
    assert "CONSOLE" not in done.stderr
    assert 'id="owned"' not in done.stdout
    assert "<img" not in done.stdout
    assert "<script" not in done.stdout
