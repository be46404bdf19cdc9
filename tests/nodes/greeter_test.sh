#!/bin/bash
# The greeter between two clients of a network file system. Run by a harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/greeter_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after examples/greeter was built.
set -euo pipefail

server=$SPOOLRPC_PROGRAMS/examples/greeter/greeter_server
client=$SPOOLRPC_PROGRAMS/examples/greeter/greeter_client
scratch=$(mktemp -d)
server_pid=
trap 'stop_server; rm -rf "$scratch"' EXIT

fail() {
  echo "greeter_test.sh: $*" >&2
  exit 1
}

# start_server NODE SPOOL: returns when it says that it listens.
start_server() {
  local i
  : >"$scratch/server"
  on "$1" "$server" --spool="$2" >"$scratch/server" 2>&1 &
  server_pid=$!
  for ((i = 0; i < 600; i++)); do
    if grep -q '^Server listening' "$scratch/server"; then return; fi
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  fail "the server did not start: $(tail -n 5 "$scratch/server")"
}

stop_server() {
  if [[ -n $server_pid ]]; then
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
  fi
  server_pid=
}

# greets NODE SPOOL CALLS: that many calls by one client process, every one answered rightly.
greets() {
  local expected="Greeter received: Hello node$1" right
  on "$1" timeout 120 "$client" --spool="$2" --name="node$1" --calls="$3" >"$scratch/client" 2>&1 ||
    fail "the client failed: $(tail -n 3 "$scratch/client")"
  right=$(grep -cxF "$expected" "$scratch/client" || true)
  ((right == $3)) || fail "$right of $3 answers were right: $(grep -vxF "$expected" "$scratch/client" | head -n 3)"
}

calls=200

echo "-- server on node 1, clients on node 2"
start_server 1 "$NODE1/spool"
greets 2 "$NODE2/spool" "$calls"
greets 2 "$NODE2/spool" 1

echo "-- a client on the server's own node beside one on the other"
greets 1 "$NODE1/spool" "$calls" & beside=$!
on 2 timeout 120 "$client" --spool="$NODE2/spool" --name=node2 --calls="$calls" >"$scratch/other" 2>&1 ||
  fail "the client on node 2 failed: $(tail -n 3 "$scratch/other")"
wait "$beside" || fail "the client on node 1 failed"
(($(grep -cxF 'Greeter received: Hello node2' "$scratch/other") == calls)) || fail "wrong answers on node 2"
stop_server

echo "-- a client that comes before its server"
mkdir -p "$NODE1/late"
chmod 700 "$NODE1/late"
on 2 timeout 120 "$client" --spool="$NODE2/late" --name=early --ack_timeout=60s >"$scratch/early" 2>&1 &
early=$!
start_server 1 "$NODE1/late"
wait "$early" || fail "the client that came first failed: $(tail -n 3 "$scratch/early")"
grep -qxF 'Greeter received: Hello early' "$scratch/early" || fail "wrong answer: $(cat "$scratch/early")"
stop_server

if [[ -n ${SERVER:-} ]]; then
  echo "-- server on the file server's own disk, client on node 2"
  start_server 1 "$SERVER/own"
  greets 2 "$NODE2/own" "$calls"
  stop_server
fi

echo "-- a call that no server takes ends by itself"
if on 2 timeout 60 "$client" --spool="$NODE2/late" --ack_timeout=3s >"$scratch/nobody" 2>&1; then
  fail "a call without a server was answered: $(cat "$scratch/nobody")"
elif ! grep -q 'NO_SERVER\|no server' "$scratch/nobody"; then
  fail "a call without a server ended otherwise: $(cat "$scratch/nobody")"
fi
echo "greeter_test.sh: passed"
