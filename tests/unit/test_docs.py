"""The pages' links, commands, options and paths are those of the repository. What the runtime's pages name is test_reference_pages'."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tinspect.cli.parser import build_parser
from tinspect.model.options import Section

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PATHS = ("benchmarks", "docs", "scripts", "tests", "tinspect")
INCLUDED = "tinspect/native/include"  # where #include <tinspect/...> looks


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def _code(text: str) -> Iterator[str]:
    """Fenced blocks, and spans between backticks."""
    yield from re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", _without_code(text))


@cache
def _anchors(page: Path) -> set[str]:
    """The names GitHub gives to headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", _without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def _links(page: Path) -> list[tuple[Path, str]]:
    targets = re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text()))
    split = [target.partition("#") for target in targets if "://" not in target and not target.startswith("mailto:")]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in split]


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _links(page):
        assert target.exists(), target
        assert not anchor or anchor in _anchors(target), f"{target.name}#{anchor}"


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = ROOT / "docs/README.md"
    linked = {target for target, _ in _links(contents)}
    assert [_id(page) for page in PAGES[1:] if page != contents and page not in linked] == []
    assert contents in {target for target, _ in _links(ROOT / "README.md")}


@cache
def _options() -> dict[str, set[str]]:
    """The options of each command, and by "" those of the program."""
    parser = build_parser()
    (commands,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parsers = {"": parser, **commands}
    return {name: set(below._option_string_actions) for name, below in parsers.items()}


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_and_their_options_exist(page: Path) -> None:
    for code in _code(page.read_text()):
        for line in code.replace("\\\n", " ").splitlines():
            command = re.match(r"(?:\$ |sudo )*tinspect ([a-z][a-z-]*)", line)
            if command and page.name == "gdb.md" and command[1] in set(Section):
                continue  # a command of gdb
            if command:
                of_it = _options()[command[1]]
                own = re.split(r" -- | \| ", line)[0]
                assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own)) <= of_it, line


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_options_named_alone_exist(page: Path) -> None:
    every = set().union(*_options().values())
    assert set(re.findall(r"`(--[a-z][a-z-]*)", page.read_text())) - every == set()


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_targets_of_make_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(_code(page.read_text()))
    assert set(re.findall(r"^(?:\$ )?make ([a-z-]+)", code, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_paths_in_the_repository_exist(page: Path) -> None:
    spans = re.findall(r"`([\w./-]+)`", _without_code(page.read_text()))
    named = {span for span in spans if span.startswith(tuple(f"{top}/" for top in PATHS)) and "NAME" not in span}
    assert {path for path in named if not (ROOT / path).exists() and not (ROOT / INCLUDED / path).exists()} == set()
