#!/usr/bin/env bash
# Shell scripts are free of what shellcheck knows to go wrong.
source "$(dirname "$0")/step.sh"
need shellcheck 'run ./check --install'
mapfile -t scripts < <(git ls-files -- '*.sh' check .ci/run tests/oracles/run)
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
printf '%d scripts\n' "${#scripts[@]}"
