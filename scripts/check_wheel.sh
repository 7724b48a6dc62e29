#!/usr/bin/env bash
# Builds the wheel, audits that it is abi3, installs it into a clean environment and tries it there and in gdb's own Python.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "building the wheel"
.venv/bin/pip wheel -q --no-deps --no-build-isolation -w "$work" .
wheel=$(echo "$work"/tinspect-*.whl)
case $wheel in
  *-cp311-abi3-linux_*.whl | *-cp311-abi3-manylinux*.whl) ;;
  *) echo "not an abi3 wheel: $(basename "$wheel")" >&2; exit 1 ;;
esac

echo "auditing the extension modules"
mkdir "$work/unpacked"
.venv/bin/python -m zipfile -e "$wheel" "$work/unpacked"
.venv/bin/python scripts/audit_abi3.py "$work"/unpacked/tinspect/native/*.so

echo "installing into a clean environment"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check "$wheel"
cd "$work" # away from the sources: what runs now is the wheel
"$work/venv/bin/tinspect" --version
"$work/venv/bin/tinspect" demo --no-color >"$work/demo.txt"
grep -q 'stack' "$work/demo.txt"
grep -q '^.TH TINSPECT 1' "$work/venv/share/man/man1/tinspect.1"

if command -v gdb >/dev/null; then
  echo "importing in gdb's Python"
  site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  gdb -nx -batch -ex "python import sys; sys.path.insert(0, '$site'); from tinspect.native import _inspect, _scope; print('imported', _inspect.__name__, _scope.__name__)" | grep imported
fi
echo "the wheel is good: $(basename "$wheel"), $(stat -c %s "$wheel") bytes"
