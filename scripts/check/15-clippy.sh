#!/usr/bin/env bash
# No lint is left standing, in tests neither.
source "$(dirname "$0")/step.sh"
cargo clippy --workspace --all-targets --locked -- -D warnings
