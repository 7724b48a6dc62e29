"""pthread keys and every thread's values of them, against pthread_getspecific, on every libc of the matrix."""

from __future__ import annotations

import pytest

from tests.support.libc_snapshot import ReadLibc, read_libc
from tests.support.libcs import BUILDS, LibcBuild
from tinspect.analyses import tls_keys

BY_SYMBOLS = [build for build in BUILDS if not build.stripped]
STRIPPED = [build for build in BUILDS if build.stripped]
MUSL_KEYS = "100"  # musl has 128; glibc's program makes 200


def arguments(build: LibcBuild) -> tuple[str, ...]:
    return (MUSL_KEYS,) if build.family == "musl" else ()


def values_said(read: ReadLibc, tid: int) -> dict[int, int]:
    return {line["key"]: line["value"] for line in read.said("value") if line["tid"] == tid}


@pytest.mark.parametrize("build", BY_SYMBOLS, ids=str)
def test_keys_and_values_are_what_they_say(build: LibcBuild) -> None:
    with read_libc(build, "keys", *arguments(build)) as read:
        keys, slots, gaps = tls_keys.analyze(read.context)
        assert gaps == ()
        said = {line["key"]: line["destructor"] for line in read.said("key")}
        assert {key.key: key.destructor for key in keys} == said
        assert [key.key for key in keys] == sorted(said)
        assert len(slots) == 5
        for tid, found in slots.items():
            assert {slot.key: slot.value for slot in found} == values_said(read, tid)
        assert sum(len(found) for found in slots.values()) > 200


@pytest.mark.parametrize("build", BY_SYMBOLS, ids=str)
def test_destructors_are_named(build: LibcBuild) -> None:
    with read_libc(build, "keys", *arguments(build)) as read:
        keys, _, _ = tls_keys.analyze(read.context)
        named = {key.symbol for key in keys if key.destructor}
        # The two functions are alike, and a linker may have folded none of them away: both are ours.
        assert named == {"forget", "release"}
        for key in keys:
            if key.destructor:
                assert key.mapped is True
                assert key.module is not None
                assert key.module.endswith("/keys")
            else:
                assert (key.symbol, key.module, key.mapped) == (None, None, None)


@pytest.mark.parametrize("build", [build for build in BY_SYMBOLS if build.family == "glibc"], ids=str)
def test_values_of_deleted_keys_are_left_out(build: LibcBuild) -> None:
    """Thread 1 set keys that were deleted and made anew, and did not set them again: its slots hold stale values."""
    with read_libc(build, "keys") as read:
        keys, _ = read.libc.read_keys(read.snapshot)
        tid = next(tid for tid in read.threads.descriptors if tid != read.process.pid and not fresh(read, tid))
        everything = {key.key: key for key in keys}
        found, _ = read.libc.read_slots(read.snapshot, read.threads.descriptors[tid], everything)
        assert not {slot.key for slot in found} & {line["key"] for line in read.said("reused")}


def fresh(read: ReadLibc, tid: int) -> bool:
    """Whether the thread set a value after keys were made anew: the second round counts in 0x1000."""
    return any(value & 0xF000 for value in values_said(read, tid).values())


@pytest.mark.parametrize("build", STRIPPED, ids=str)
def test_a_stripped_program_says_that_its_keys_cannot_be_found(build: LibcBuild) -> None:
    with read_libc(build, "keys", *arguments(build)) as read:
        keys, slots, gaps = tls_keys.analyze(read.context)
        assert keys == ()
        assert not slots
        assert "tls_keys" in {gap.what for gap in (*gaps, *read.threads.gaps)}
