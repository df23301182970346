#!/usr/bin/env bash
# Provides the Python of the tests as .tools/bin/relay-python, with the packages of tests/setup/requirements.txt.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/.tools
requirements=$root/tests/setup/requirements.txt
python=$tools/bin/relay-python

say() { printf 'python: %s\n' "$*" >&2; }

command -v python3 >/dev/null || { say "no python3; install Python 3.10 or later"; exit 1; }
mkdir -p "$tools/bin"

if ! cmp --silent "$requirements" "$tools/python/requirements.txt" || ! "$python" --version >/dev/null 2>&1; then
  say "installing $(grep -c == "$requirements") packages into .tools/python"
  rm -rf "$tools/python"
  if python3 -m venv "$tools/python" >"$tools/python.log" 2>&1; then
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    printf '#!/bin/sh\nexec %s/python/bin/python "$@"\n' "$tools" >"$python"
    programs=$tools/python/bin
  else
    # A Debian without python3-venv: a plain folder does as well.
    python3 -m pip install --quiet --disable-pip-version-check --target "$tools/python" --requirement "$requirements"
    printf '#!/bin/sh\nPYTHONPATH=%s/python exec python3 "$@"\n' "$tools" >"$python"
    programs=$tools/python/bin
  fi
  chmod +x "$python"
  ln -sf "$programs/shellcheck" "$tools/bin/shellcheck"
  cp "$requirements" "$tools/python/requirements.txt"
fi
say "$("$python" --version | cut -d' ' -f2) at $python"
