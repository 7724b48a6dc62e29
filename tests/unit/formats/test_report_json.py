from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.reports import HOSTILE_NAMES, TARGET, any_report, renamed, sample_report
from tinspect.errors import FormatError
from tinspect.formats.report_json import REPORT_SCHEMA, dump_report, parse_report, to_json
from tinspect.model.report import LibcInfo, ProcessReport

_SLOW = settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)


def violations(data: object, schema: dict[str, Any], path: str = "report") -> list[str]:
    """What in ``data`` breaks ``schema``, by the few keywords of JSON Schema that it uses."""
    if "anyOf" in schema:
        tries = [violations(data, option, path) for option in schema["anyOf"]]
        return [] if [] in tries else tries[0]
    if "const" in schema:
        return [] if data == schema["const"] else [f"{path} is not {schema['const']}"]
    if "enum" in schema:
        return [] if data in schema["enum"] else [f"{path} is {data!r}"]
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "integer": int,
    }
    if not isinstance(data, kinds[schema["type"]]) or (schema["type"] == "integer" and isinstance(data, bool)):
        return [f"{path} is no {schema['type']}: {data!r}"]
    if isinstance(data, str) and "pattern" in schema:
        return [] if re.search(schema["pattern"], data) else [f"{path}: {data!r}"]
    if isinstance(data, list):
        return [text for item in data for text in violations(item, schema["items"], f"{path}[]")]
    if isinstance(data, dict):
        found = [f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in data]
        for name, item in data.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            found += [f"{path}.{name} is not described"] if inner is None else violations(item, inner, f"{path}.{name}")
        return found
    return []


@_SLOW
@given(any_report)
def test_round_trip(report: ProcessReport) -> None:
    text = dump_report(report)
    assert parse_report(text) == report
    assert parse_report(text.encode()) == report
    assert violations(json.loads(text), REPORT_SCHEMA) == []


def test_sample_round_trip() -> None:
    report = sample_report()
    assert parse_report(to_json(report)) == report
    assert violations(to_json(report), REPORT_SCHEMA) == []


def test_names_of_the_contract() -> None:
    """DESIGN.md's names, each of which stays."""
    data: Any = to_json(sample_report())
    assert data["schema"] == "tinspect.report/1"
    assert data["target"] == {
        "kind": "live", "pid": 4242, "executable": "/usr/bin/demo", "architecture": "x86_64",
        "libc": {"name": "glibc", "version": "2.36", "layout_source": "dwarf"}, "pause_us": 812,
    }  # fmt: skip
    thread = data["threads"][1]
    assert thread.keys() >= {
        "tid", "name", "state", "is_main", "pthread", "thread_pointer", "pc", "sp", "function", "stack", "guard", "sigaltstack",
        "tls_values", "frames", "waits_for",
    }  # fmt: skip
    assert thread["stack"].keys() >= {"low", "high", "size", "used", "peak", "running_on", "source"}
    assert thread["stack"]["size"] == int(thread["stack"]["high"], 16) - int(thread["stack"]["low"], 16) == 8 << 20
    assert thread["guard"] == {
        "low": "0x1000", "high": "0x2000", "size": 4096, "kind": "madvise", "distance": -16, "source": "pagemap",
    }  # fmt: skip
    assert thread["sigaltstack"].keys() >= {"state", "low", "high", "size", "flags", "source"}
    assert thread["tls_values"][0].keys() >= {"key", "value"}
    assert thread["frames"][0].keys() >= {"pc", "sp", "function", "offset", "module", "file", "line"}
    assert thread["waits_for"].keys() >= {"kind", "address", "owner_tid", "syscall"}
    assert data["tls_keys"][0].keys() >= {"key", "sequence", "destructor", "symbol", "module"}
    assert data["tls_keys"][1]["destructor"] is None
    reference = data["references"][0]
    assert reference.keys() >= {"from_tid", "from", "to_tid", "value", "target", "verdict", "scope"}
    assert reference["from"].keys() >= {"kind", "register", "address", "frame", "function"}
    assert reference["target"].keys() >= {"frame", "function", "offset"}
    assert data["scopes"][0].keys() >= {"id", "owner_tid", "parent", "running", "panicked", "threads", "borrows"}
    assert data["findings"][0].keys() == {"severity", "code", "tid", "message"}
    assert data["incomplete"][0] == {
        "what": "sigaltstack",
        "tid": 4245,
        "why": "BPF is not permitted here; run as root.",
    }


