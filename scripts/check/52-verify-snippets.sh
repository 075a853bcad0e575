#!/usr/bin/env bash
# The snippets of docs/guides/verify.md accept what the real binary delivers, and nothing that is changed.
source "$(dirname "$0")/step.sh"
need python3 'it takes the snippets from the guide'

languages=() missing=()
for language in node python3 php ruby go sh; do
  command=$language
  # The shell itself is everywhere; what it verifies with is not.
  if [[ $language == sh ]]; then command=openssl; fi
  if command -v "$command" >/dev/null; then languages+=("$language"); else missing+=("$command"); fi
done
if [[ ${#missing[@]} -gt 0 ]]; then note "without ${missing[*]}; run ./check --install"; fi

exchange=$CARGO_TARGET_DIR/tmp
mkdir -p "$exchange"
rm -f "$exchange/snippets-delivered.json"
cargo test --locked --quiet --package hookyard --test system -- --exact \
  snippets::what_is_delivered_is_left_for_the_snippets_of_the_guide
python3 tests/oracles/snippets/run.py docs/guides/verify.md "$exchange/snippets-delivered.json" \
  "$exchange/snippets" "${languages[@]}"
