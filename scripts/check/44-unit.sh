#!/usr/bin/env bash
# The systemd unit is one that systemd accepts, and its hardening does not slip.
source "$(dirname "$0")/step.sh"
need systemd-analyze 'it comes with systemd'

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# `verify` wants the binary to exist, which on this machine it need not.
sed 's|^ExecStart=/usr/bin/hookyard |ExecStart=/bin/true |' packaging/hookyard.service >"$folder/hookyard.service"
# It reports what it ignored (an unknown key, a bad value) and still exits 0: any word about our unit is a failure.
systemd-analyze verify --man=no "$folder/hookyard.service" 2>&1 | tee "$folder/said"
if grep -q 'hookyard.service' "$folder/said"; then
  exit 1
fi
# The threshold is ten times the exposure level, 0 to 100; the unit is at 12.
systemd-analyze security --offline=true --threshold=20 "$folder/hookyard.service" | tail -n 1