def test_unknown_is_null() -> None:
    bare: Any = to_json(sample_report())["threads"]
    thread = bare[3]
    unknown = (
        "pthread", "thread_pointer", "pc", "sp", "function", "stack", "guard", "sigaltstack", "tls_values", "frames", "waits_for",
        "registers",
    )  # fmt: skip
    assert [thread[name] for name in unknown] == [None] * len(unknown)


@pytest.mark.parametrize("libc", [LibcInfo("none"), LibcInfo(None), LibcInfo("musl", None, "table")])
def test_text_that_is_unknown_is_null_as_well(libc: LibcInfo) -> None:
    report = sample_report()
    bare = replace(
        report,
        target=replace(report.target, executable="", libc=libc),
        threads=tuple(replace(entry, thread=replace(entry.thread, name="")) for entry in report.threads),
        modules=tuple(replace(module, build_id="") for module in report.modules),
    )
    data: Any = to_json(bare)
    assert data["target"]["executable"] is None
    assert data["target"]["libc"] == {"name": libc.name, "version": None, "layout_source": libc.layout_source}
    assert {thread["name"] for thread in data["threads"]} == {None}
    assert {module["build_id"] for module in data["modules"]} <= {None}
    assert parse_report(data) == bare
    assert violations(data, REPORT_SCHEMA) == []


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_never_raw(name: str) -> None:
    data = to_json(renamed(sample_report(), name))
    for text in _strings(data):
        assert text.isprintable()
    assert json.loads(json.dumps(data)) == data


def _strings(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data]
    if isinstance(data, dict):
        return [*data, *(text for item in data.values() for text in _strings(item))]
    return [text for item in data for text in _strings(item)] if isinstance(data, list) else []


def test_newer_writers_may_add_keys() -> None:
    data: Any = to_json(sample_report())
    data["news"] = {"a": 1}
    data["threads"][0]["mood"] = "good"
    assert parse_report(data) == sample_report()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{}", '{"schema": "tinspect.report/2"}', '{"schema": "tinspect.report/1"}', b"\xff\xfe\0", "[" * 100_000,
        '{"schema": "tinspect.report/1", "target": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        parse_report(text)


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("0x" + "f" * 30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, item in items for place in [(*path, key), *_places(item, (*path, key))]]


_SAMPLE = to_json(sample_report())
_SAMPLE_PLACES = _places(_SAMPLE)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_SAMPLE_PLACES), _JUNK)
def test_junk_in_any_place_is_refused_or_read(place: tuple[Any, ...], junk: Any) -> None:
    data: Any = copy.deepcopy(_SAMPLE)
    owner = data
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = junk
    try:
        report = parse_report(data)
    except FormatError:
        return
    assert isinstance(report, ProcessReport)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("threads", 0, "tid"), "one", "threads[0].tid"),
        (("threads", 0, "stack", "low"), "0x" + "f" * 16, "report.threads[0].stack"),
        (("threads", 0, "stack", "size"), 1, "a size of 1"),
        (("threads", 0, "state"), None, "a string"),
        (("findings", 0, "severity"), "fatal", "error, warning, note"),
        (("cached_stacks", 0, "low"), None, "half a range"),
    ],
)
def test_an_error_names_the_place(place: tuple[Any, ...], value: object, words: str) -> None:
    data: Any = copy.deepcopy(_SAMPLE)
    owner = data
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = value
    with pytest.raises(FormatError, match=re.escape(words)):
        parse_report(data)


def test_an_empty_report() -> None:
    report = ProcessReport(TARGET, ())
    assert parse_report(dump_report(report)) == report


def _names(schema: dict[str, Any]) -> set[str]:
    """Every key and every word that the schema knows."""
    names = set(schema.get("properties", {})) | {text for text in schema.get("enum", ()) if isinstance(text, str)}
    parts = [
        *schema.get("properties", {}).values(),
        *schema.get("anyOf", ()),
        *([schema["items"]] if "items" in schema else []),
    ]
    return names.union(*(_names(part) for part in parts)) if parts else names


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "json.md").read_text()
    assert sorted(name for name in _names(REPORT_SCHEMA) if f"`{name}`" not in page) == []
