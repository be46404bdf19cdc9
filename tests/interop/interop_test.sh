#!/bin/bash
# All interop cases twice: by the rules of a local file system, and with same-host detection off. Run by Bazel:
#
#   interop_test.sh RUN_CASES INTEROP_SERVER [CLIENT_FLAG...]      (the client is beside the server)
set -euo pipefail
run_cases=$1 programs=$(dirname "$2")
shift 2
export INTEROP_CASE_TIMEOUT=250 TMPDIR=${TEST_TMPDIR:-/tmp}
status=0
echo "== local"
"$run_cases" "$programs" "$@" || status=1
echo "== by the rules of a network file system"
"$run_cases" "$programs" --network "$@" || status=1
exit "$status"
