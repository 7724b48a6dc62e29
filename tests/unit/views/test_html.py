"""The web page: well-formed, self-contained, inert. How it looks is tested in a browser elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.reports import HOSTILE_NAMES, any_report, crowd, renamed, sample_report
from tinspect.model.options import ALL_SECTIONS, Section
from tinspect.model.report import ProcessReport
from tinspect.views.address_map import map_clusters, stack_regions
from tinspect.views.html import html_page
from tinspect.views.options import ViewOptions
from tinspect.views.report import report_tables

VOID = {"meta"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "h1", "h2", "p", "span", "a", "div", "i",
    "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "text",
}  # fmt: skip


class Page(HTMLParser):
    """Reads a page, and complains about unbalanced or unknown elements, handlers and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "xlink:href"}
            assert name != "href" or (value or "").startswith("#")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


WITH_FRAMES = ViewOptions(frames=True)


def check(report: ProcessReport, options: ViewOptions = WITH_FRAMES) -> Page:
    text = html_page(report, ALL_SECTIONS, options)
    assert text.replace("\n", "").isprintable()
    assert re.search(r"https?:|url\(|@import|<script", text) is None
    return Page(text)


def test_tables_and_drawings_are_there() -> None:
    page = check(sample_report())
    tables = report_tables(sample_report(), ALL_SECTIONS, ViewOptions(frames=True))
    assert page.count["table"] == len(tables)
    assert page.count["tr"] == sum(len(table.rows) + 1 for table in tables)
    assert page.count["svg"] == 3 + 3  # the drawings, and a bar for each known stack
    assert "counter in main [scope 7]" in page.words


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_inert(name: str) -> None:
    check(renamed(sample_report(), name))


@settings(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
@given(any_report)
def test_any_report_makes_a_page(report: ProcessReport) -> None:
    check(report)


def test_sections_are_chosen() -> None:
    page = Page(html_page(sample_report(), frozenset({Section.GUARDS})))
    assert "Guards" in page.words
    assert "Threads: 4" not in page.words
    assert "rect" not in page.count


def test_many_threads_make_a_small_page() -> None:
    assert len(html_page(crowd(5000))) < 500_000


def test_the_map_has_clusters_to_scale() -> None:
    report = crowd(3)
    for found in (report, replace(report, regions=stack_regions(report))):
        clusters = map_clusters(found)
        for cluster in clusters:
            assert all(0 <= piece.start <= 1 and piece.start + piece.width <= 1.0001 for piece in cluster.pieces)
            for piece in cluster.pieces:
                assert piece.region.range.size == pytest.approx(piece.width * cluster.range.size)
        assert sum(len(cluster.pieces) for cluster in clusters) == 4 * 3
        lows = [cluster.range.low for cluster in clusters]
        assert lows == sorted(lows)
