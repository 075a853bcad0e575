#!/usr/bin/env bash
# The container file: hadolint's rules, and the promises that the documents make about the image.
source "$(dirname "$0")/step.sh"

failed=0
# promise PATTERN SENTENCE: the last stage, which is the image, has a line that matches.
promise() {
  if ! awk '/^FROM/ { stage = "" } { stage = stage "\n" $0 } END { print stage }' Containerfile | grep -Eq -- "$1"; then
    printf 'Containerfile: %s\n' "$2" >&2
    failed=1
  fi
}
toolchain=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
if ! grep -q "^FROM docker.io/library/rust:$toolchain-" Containerfile; then
  printf 'Containerfile: the builder is not the toolchain %s that rust-toolchain.toml names\n' "$toolchain" >&2
  failed=1
fi
promise '^USER [1-9][0-9]*:[1-9][0-9]*$' 'the image must not run as root, and must name its user by number'
promise '^VOLUME /data$' 'what is kept must be in the volume /data'
promise '^EXPOSE 8080$' 'the port is 8080'
promise '^ENTRYPOINT \["/usr/local/bin/hookyard"\]$' 'the entry point must be the binary itself, so that it gets the signals'

if command -v hadolint >/dev/null; then
  hadolint Containerfile || failed=1
else
  note "without hadolint, which is not installed; run ./check --install"
fi
exit "$failed"
