#!/usr/bin/env bash
# Other people's libraries accept what we send, and we accept what they send.
source "$(dirname "$0")/step.sh"
[[ -x tests/oracles/run ]] || skip 'tests/oracles/run does not exist'
tests/oracles/run
