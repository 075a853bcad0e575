#!/usr/bin/env bash
# The documentation comments are complete and their links lead somewhere.
source "$(dirname "$0")/step.sh"
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --locked --no-deps
