# Read by every step before it does anything: `source "$(dirname "$0")/step.sh"`.
#
# Puts the step into the repository's root, with the same target folder and the same project-local tools as `./check`,
# so that a step runs alike by hand: `bash scripts/check/15-clippy.sh`.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p target/check
export CARGO_TARGET_DIR=$PWD/target
case $PATH in
  "$PWD"/target/check/*) ;;
  *) export PATH=$PWD/target/check/python/bin:$PWD/target/check/npm/node_modules/.bin:$PATH ;;
esac

# Puts a sentence into the last column of the table, for what passed only in part.
note() {
  printf '%s' "$*" >"${CHECK_REASON:-/dev/null}"
}

# Ends the step as skipped, with the reason. Never for something that was tried and did not work.
skip() {
  note "$*"
  printf 'skipped: %s\n' "$*"
  exit 77
}

# Ends the step as skipped unless the command exists; the second argument says how to get it.
need() {
  command -v "$1" >/dev/null || skip "\`$1\` is not installed; $2"
}
