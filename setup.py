"""Builds the two abi3 extension modules, and for a wheel the runtime's libraries; everything else is in pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ABI3_FLOOR = "0x030B0000"
NATIVE = Path("tinspect/native")
COMPILE_ARGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wvla", "-Wmissing-prototypes", "-fvisibility=hidden"]

MACROS: dict[str, list[tuple[str, str]]] = {"inspect": [], "scope": [("_GNU_SOURCE", "1")]}
# A panic unwinds through the runtime's frames.
MORE_ARGS: dict[str, list[str]] = {"inspect": [], "scope": ["-fexceptions"]}


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


class BuildNative(build_ext):
    """A source tree uses the libraries where make puts them (build/native); a wheel carries them beside the package."""

    def run(self) -> None:
        """Builds the extension modules, then what a wheel needs besides."""
        super().run()
        if self.inplace or self.editable_mode:
            return
        built = Path(self.build_temp) / "native"
        command = [
            "make",
            "-s",
            "-f",
            str(NATIVE / "scope/build.mk"),
            f"OUT={built}",
            "PC_INCLUDE=../include",
            "all",
            "demo",
        ]
        subprocess.run(command, check=True)
        library = Path(self.build_lib) / NATIVE / "lib"
        library.mkdir(parents=True, exist_ok=True)
        for name in ("libtinspect.a", "libtinspect.so", "tinspect.pc", "tinspect-demo"):
            shutil.copy(built / name, library / name)


setup(
    cmdclass={"build_ext": BuildNative},
    ext_modules=[extension(name) for name in ("inspect", "scope") if list((NATIVE / name).glob("*.c"))],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
