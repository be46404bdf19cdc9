#!/bin/bash
# gRPC's interop cases between two clients of a network file system. Run by a harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/interop_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/interop was built.
set -euo pipefail

# (A network file system is slower than a network, and stalls now and then: fewer calls, and more time for them.)
SECONDS=0
"$(dirname "$(realpath "$0")")/../interop/run_cases.sh" "$SPOOLRPC_PROGRAMS/tests/interop" --nodes \
  --soak_iterations=20 --soak_per_iteration_max_acceptable_latency_ms=10000 \
  --concurrent_calls=50 --concurrent_ack_timeout=90s
echo "interop_test.sh: passed ($SECONDS s)"
