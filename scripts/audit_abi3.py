"""Fails when an extension module uses a symbol of CPython that is not in the stable ABI of 3.11."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Private helpers that are part of the stable ABI for the sake of macros (Doc/data/stable_abi.dat of CPython 3.11).
STABLE_PRIVATE = frozenset(
    {
        "_Py_BuildValue_SizeT", "_Py_Dealloc", "_Py_DecRef", "_Py_IncRef", "_Py_NoneStruct", "_Py_TrueStruct",
        "_Py_FalseStruct", "_PyArg_Parse_SizeT", "_PyArg_ParseTuple_SizeT", "_PyArg_ParseTupleAndKeywords_SizeT",
        "_PyArg_VaParse_SizeT", "_PyArg_VaParseTupleAndKeywords_SizeT", "_PyErr_BadInternalCall", "_PyObject_CallFunction_SizeT",
        "_PyObject_CallMethod_SizeT", "_PyObject_GC_New", "_PyObject_GC_NewVar", "_PyObject_New", "_PyObject_NewVar",
        "_PyState_AddModule", "_PyThreadState_Init", "_PyThreadState_Prealloc", "_PyWeakref_CallableProxyType",
        "_PyWeakref_ProxyType", "_PyWeakref_RefType", "_Py_CheckRecursiveCall", "_Py_EllipsisObject", "_Py_VaBuildValue_SizeT",
        "_Py_NotImplementedStruct", "_Py_SwappedOp", "_Py_RefTotal",
    }
)  # fmt: skip


def _symbols(path: Path, which: str) -> list[str]:
    output = subprocess.run(["nm", "-D", which, str(path)], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1].split("@")[0] for line in output.splitlines()]


def main() -> int:
    bad = False
    for path in map(Path, sys.argv[1:]):
        if not path.name.endswith(".abi3.so"):
            print(f"{path.name}: not named as an abi3 module", file=sys.stderr)
            bad = True
        private = [n for n in _symbols(path, "--undefined-only") if n.startswith("_Py") and n not in STABLE_PRIVATE]
        if private:
            print(f"{path.name}: not in the stable ABI: {', '.join(private)}", file=sys.stderr)
            bad = True
    return int(bad or len(sys.argv) < 2)


if __name__ == "__main__":
    sys.exit(main())
