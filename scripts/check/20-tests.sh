#!/usr/bin/env bash
# Unit, conformance, simulation and border tests of the whole workspace.
source "$(dirname "$0")/step.sh"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked --no-fail-fast
else
  note "with cargo test, because \`cargo nextest\` is not installed"
  cargo test --workspace --locked --no-fail-fast --lib --bins --tests
fi
