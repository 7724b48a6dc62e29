"""The cache of layouts: what it stores it finds, and nothing in its folder can hurt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinspect.libc.layout_cache import LayoutCache

ID = "93ac61ec5a8eb1396f9fbd350e3169a558528a40"


def test_stored_and_found(tmp_path: Path) -> None:
    cache = LayoutCache(tmp_path / "new")
    assert cache.find(ID) is None
    cache.store(ID, "dwarf", (1, 2, 3, 4))
    assert LayoutCache(tmp_path / "new").find(ID) == ("dwarf", (1, 2, 3, 4))
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"libc-{ID}.json"]


def test_each_thing_learnt_has_its_own_file(tmp_path: Path) -> None:
    cache = LayoutCache(tmp_path)
    cache.store(ID, "dwarf", (1,))
    cache.store(ID, "disassembly", (2, 3), "exit-list")
    assert cache.find(ID) == ("dwarf", (1,))
    assert cache.find(ID, "exit-list") == ("disassembly", (2, 3))


@pytest.mark.parametrize("build_id", ["", "../../etc/passwd", "ABC", "93ac/61ec"])
def test_only_build_ids_become_file_names(tmp_path: Path, build_id: str) -> None:
    cache = LayoutCache(tmp_path)
    cache.store(build_id, "dwarf", (1,))
    assert cache.find(build_id) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"source": 1, "offsets": []}', '{"source": "x", "offsets": [true]}', "[" * 4000, "\xff",
             '{"source": "x", "offsets": [-1]}', '{"source": "x", "offsets": "1"}']
)  # fmt: skip
def test_damaged_files_are_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / f"libc-{ID}.json").write_bytes(text.encode("latin-1"))
    assert LayoutCache(tmp_path).find(ID) is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    LayoutCache(tmp_path / "file" / "below").store(ID, "dwarf", (1,))
