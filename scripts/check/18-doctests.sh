#!/usr/bin/env bash
# The examples in the documentation comments. Before the tests, so that the closing line of the tests is the last one.
source "$(dirname "$0")/step.sh"
cargo test --workspace --locked --doc --no-fail-fast
