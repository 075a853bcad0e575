#!/bin/sh
# Asks a snippet for the shell about one case: `drive.sh FOLDER SCHEME ARGUMENT…`, by its exit code. Called by run.py.
set -eu
folder=$1
scheme=$2
shift 2
# shellcheck disable=SC1090
. "$folder/verify-$scheme.sh"
"verify_$scheme" "$@"
