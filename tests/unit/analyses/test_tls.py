"""Findings about keys, and variables in blocks, on a made-up process."""

from __future__ import annotations

import pytest

from tests.support.made_up_process import (
    ARENA,
    CACHED,
    DATA,
    GONE,
    HEAP,
    STACKS,
    MadeUpLibc,
    made_up_context,
)
from tinspect.analyses import tls_findings, tls_keys, tls_variables
from tinspect.analyses.context import Context
from tinspect.analyses.tls_variables import NamedBytes
from tinspect.analyses.value_words import Place, ValueWords
from tinspect.libc.protocol import LibcThreads
from tinspect.model.address import AddressRange
from tinspect.model.module import Module
from tinspect.model.report import Severity
from tinspect.model.source import Source
from tinspect.model.tls import TlsBlock, TlsKey, TlsSlot
from tinspect.target.memory import SegmentMemory
from tinspect.target.scan import ReaderScanner


def findings(libc: MadeUpLibc, memory: SegmentMemory | None = None) -> list[tuple[Severity, str]]:
    ground = made_up_context(libc, memory)
    keys, slots, _ = tls_keys.analyze(ground)
    scanner = ReaderScanner(ground.snapshot.memory)
    return [(found.severity, found.code) for found in tls_findings.analyze(ground, keys, slots, scanner)]


def test_values_in_words() -> None:
    words = ValueWords(made_up_context(MadeUpLibc()))
    said = {
        7: (Place.NUMBER, "number"),
        (1 << 64) - 1: (Place.NUMBER, "number"),
        GONE: (Place.NOWHERE, "not mapped"),
        STACKS[2].low: (Place.OWN_STACK, "own stack"),
        STACKS[3].low + 8: (Place.OTHER_STACK, "stack of thread 3"),
        CACHED.low + 8: (Place.CACHED_STACK, "stack of a finished thread"),
        0x40_1000: (Place.MODULE, "destroy"),
        0x40_1004: (Place.MODULE, "destroy+4"),
        DATA.low: (Place.MODULE, "program"),
        HEAP.low: (Place.HEAP, "heap"),
        ARENA.low: (Place.ANONYMOUS, "anonymous memory"),
    }
    assert {value: words.place(value, 2) for value in said} == said


def test_keys_are_named_and_values_described() -> None:
    libc = MadeUpLibc((TlsKey(0, 1, 0x40_1000), TlsKey(1, 1, 0)), {2: {0: HEAP.low}})
    keys, slots, gaps = tls_keys.analyze(made_up_context(libc))
    assert keys == (TlsKey(0, 1, 0x40_1000, "destroy", "/bin/program", True), TlsKey(1, 1, 0))
    assert slots[2] == (TlsSlot(0, HEAP.low, "heap"),)
    assert gaps == ()


def test_a_destructor_that_is_gone() -> None:
    key = TlsKey(0, 1, GONE)
    assert findings(MadeUpLibc((key,), {2: {0: 1}})) == [(Severity.ERROR, "tls-destructor-unmapped")]
    assert findings(MadeUpLibc((key,))) == [(Severity.WARNING, "tls-destructor-unmapped")]
    # Memory that is mapped but holds no code is as bad.
    assert findings(MadeUpLibc((TlsKey(0, 1, HEAP.low),))) == [(Severity.WARNING, "tls-destructor-unmapped")]
    assert findings(MadeUpLibc((TlsKey(0, 1, 0x40_1000),), {2: {0: 1}})) == []


def test_a_table_that_is_nearly_full() -> None:
    def keys(count: int) -> tuple[TlsKey, ...]:
        return tuple(TlsKey(number, 1, 0x40_1000 if number % 2 else 0) for number in range(count))

    assert findings(MadeUpLibc(keys(6))) == []
    assert findings(MadeUpLibc(keys(7))) == [(Severity.WARNING, "tls-keys-nearly-full")]
    assert findings(MadeUpLibc(keys(8))) == [(Severity.ERROR, "tls-keys-nearly-full")]
    ground = made_up_context(MadeUpLibc(keys(7)))
    named, slots, _ = tls_keys.analyze(ground)
    (found,) = tls_findings.analyze(ground, named, slots)
    assert "7 of 8 keys" in found.message
    assert "no destructor 4, program 3" in found.message


def test_values_that_nobody_frees() -> None:
    key = TlsKey(0, 1, 0)
    leak = [(Severity.NOTE, "tls-value-leak")]
    assert findings(MadeUpLibc((key,), {2: {0: HEAP.low}, 3: {0: ARENA.low}})) == leak
    assert findings(MadeUpLibc((key,), {2: {0: HEAP.low}, 3: {0: HEAP.low}})) == []  # shared
    assert findings(MadeUpLibc((key,), {1: {0: HEAP.low}})) == []  # lives as long as the process
    assert findings(MadeUpLibc((key,), {2: {0: 5}, 3: {0: STACKS[3].low}, 4: {0: DATA.low}})) == []
    assert findings(MadeUpLibc((TlsKey(0, 1, 0x40_1000),), {2: {0: HEAP.low}})) == []


@pytest.mark.parametrize(("place", "is_kept"), [(HEAP.low + 64, True), (DATA.low, True), (STACKS[2].low + 64, False)])
def test_values_that_the_program_keeps_track_of_are_no_leak(place: int, is_kept: bool) -> None:
    """CPython links its thread states, and frees them itself; the stack is where the slot of the key is."""
    libc = MadeUpLibc((TlsKey(0, 1, 0),), {2: {0: HEAP.low}})
    memory = SegmentMemory([(place, HEAP.low.to_bytes(8, "little"))])
    assert findings(libc, memory) == ([] if is_kept else [(Severity.NOTE, "tls-value-leak")])


def test_without_a_search_nothing_is_called_a_leak() -> None:
    ground = made_up_context(MadeUpLibc((TlsKey(0, 1, 0),), {2: {0: HEAP.low}}))
    keys, slots, _ = tls_keys.analyze(ground)
    assert tls_findings.analyze(ground, keys, slots) == ()


def test_variables_of_blocks() -> None:
    libc = MadeUpLibc()
    area = AddressRange.sized(STACKS[2].high - 256, 64)
    libc.blocks = (
        TlsBlock("/bin/program", 1, area, Source.DESCRIPTOR),
        TlsBlock("/lib/late.so", 2, None, Source.DESCRIPTOR),
        TlsBlock("/lib/unknown.so", 3, area, Source.DESCRIPTOR),
    )
    asked: list[str] = []

    def variables_of(module: Module) -> list[NamedBytes]:
        asked.append(module.name)
        return [NamedBytes("late", 60, 8), NamedBytes("b", 8, 4), NamedBytes("a", 0, 8), NamedBytes("far", 1 << 40, 4)]

    memory = SegmentMemory([(area.low, bytes(range(10)))])
    storage = tls_variables.analyze(made_up_context(libc, memory), variables_of, frozenset((2,)))
    assert asked == ["program"]
    assert list(storage.threads) == [2]
    found = storage.threads[2]
    # What leaves the block is no variable of it; what was not captured has no bytes.
    assert [(v.name, v.address - area.low, v.data) for v in found.variables] == [
        ("a", 0, bytes(range(8))),
        ("b", 8, None),
    ]
    assert [entry.symbol for entry in found.destructors] == ["destroy", None]
    assert storage.gaps == ()


def test_of_libc_only_what_programs_know() -> None:
    libc = MadeUpLibc()
    libc.own_module = "/bin/program"
    libc.blocks = (TlsBlock("/bin/program", 1, AddressRange.sized(STACKS[2].high - 256, 64), Source.DESCRIPTOR),)
    named = [NamedBytes("errno", 8, 4), NamedBytes("tcache", 16, 8)]
    storage = tls_variables.analyze(made_up_context(libc), lambda _module: named, frozenset((2,)))
    assert [variable.name for variable in storage.threads[2].variables] == ["errno"]


def test_without_a_libc_there_is_nothing() -> None:
    ground = made_up_context(MadeUpLibc())
    bare = Context(ground.snapshot, ground.symbols, None, LibcThreads())
    assert tls_keys.analyze(bare) == ((), {}, ())
    assert tls_variables.analyze(bare, lambda _module: ()).threads == {}
