"""The JSON forms of the answers that are no report: whatis, doctor, snapshot. docs/reference/json.md"""

from __future__ import annotations

from collections.abc import Iterable

from tinspect.formats.json_codec import (
    ADDRESS,
    INTEGER,
    TEXT,
    Array,
    Json,
    Nullable,
    plain,
    word,
)
from tinspect.model.address import AddressRange
from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.model.options import SnapshotSummary
from tinspect.model.source import Source
from tinspect.model.whatis import AddressKind, WhatIs

_NUMBER, _WORDS = Nullable(INTEGER), Nullable(TEXT)


_ANSWER = plain(
    WhatIs,
    address=ADDRESS,
    kind=word(AddressKind),
    words=TEXT,
    source=word(Source),
    region=Nullable(plain(AddressRange, low=ADDRESS, high=ADDRESS, size=INTEGER)),
    offset=_NUMBER,
    tid=_NUMBER,
    thread_name=_WORDS,
    frame=_NUMBER,
    function=_WORDS,
    variable=_WORDS,
    module=_WORDS,
    section=_WORDS,
    symbol=_WORDS,
    symbol_offset=_NUMBER,
    file=_WORDS,
    line=_NUMBER,
    permissions=_WORDS,
    details=Array(TEXT),
)
_CHECK = plain(DoctorCheck, name=TEXT, state=word(CheckState), detail=TEXT, next_step=TEXT)
_SNAPSHOT = plain(
    SnapshotSummary,
    path=TEXT,
    file_size=INTEGER,
    captured=INTEGER,
    threads=INTEGER,
    pause_us=_NUMBER,
    missing=Array(TEXT),
)


def whatis_json(answers: Iterable[WhatIs]) -> dict[str, Json]:
    """The answers as what json.dumps() takes."""
    return {"schema": "tinspect.whatis/1", "answers": [_ANSWER.encode(answer) for answer in answers]}


def doctor_json(checks: Iterable[DoctorCheck]) -> dict[str, Json]:
    """The checks as what json.dumps() takes."""
    return {"schema": "tinspect.doctor/1", "checks": [_CHECK.encode(check) for check in checks]}


def snapshot_json(summary: SnapshotSummary) -> dict[str, Json]:
    """What was written, as what json.dumps() takes."""
    return {"schema": "tinspect.snapshot/1", **_SNAPSHOT.encode(summary)}
