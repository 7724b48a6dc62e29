"""Builds the two abi3 extension modules; everything else is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, setup

ABI3_FLOOR = "0x030B0000"
NATIVE = Path("tinspect/native")
COMPILE_ARGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wvla", "-Wmissing-prototypes", "-fvisibility=hidden"]

MACROS: dict[str, list[tuple[str, str]]] = {"inspect": [], "scope": [("_GNU_SOURCE", "1")]}
MORE_ARGS: dict[str, list[str]] = {"inspect": [], "scope": ["-fexceptions"]}  # a panic unwinds through the runtime's frames


def extension(name: str) -> Extension:
    """One extension module: the C of native/NAME plus its Python face in native/python/NAME_*.c."""
    sources = sorted((NATIVE / name).glob("*.c")) + sorted((NATIVE / "python").glob(f"{name}_*.c"))
    headers = sorted((NATIVE / name).glob("*.h")) + sorted((NATIVE / "python").glob("*.h"))
    headers += sorted((NATIVE / "include/tinspect").glob("*.h")) if name == "scope" else []
    return Extension(
        f"tinspect.native._{name}",
        sources=[str(path) for path in sources],
        depends=[str(path) for path in headers],
        include_dirs=[str(NATIVE / name), str(NATIVE / "include"), str(NATIVE / "python")],
        define_macros=[("Py_LIMITED_API", ABI3_FLOOR), *MACROS[name]],
        extra_compile_args=[*COMPILE_ARGS, *MORE_ARGS[name]],
        extra_link_args=["-pthread", "-Wl,-z,nodelete"],
        py_limited_api=True,
    )


setup(
    ext_modules=[extension(name) for name in ("inspect", "scope") if list((NATIVE / name).glob("*.c"))],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
