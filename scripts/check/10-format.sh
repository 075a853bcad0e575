#!/usr/bin/env bash
# The form of the Rust sources is rustfmt's.
source "$(dirname "$0")/step.sh"
cargo fmt --all --check
