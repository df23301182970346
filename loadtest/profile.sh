#!/usr/bin/env bash
# Where a relay spends its time under a scenario: loadtest/profile.sh direct --agents=100 --depth=16
# Needs perf, and the release builds of `make bench`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
loadtest=${RELAY_LOADTEST:-$here/../target/release/relay-loadtest}
program=${PROFILED:-agent-relay}
samples=$(mktemp)
trap 'rm -f "$samples"' EXIT

"$loadtest" run "$@" --warm-up=3 --duration=8 \
  --relay-env=RELAY_RATE_MESSAGES=1000000 --relay-env=RELAY_RATE_BURST=1000000 --relay-env=RELAY_RATE_BYTES=1000000000 &
run=$!
sleep 4
# With several relays the first of them.
relay=$(pgrep --parent "$run" "$program" | head -n 1)
perf record --quiet --freq 799 --event cpu-clock --call-graph dwarf,8192 --output "$samples" --pid "$relay" -- sleep 4
wait "$run"
perf script --input "$samples" --no-inline 2>/dev/null | python3 "$here/profile.py"
