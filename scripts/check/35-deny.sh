#!/usr/bin/env bash
# Licences, banned crates and sources of the dependency tree; advisories where their database can be fetched.
source "$(dirname "$0")/step.sh"
cargo deny --version >/dev/null 2>&1 || skip "\`cargo deny\` is not installed; run ./check --install"
cargo deny --locked check --hide-inclusion-graph licenses bans sources

log=target/check/advisories.log
if cargo deny fetch db >"$log" 2>&1; then
  cargo deny --locked check advisories
else
  printf 'advisories were not checked, because their database could not be fetched:\n'
  tail -n 3 "$log"
  note 'without advisories: their database could not be fetched'
fi
