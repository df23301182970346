#!/usr/bin/env bash
# Looks for Rust and adds the formatter and the linter where they are missing.
set -euo pipefail

command -v cargo >/dev/null || { echo "rust: no cargo; install Rust 1.95 or later" >&2; exit 1; }
for component in rustfmt clippy; do
  if ! cargo "${component/rust/}" --version >/dev/null 2>&1; then
    echo "rust: adding $component" >&2
    rustup component add "$component"
  fi
done
echo "rust: $(rustc --version | cut -d' ' -f2) at $(command -v cargo)" >&2
