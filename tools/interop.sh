#!/bin/bash
# gRPC's published interop test cases (all that need neither HTTP/2 nor credentials) between a server process and client
# processes, over a spool in a temporary directory. Builds what it takes first.
#
#   tools/interop.sh [--network] [CLIENT_FLAG...]
#     --network    with same-host detection off: both go by the rules of a network file system
#     CLIENT_FLAG  such as --soak_iterations=1000 or --concurrent_calls=100; interop_client --help lists them
#
# Prints a table; the last line is `21 passed, 0 failed`, and only then the exit status is 0.
# Between two clients of a network file system: tests/nodes/interop_test.sh.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

case ${1:-} in
  -h | --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    exit 0
    ;;
esac
run_bazel build --noshow_progress --ui_event_filters=-info //tests/interop:interop_server //tests/interop:interop_client
bin=$(run_bazel info bazel-bin 2>/dev/null)
exec tests/interop/run_cases.sh "$bin/tests/interop" "$@"
