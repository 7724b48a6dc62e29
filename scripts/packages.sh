#!/usr/bin/env bash
# Installs the Debian packages of the named groups when we are root; otherwise says exactly which are missing.
# usage: packages.sh base|test ...
set -eu
# What building and using tinspect takes.
base=(gcc libc6-dev make python3-venv python3-dev)
# What the tests compare with (gdb, elfutils, binutils), build for (musl, C++, Rust) and look at (node, a browser, groff, tmux).
test=(g++ git pkg-config gdb gdbserver binutils elfutils musl-tools libc6-dbg xz-utils zstd tmux procps nodejs rustc groff-base man-db chromium)
# For aarch64, cross-compiled and emulated: 55 MiB to fetch, 255 MiB on disk, 20 s. The tests that need it are skipped without.
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || test+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)

wanted=()
for group in "$@"; do
  case $group in
    base) wanted+=("${base[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    *) echo "packages.sh: no group called $group" >&2; exit 64 ;;
  esac
done

if ! command -v dpkg-query >/dev/null; then
  echo "Not a Debian system: install the equivalents of: ${wanted[*]}"
  exit 0
fi
missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "These Debian packages are missing: ${missing[*]}" >&2
  echo "Install them with: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A source that cannot be reached is no reason to stop: what is to be installed may well come from another.
apt-get -qq update || echo "apt-get update failed; trying with the package lists there are" >&2
apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
