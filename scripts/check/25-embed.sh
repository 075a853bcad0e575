#!/usr/bin/env bash
# The library works inside another program: it builds without the server, and the example delivers what it publishes.
# A build of its own, because without the feature `program` most dependencies have fewer features.
source "$(dirname "$0")/step.sh"
cargo rustc --locked -p hookyard --no-default-features --lib -- -D warnings
cargo run --quiet --locked -p hookyard --no-default-features --example embed
