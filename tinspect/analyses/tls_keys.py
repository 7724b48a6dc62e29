"""pthread keys: who destroys their values, and what each thread keeps in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinspect.analyses.context import Context
from tinspect.analyses.value_words import ValueWords
from tinspect.model.gap import Gap
from tinspect.model.tls import TlsKey, TlsSlot


def analyze(
    context: Context, names: Mapping[int, str] | None = None
) -> tuple[tuple[TlsKey, ...], Mapping[int, tuple[TlsSlot, ...]], tuple[Gap, ...]]:
    """The keys in use with their destructors named, each thread's values by tid, and what could not be read. ``names`` are what the
    runtime's registry calls some of the keys."""
    libc = context.libc
    if libc is None:
        return (), {}, ()
    keys, gaps = libc.read_keys(context.snapshot)
    if not keys:
        return (), {}, gaps
    by_number = {key.key: key for key in keys}
    words = ValueWords(context)
    slots: dict[int, tuple[TlsSlot, ...]] = {}
    for tid, descriptor in context.libc_threads.descriptors.items():
        found, missing = libc.read_slots(context.snapshot, descriptor, by_number)
        slots[tid] = tuple(TlsSlot(s.key, s.value, words.place(s.value, tid)[1]) for s in found)
        gaps += missing
    named = (replace(key, name=(names or {}).get(key.key)) for key in keys)
    return tuple(_with_destructor(context, key) for key in named), slots, gaps


def _with_destructor(context: Context, key: TlsKey) -> TlsKey:
    """``key`` with its destructor's symbol and module, and whether it still lies in executable memory."""
    if not key.destructor:
        return key
    mapping = context.snapshot.mappings.find(key.destructor)
    module = context.snapshot.modules.find(key.destructor)
    hit = context.symbols.find_symbol(key.destructor)
    name = None
    if hit is not None:
        name = f"{hit.name}+{hit.offset}" if hit.offset else hit.name
    return replace(
        key,
        symbol=name,
        module=(module.path or module.name) if module is not None else None,
        mapped=mapping is not None and mapping.is_executable,
    )
