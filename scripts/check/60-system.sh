#!/usr/bin/env bash
# The real binary with real receivers: kill -9 and restart, isolation, a small benchmark. The one release build.
source "$(dirname "$0")/step.sh"
shopt -s nullglob
runs=(tests/system/[0-9][0-9]-*)
[[ ${#runs[@]} -gt 0 ]] || skip 'tests/system has no runs'

cargo build --release --locked --package hookyard
export HOOKYARD_BIN=$PWD/target/release/hookyard
failed=()
for run in "${runs[@]}"; do
  printf -- '-- %s\n' "$run"
  "$run" || failed+=("$(basename "$run")")
done
if [[ ${#failed[@]} -gt 0 ]]; then
  note "failed: ${failed[*]}"
  exit 1
fi
