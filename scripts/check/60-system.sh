#!/usr/bin/env bash
# The release binary loses nothing to kill -9, dead receivers cost a healthy one little, and `hookyard bench` measures.
# The one release build. What a debug build can show is in crates/hookyard/tests/system, among the tests.
source "$(dirname "$0")/step.sh"

cargo build --release --locked --bin hookyard
hookyard=$CARGO_TARGET_DIR/release/hookyard
# On the disk of the build: what is kept in memory has no fsync to lose anything by.
directory=$PWD/target/check

printf -- '-- nothing acknowledged is lost to kill -9\n'
"$hookyard" bench --directory "$directory" crash --rounds 10

printf -- '-- dead receivers cost a healthy one little\n'
isolated() {
  "$hookyard" bench --directory "$directory" isolation --queued 20000 --hanging 200 --seconds 5 --at-most 2
}
# A receiver that is not isolated waits for the dead ones' time limit, seconds, in every run; a noisy machine is slow in
# some. So one good run in four shows what is to be shown.
tries=1
until isolated; do
  note "the isolation was measured $((tries + 1)) times, because the machine was noisy"
  if [[ $((++tries)) -gt 4 ]]; then exit 1; fi
done

printf -- '-- a small measurement, without thresholds\n'
"$hookyard" bench --directory "$directory" --messages 20000 --seconds 3
