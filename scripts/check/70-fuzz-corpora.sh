#!/usr/bin/env bash
# Every fuzz target still compiles. Their corpora are replayed by the crate tests/corpora, among the tests.
source "$(dirname "$0")/step.sh"
# libFuzzer is C++; the toolchain that fuzzes is a nightly one, but the one that the workspace has compiles it as well.
need c++ 'Debian has it as g++'
# The targets have no lock of their own: they are built from the versions that are shipped, and libFuzzer is added to them.
cp Cargo.lock fuzz/Cargo.lock
cargo clippy --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings
