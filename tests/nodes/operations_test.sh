#!/bin/bash
# What a unary call asks of the file system between two clients of it, and how late a flushed write is seen: printed, for
# docs/filesystems.md. With one call in flight a call may take at most 3 flushed writes of both sides together. Run by a
# harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/operations_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after //benchmarks:network_echo and
# //benchmarks:network_operations were built.
set -euo pipefail

# The request and the reply, one each; the rest is for leases and what the two sides tell each other of their logs.
most=3

# costs NODE1 NODE2
costs() {
  "$SPOOLRPC_PROGRAMS/benchmarks/network_operations" --node1="$1" --node2="$2" --max_writes="$most"
  echo "a bare ping-pong, twice the visibility delay of a flushed write:"
  # (On MooseFS a reader may see nothing for over a minute until it opens the file again.)
  "$SPOOLRPC_PROGRAMS/tests/nodes/ring_probe" --count 500 --reopen-us 100000 "$2" "$1"
}

echo "-- server on node 1, client on node 2"
costs "$NODE1" "$NODE2"
if [[ -n ${SERVER:-} ]]; then
  echo "-- server on the file server's own disk, client on node 2"
  costs "$SERVER" "$NODE2"
fi
echo "operations_test.sh: passed"
