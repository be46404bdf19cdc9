#!/bin/bash
# Messages of 1, 16 and 60 MiB both ways between two clients of a network file system, unary and streamed; each side
# checks every byte. Run by a harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/large_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/soak was built.
set -euo pipefail

scratch=$(mktemp -d)
server=
# shellcheck disable=SC2317  # (called by the trap)
clean_up() {
  if [[ -n $server ]]; then kill -KILL "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap clean_up EXIT

fail() {
  echo "large_test.sh: $*" >&2
  exit 1
}

# exchange SERVER_SPOOL CLIENT_SPOOL: a server on node 1, a client on node 2.
exchange() {
  local i sizes status=0
  on 1 "$SPOOLRPC_PROGRAMS/tests/soak/soak_server" --spool="$1" --ledger="$scratch/ledger" >"$scratch/server" 2>&1 &
  server=$!
  for ((i = 0; i < 600; i++)); do
    if grep -q '^ready' "$scratch/server"; then break; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  grep -q '^ready' "$scratch/server" || fail "the server did not start: $(tail -n 5 "$scratch/server")"
  # (Where a MiB takes a second, several messages of 60 MiB would take ten minutes.)
  for sizes in '1,16 --messages=2' '60 --messages=1'; do
    # shellcheck disable=SC2086  # (two words)
    on 2 timeout 600 "$SPOOLRPC_PROGRAMS/tests/soak/large_client" --spool="$2" --mebibytes=$sizes ||
      fail "the client failed; the server: $(tail -n 5 "$scratch/server")"
  done
  kill -TERM "$server"
  wait "$server" || status=$?
  server=
  ((status == 0)) || fail "the server found errors, or did not drain: $(tail -n 5 "$scratch/server")"
}

echo "-- server on node 1, client on node 2"
exchange "$NODE1/large" "$NODE2/large"
if [[ -n ${SERVER:-} ]]; then
  echo "-- server on the file server's own disk, client on node 2"
  exchange "$SERVER/large_own" "$NODE2/large_own"
fi
echo "large_test.sh: passed"
