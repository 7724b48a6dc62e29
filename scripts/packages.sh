#!/usr/bin/env bash
# Installs the Debian packages of the named groups when we are root; otherwise says exactly which are missing.
# usage: packages.sh base|test ...
set -eu
base=(gcc libc6-dev make python3-venv python3-dev)
test=(g++ gdb gdbserver binutils elfutils musl-tools libc6-dbg xz-utils zstd tmux procps nodejs rustc man-db)

wanted=()
for group in "$@"; do
  case $group in
    base) wanted+=("${base[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    *) echo "packages.sh: no group called $group" >&2; exit 64 ;;
  esac
done

command -v dpkg-query >/dev/null || { echo "Not a Debian system: install the equivalents of: ${wanted[*]}"; exit 0; }
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
apt-get -qq update
apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
