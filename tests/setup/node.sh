#!/usr/bin/env bash
# Installs the locked packages of each Node project given, unless they are there as locked.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

command -v npm >/dev/null || { echo "node: no npm; install Node 20 or later" >&2; exit 1; }
for project in "$@"; do
  cd "$root/$project"
  if ! cmp --silent package-lock.json node_modules/.locked; then
    echo "node: installing the packages of $project" >&2
    npm ci --silent --no-audit --no-fund
    cp package-lock.json node_modules/.locked
  fi
done
echo "node: $(node --version) at $(command -v node)" >&2
