#!/usr/bin/env bash
# Brings what the build and the tests need into ignored folders of the checkout. Safe to repeat.
set -euo pipefail
here=$(dirname "$0")

missing=()
command -v cargo >/dev/null 2>&1 || missing+=("cargo: install Rust (rustup is the usual way)")
command -v python3 >/dev/null 2>&1 || missing+=("python3: install Python 3 with pip (Debian: apt-get install python3-pip)")
command -v c++ >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 ||
  missing+=("c++: install a C++ compiler (Debian: apt-get install g++)")
command -v make >/dev/null 2>&1 || missing+=("make: install it (Debian: apt-get install make); the allocator is built by it")
if [ ${#missing[@]} -gt 0 ]; then
  printf 'setup: missing %s\n' "${missing[@]}" >&2
  exit 1
fi

"$here/setup-libtorch.sh"
"$here/setup-dictionary.sh"
