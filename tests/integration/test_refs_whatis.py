"""What an address is, against a program that says what it put there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.libcs import BUILDS, LibcBuild, build_program, running
from tests.support.waiting import PATIENCE_S
from tinspect import session
from tinspect.model.options import AttachOptions
from tinspect.model.whatis import WhatIs

Json = dict[str, Any]
Answers = list[tuple[Json, WhatIs]]
SYSTEM = [
    build for build in BUILDS if str(build) in {"glibc-system", "glibc-sid", "glibc-system-static", "musl-system"}
]


@pytest.fixture(scope="module", params=SYSTEM, ids=str)
def build(request: pytest.FixtureRequest) -> LibcBuild:
    found: LibcBuild = request.param
    if found.why_missing():
        pytest.skip(found.why_missing())
    return found


@pytest.fixture(scope="module")
def answers(build: LibcBuild) -> Iterator[Answers]:
    with running(build, "refs_places") as (pid, lines):
        told = [line for line in lines if line["kind"] == "place"]
        if build.family == "musl":
            told = [line for line in told if line["what"] != "cached_stack"]  # musl gives the stack back
        found = session.whatis(str(pid), [words["address"] for words in told], AttachOptions())
        yield list(zip(told, found, strict=True))


def by_kind(answers: Answers, what: str) -> Answers:
    found = [pair for pair in answers if pair[0]["what"] == what]
    assert found
    return found


def test_the_kind_of_each(answers: Answers, build: LibcBuild) -> None:
    for words, answer in answers:
        expected = words["what"]
        if build.family == "musl" and expected == "heap":
            # musl's malloc has memory of its own, and gives back what was freed.
            given_back = {"unmapped"} if words["name"] == "free" else set()
            assert answer.kind.value in {"heap", "mapping", "module", *given_back}
            continue
        assert answer.kind.value == expected, words
        assert answer.region is None or words["address"] in answer.region


def test_words_say_it_without_the_address(answers: Answers) -> None:
    for _, answer in answers:
        assert answer.words.endswith(".")
        assert f"{answer.address:#x}" not in answer.words


def test_stacks_name_thread_frame_and_variable(answers: Answers) -> None:
    for words, answer in by_kind(answers, "stack") + by_kind(answers, "altstack"):
        assert answer.tid == words["tid"]
        assert answer.variable == words["name"]
        assert answer.frame is not None
        assert answer.function in {"main", "standing", "in_handler"}


def test_guard_and_descriptor_and_storage_are_of_their_thread(answers: Answers) -> None:
    for what in ("guard", "descriptor", "tls"):
        for words, answer in by_kind(answers, what):
            assert answer.tid == words["tid"]
            assert (answer.variable or "") == words["name"]


def test_heap_chunks(answers: Answers, build: LibcBuild) -> None:
    if build.family == "musl":
        pytest.skip("chunks are known for glibc's allocator alone")
    for words, answer in by_kind(answers, "heap"):
        assert answer.region is not None
        assert 3000 - 8 <= answer.region.size <= 3000 + 16  # the last word of a free chunk is its neighbour's
        assert any("is free" in detail for detail in answer.details) == (words["name"] == "free")


def test_static_data_and_code_have_section_symbol_and_line(answers: Answers, build: LibcBuild) -> None:
    program = build_program(build, "refs_places")
    for words, answer in by_kind(answers, "module"):
        assert answer.symbol == words["name"]
        assert answer.symbol_offset == 0
        assert answer.section == (".text" if words["name"] == "ending" else ".data")
        if words["name"] == "ending":
            listed = subprocess.run(
                ["addr2line", "-e", str(program), hex(words["address"] - bias(answer, build))],
                capture_output=True, text=True, check=True, timeout=PATIENCE_S,
            ).stdout.strip()  # fmt: skip
            assert f"{answer.file}:{answer.line}".rpartition("/")[2] == listed.rpartition("/")[2]


def bias(answer: WhatIs, build: LibcBuild) -> int:
    """A static program lies where it was linked to; any other from its lowest address on."""
    assert answer.region is not None
    return 0 if build.static else answer.region.low
