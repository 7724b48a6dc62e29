from __future__ import annotations

import json

from tests.unit.reports import HOSTILE_NAMES
from tinspect.formats.answers_json import doctor_json, snapshot_json, whatis_json
from tinspect.model.doctor import CheckState, DoctorCheck
from tinspect.model.options import SnapshotSummary
from tinspect.model.source import Source
from tinspect.model.whatis import AddressKind, WhatIs


def test_unknown_is_null() -> None:
    data = whatis_json([WhatIs(1 << 63, AddressKind.UNMAPPED, "Nothing is mapped there.", Source.MAPS)])
    (answer,) = json.loads(json.dumps(data))["answers"]
    assert answer["address"] == "0x8000000000000000"
    assert {answer[name] for name in ("region", "tid", "frame", "module", "symbol_offset")} == {None}
    assert answer["details"] == []


def test_hostile_text_is_inert() -> None:
    for name in HOSTILE_NAMES:
        texts = json.dumps(
            [
                whatis_json([WhatIs(1, AddressKind.HEAP, name, Source.MAPS, thread_name=name, details=(name,))]),
                doctor_json([DoctorCheck(name, CheckState.OK, name, name)]),
                snapshot_json(SnapshotSummary(name, 1, 1, 1, None, (name,))),
            ],
            ensure_ascii=False,
        )
        assert texts.isprintable()
