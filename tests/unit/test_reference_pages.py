"""The reference of the runtime's interfaces names all that the headers declare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ROOT / "tinspect/native/include/tinspect"
C_PAGE = (ROOT / "docs/reference/runtime-c.md").read_text()
CPP_PAGE = (ROOT / "docs/reference/runtime-cpp.md").read_text()


def without_comments(header: Path) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(), flags=re.DOTALL)


def declared_functions() -> list[str]:
    """Every function that a C header declares: an identifier before a parenthesis, in a declaration."""
    found: set[str] = set()
    for header in HEADERS.glob("*.h"):
        text = without_comments(header)
        found |= set(re.findall(r"TI_API[^;{}()]*?(?:TI_NORETURN[^;{}()]*?)?\b(ti_\w+)\(", text))
        found |= set(re.findall(r"static inline[^;{}()]*?\b(ti_\w+)\(", text))
    return sorted(found)


def test_the_headers_declare_what_this_test_looks_for() -> None:
    names = declared_functions()
    assert len(names) > 100
    assert {"ti_spawn", "ti_panic", "ti_lock_guard_begin", "ti_local_start", "ti_status_text"} <= set(names)


@pytest.mark.parametrize("name", declared_functions())
def test_each_function_is_on_the_c_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", C_PAGE)


def constants() -> list[str]:
    texts = [without_comments(header) for header in HEADERS.glob("*.h")]
    spawn_and_scope = {n for text in texts for n in re.findall(r"\b(TI_(?:SPAWN|SCOPE|TYPE)_[A-Z_]+)\s*=", text)}
    status = {n for text in texts for n in re.findall(r"\b(TI_E[A-Z]+) =", text)}
    starts = {n for text in texts for n in re.findall(r"#define (TI_\w+_INIT)\b", text)} - {"TI_LOCAL_KEY_INIT"}
    return sorted(spawn_and_scope | status | starts)


@pytest.mark.parametrize("name", constants())
def test_each_option_status_and_initialiser_is_on_the_c_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", C_PAGE)


def fields(struct: str, header: str) -> list[str]:
    found = re.search(rf"struct {struct} {{(.*?)}}", without_comments(HEADERS / header), re.DOTALL)
    assert found
    return re.findall(r"\b(\w+)(?: = [^;]+)?;", found[1])


@pytest.mark.parametrize("name", [n for n in fields("ti_spawn_options", "thread.h") if n != "reserved"])
def test_each_spawn_option_is_on_the_c_page(name: str) -> None:
    assert f"`{name}`" in C_PAGE


def test_the_cpp_page_names_every_class_and_member() -> None:
    text = (HEADERS / "scope.hpp").read_text()
    public = re.sub(r"^namespace detail$.*?^} // namespace detail$", "", text, flags=re.DOTALL | re.MULTILINE)
    classes = re.findall(r"^(?:template <.*> )?(?:class|struct) (\w+)", public, re.MULTILINE)
    members = re.findall(r"^    (?:\w[\w:<> &*]*\s[&*]?)(\w+)\([^)]*\)(?: const)?(?: noexcept)?$", public, re.MULTILINE)
    functions = re.findall(r"^template <class \w+> auto (\w+)\(", public, re.MULTILINE)
    assert {"scope_ref", "handle", "status_error", "panic_group", "spawn_options"} <= set(classes)
    assert {"join", "close", "is_finished", "errors"} <= set(members)
    missing = [name for name in {*classes, *members, *functions, *fields("spawn_options", "scope.hpp")}
               if not re.search(rf"\b{name}\b", CPP_PAGE)]  # fmt: skip
    assert missing == []
