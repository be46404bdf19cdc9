#!/bin/bash
# The tests between nodes on one kind of network file system: calls, streams and large messages, failover, durable
# calls, and what a call costs there.
#
#   tests/nodes/run.sh gluster|moosefs|sshfs|nfs3|nfs4 [TEST...]       TEST: such as failover; all without one
#
# Builds what they need first. The last line is `N passed, 0 failed`. Exit status 0: nothing failed. Needs root; the
# harness of that file system installs what is missing.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

case ${1:-} in
  gluster | moosefs) harness=("tests/nodes/$1.sh") ;;
  # (Listings that are cached for 20 s are more than the protocol can bear: docs/filesystems.md.)
  sshfs) harness=(tests/nodes/sshfs.sh --mount-opts dir_cache=no) ;;
  nfs3) harness=(tests/nodes/nfs.sh --version 3 --delay-ms 1) ;;
  nfs4) harness=(tests/nodes/nfs.sh --version 4.2 --delay-ms 1) ;;
  *)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
    exit 64
    ;;
esac
file_system=$1
shift
tests=("$@")
if ((${#tests[@]} == 0)); then
  for script in tests/nodes/*_test.sh; do
    name=${script##*/}
    tests+=("${name%_test.sh}")
  done
fi

tools/setup.sh --dev
run_bazel build --noshow_progress -- //examples/greeter/... //tests/interop/... //tests/failure/... \
  //tests/soak:large_client //tests/soak:soak_server //benchmarks:network_echo //benchmarks:network_operations //cli/...
SPOOLRPC_PROGRAMS=$(run_bazel info bazel-bin 2>/dev/null)
export SPOOLRPC_PROGRAMS
for name in "${tests[@]}"; do
  run_part "$name on $file_system" "${harness[@]}" --timeout 1800 -- "$PWD/tests/nodes/${name}_test.sh"
done
finish_parts
