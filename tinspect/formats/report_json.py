"""The report's JSON form, schema "tinspect.report/1": docs/reference/json.md. Addresses are hex strings, unknown is null."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any

from tinspect.errors import FormatError
from tinspect.formats.json_codec import (
    ADDRESS,
    BOOLEAN,
    BYTES,
    INTEGER,
    KNOWN_TEXT,
    TEXT,
    Array,
    Json,
    Member,
    Nullable,
    Record,
    Schema,
    members,
    plain,
    ranged,
    word,
)
from tinspect.formats.thread_json import THREAD
from tinspect.model.crash import Crash, Instruction
from tinspect.model.gap import Gap
from tinspect.model.lock import Lock
from tinspect.model.module import Module
from tinspect.model.reference import (
    Confidence,
    PlaceKind,
    ReferenceSource,
    ReferenceTarget,
    StackReference,
    Verdict,
)
from tinspect.model.report import Finding, LibcInfo, MemoryRegion, ProcessLimits, ProcessReport, Severity, TargetInfo
from tinspect.model.scope import Loan, Scope
from tinspect.model.signals import SignalHandler
from tinspect.model.source import Source
from tinspect.model.stack import CachedStack
from tinspect.model.tls import TlsKey

SCHEMA_NAME = "tinspect.report/1"


_LIBC = plain(LibcInfo, name=Nullable(TEXT), version=Nullable(TEXT), layout_source=Nullable(TEXT))
_TARGET = plain(
    TargetInfo,
    kind=TEXT,
    pid=Nullable(INTEGER),
    executable=KNOWN_TEXT,
    architecture=TEXT,
    libc=_LIBC,
    pause_us=Nullable(INTEGER),
)


def _build_key(values: dict[str, Any]) -> TlsKey:
    return TlsKey(**{**values, "destructor": values["destructor"] or 0})


_KEY: Record[TlsKey] = Record(
    (
        *members(key=INTEGER, sequence=Nullable(INTEGER)),
        Member("destructor", Nullable(ADDRESS), lambda key: key.destructor or None),
        *members(symbol=Nullable(TEXT), module=Nullable(TEXT), mapped=Nullable(BOOLEAN), name=Nullable(TEXT)),
    ),
    _build_key,
)

_PLACE = plain(
    ReferenceSource,
    kind=word(PlaceKind),
    register=Nullable(TEXT),
    address=Nullable(ADDRESS),
    frame=Nullable(INTEGER),
    function=Nullable(TEXT),
    symbol=Nullable(TEXT),
)
_POINTEE = plain(
    ReferenceTarget,
    region=TEXT,
    frame=Nullable(INTEGER),
    function=Nullable(TEXT),
    offset=Nullable(INTEGER),
    variable=Nullable(TEXT),
)


def _build_reference(values: dict[str, Any]) -> StackReference:
    return StackReference(place=values.pop("from"), **values)


_REFERENCE: Record[StackReference] = Record(
    (
        *members(from_tid=Nullable(INTEGER)),
        Member("from", _PLACE, attrgetter("place")),
        *members(
            to_tid=Nullable(INTEGER),
            value=ADDRESS,
            target=_POINTEE,
            verdict=word(Verdict),
            confidence=word(Confidence),
            reasons=Array(TEXT),
            scope=Nullable(INTEGER),
            writable=Nullable(BOOLEAN),
            origin=Nullable(TEXT),
        ),
    ),
    _build_reference,
)

_LOAN = ranged(
    Loan,
    mode=TEXT,
    lender_tid=Nullable(INTEGER),
    lender_frame=Nullable(ADDRESS),
    borrower_tid=Nullable(INTEGER),
    scope=INTEGER,
    taken_at=Nullable(ADDRESS),
)
_SCOPE = plain(
    Scope,
    id=INTEGER,
    owner_tid=Nullable(INTEGER),
    parent=Nullable(INTEGER),
    name=TEXT,
    phase=TEXT,
    running=INTEGER,
    panicked=BOOLEAN,
    closed=BOOLEAN,
    orphaned=BOOLEAN,
    created_at=Nullable(ADDRESS),
    frame=Nullable(ADDRESS),
    threads=Array(INTEGER),
    borrows=Array(_LOAN),
)
_LOCK = plain(
    Lock,
    address=ADDRESS,
    kind=TEXT,
    name=TEXT,
    owner_tid=Nullable(INTEGER),
    waiters=Array(INTEGER),
    poisoned=BOOLEAN,
    held=Nullable(BOOLEAN),
    source=word(Source),
)
_CACHED_STACK = ranged(
    CachedStack, guard_size=INTEGER, tid=Nullable(INTEGER), descriptor=Nullable(ADDRESS), source=word(Source)
)
_REGION = ranged(MemoryRegion, label=TEXT, kind=TEXT, tid=Nullable(INTEGER))
_MODULE = ranged(
    Module,
    name=TEXT,
    path=TEXT,
    load_bias=ADDRESS,
    build_id=KNOWN_TEXT,
    is_main=BOOLEAN,
    is_vdso=BOOLEAN,
    deleted=BOOLEAN,
    tls_module_id=Nullable(INTEGER),
)
_LIMITS = plain(ProcessLimits, stack=Nullable(INTEGER), signal_stack=Nullable(INTEGER), keys=Nullable(INTEGER))
_INSTRUCTION = plain(Instruction, address=ADDRESS, data=BYTES, text=TEXT, is_current=BOOLEAN)
_CRASH = plain(
    Crash,
    tid=INTEGER,
    signal=INTEGER,
    signal_name=TEXT,
    code=Nullable(INTEGER),
    code_name=Nullable(TEXT),
    address=Nullable(ADDRESS),
    verdict=TEXT,
    message=TEXT,
    instructions=Array(_INSTRUCTION),
)
_SIGNAL_HANDLER = plain(
    SignalHandler,
    signal=INTEGER,
    name=TEXT,
    handler=ADDRESS,
    symbol=Nullable(TEXT),
    flags=Array(TEXT),
    source=word(Source),
)
_FINDING = plain(Finding, severity=word(Severity), code=TEXT, tid=Nullable(INTEGER), message=TEXT)
_GAP = plain(Gap, what=TEXT, tid=Nullable(INTEGER), why=TEXT)
_REPORT: Record[ProcessReport] = plain(
    ProcessReport,
    target=_TARGET,
    crash=Nullable(_CRASH),
    threads=Array(THREAD),
    tls_keys=Array(_KEY),
    references=Array(_REFERENCE),
    scopes=Array(_SCOPE),
    locks=Array(_LOCK),
    cached_stacks=Array(_CACHED_STACK),
    regions=Array(_REGION),
    modules=Array(_MODULE),
    limits=_LIMITS,
    signal_handlers=Nullable(Array(_SIGNAL_HANDLER)),
    findings=Array(_FINDING),
    incomplete=Array(_GAP),
)


def _schema() -> Schema:
    inner = _REPORT.schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA_NAME,
        "type": "object",
        "properties": {"schema": {"const": SCHEMA_NAME}, **inner["properties"]},
        "required": ["schema", *inner["required"]],
    }


REPORT_SCHEMA: Schema = _schema()
"""The JSON Schema (draft 2020-12) of what :func:`to_json` gives."""


def to_json(report: ProcessReport) -> dict[str, Json]:
    """The report as what json.dumps() takes. Text is made inert (model.text.printable)."""
    return {"schema": SCHEMA_NAME, **_REPORT.encode(report)}


def dump_report(report: ProcessReport, indent: int | None = None) -> str:
    """The report as JSON text, pure ASCII, without a line end."""
    return json.dumps(to_json(report), indent=indent)


def parse_report(data: bytes | str | dict[str, Any]) -> ProcessReport:
    """The report that ``data`` (JSON text, or what json.loads() made of it) holds. Raises FormatError whatever is wrong with it."""
    if not isinstance(data, dict):
        data = _parse_text(data)
    if data.get("schema") != SCHEMA_NAME:
        raise FormatError(f'this is no report of schema "{SCHEMA_NAME}".', "Was it written by tinspect --json?")
    return _REPORT.decode(data, "report")


def _parse_text(text: bytes | str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise FormatError("the report is not valid JSON.", "Was it cut short?") from problem
    if not isinstance(data, dict):
        raise FormatError("the report is not a JSON object.")
    return data
