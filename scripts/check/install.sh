#!/usr/bin/env bash
# Installs what the steps of `./check` need, in pinned versions, and only what is missing.
#
# Debian packages go into the system, and only for root; cargo tools go where `cargo install` puts them; what comes from
# PyPI and npm stays under target/check. Toolchains are never fetched: rust-toolchain.toml names the one that is needed.
source "$(dirname "$0")/step.sh"

missing=0

# A failed install is told and does not stop the others: the steps that need it say so.
try() {
  printf '+ %s\n' "$*"
  if ! "$@"; then
    printf 'install: this did not work: %s\n' "$*" >&2
    missing=1
  fi
}

packages=()
if ! command -v cc >/dev/null || ! command -v c++ >/dev/null; then packages+=(gcc g++ libc6-dev); fi
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then packages+=(python3-venv); fi
if ! command -v npm >/dev/null; then packages+=(nodejs npm); fi
# The languages of docs/guides/verify.md.
if ! command -v php >/dev/null; then packages+=(php-cli); fi
if ! command -v ruby >/dev/null; then packages+=(ruby); fi
if ! command -v go >/dev/null; then packages+=(golang-go); fi
if ! command -v openssl >/dev/null; then packages+=(openssl); fi
# With it, tests of the whole binary set its clock back.
if ! compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; then packages+=(faketime); fi
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then packages+=(postgresql); fi
if ! command -v pgbouncer >/dev/null; then packages+=(pgbouncer); fi
if [[ ${#packages[@]} -gt 0 ]]; then
  if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    try apt-get update -qq
    try env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${packages[@]}"
  else
    printf 'install: as root on Debian this would install %s\n' "${packages[*]}" >&2
    missing=1
  fi
fi

cargo_tool() {
  if ! cargo "$1" --version >/dev/null 2>&1; then
    # Optimising a tool that runs for seconds takes longer than it saves. Its target folder is its own: a lock shared with
    # the workspace's builds would stop both.
    try env CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_TARGET_DIR=target/check/cargo-tools \
      cargo install --quiet --locked "cargo-$1" --version "$2"
    rm -rf target/check/cargo-tools
  fi
}
cargo_tool nextest 0.9.143
cargo_tool deny 0.20.2

if [[ ! -x target/check/python/bin/pip ]]; then
  try python3 -m venv target/check/python
fi
if [[ -x target/check/python/bin/pip ]]; then
  try target/check/python/bin/pip install --quiet --disable-pip-version-check --requirement scripts/check/python.txt
fi

if command -v npm >/dev/null; then
  mkdir -p target/check/npm
  cp scripts/check/package.json target/check/npm/package.json
  try npm install --prefix target/check/npm --silent --no-audit --no-fund --ignore-scripts
fi

exit "$missing"
