#!/bin/bash
# Durable calls between nodes of a network file system: callers that are gone, servers that come late and die. Run by a
# harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/durable_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/failure and cli were built.
set -euo pipefail
# shellcheck source=tests/nodes/failure_lib.sh
. "$(dirname "$(realpath "$0")")/failure_lib.sh"
tool=$SPOOLRPC_PROGRAMS/cli/spoolrpc
# (Of servers that die: six of it, after which others know, are well within a minute; renewals may be seconds late.)
term=5s

# leave NODE SPOOL COUNT ID: a process that leaves so many calls and ends; adds their tickets to $scratch/tickets.
leave() {
  on "$1" timeout 240 "$client_program" --spool="$2" --durable --calls="$3" --id="$4" >>"$scratch/tickets" \
    2>"$scratch/client" || fail "the caller failed: $(tail -n 3 "$scratch/client")"
}

# finished NODE SPOOL: waits for every call, on that node; prints how many ended well.
finished() {
  local ticket status ok=0
  while read -r ticket; do
    status=0
    on "$1" "$tool" ticket wait "$ticket" --spool="$2" --timeout=60s >"$scratch/wait" 2>&1 </dev/null || status=$?
    case $status in
      0) ok=$((ok + 1)) ;;
      4) grep -q 'SERVER_LOST' "$scratch/wait" || fail "$ticket ended otherwise: $(cat "$scratch/wait")" ;;
      *) fail "$ticket: status $status: $(cat "$scratch/wait")" ;;
    esac
  done <"$scratch/tickets"
  echo "$ok"
}

# executed_once: nothing more than once. Prints how many calls were executed.
executed_once() {
  local twice
  twice=$(sed -n 's/^executed //p' "$scratch/executions" | sort | uniq -d)
  [[ -z $twice ]] || fail "executed twice: $twice"
  grep -c '^executed ' "$scratch/executions"
}

echo "-- calls that are left before there is a server, by processes that are gone"
mkdir "$NODE2/early"
chmod 700 "$NODE2/early"
# The spool is made by its first server.
start_server 1 "$NODE1/early"
stop_servers
leave 2 "$NODE2/early" 10 early
start_server 1 "$NODE1/early"
ok=$(finished 2 "$NODE2/early")
((ok == 10)) || fail "$ok of 10 calls ended well"
(($(executed_once) == 10)) || fail "not every call was executed"
ok=$(finished 1 "$NODE1/early")
((ok == 10)) || fail "on node 1, $ok of 10 calls ended well"
stop_servers

echo "-- a reply that is collected on the other node, and deleted"
ticket=$(head -n 1 "$scratch/tickets")
on 2 "$tool" ticket collect "$ticket" --spool="$NODE2/early" --raw >"$scratch/reply" ||
  fail "the reply cannot be collected"
[[ -s $scratch/reply ]] || fail "the reply is empty"
on 2 "$tool" ticket delete "$ticket" --spool="$NODE2/early"
gone() {
  local status=0
  on 1 "$tool" ticket show "$ticket" --spool="$NODE1/early" >/dev/null 2>&1 || status=$?
  ((status == 3))
}
await "node 1 sees that the call was deleted" gone

echo "-- two servers that compete, one of them killed with calls in its hands"
rm -f "$scratch/tickets" "$scratch/executions"
start_server 1 "$NODE1/killed" --lease_term="$term"
first=$server
start_server 2 "$NODE2/killed" --lease_term="$term"
leave 2 "$NODE2/killed" 60 killed
some() { [[ -e $scratch/executions ]] && (($(grep -c '^executed ' "$scratch/executions") >= 10)); }
await "some calls are executed" some
kill -KILL "$first"
ok=$(finished 2 "$NODE2/killed")
executed=$(executed_once)
((executed >= ok)) || fail "$ok calls ended well, $executed were executed"
echo "   $ok of 60 ended well, $executed were executed, none twice"
((ok >= 40)) || fail "too few calls ended well: a server that dies loses what it had in its hands"
stop_servers

if [[ -n ${SERVER:-} ]]; then
  echo "-- a server on the file server's own disk that comes late, dies, and has a successor"
  rm -f "$scratch/tickets" "$scratch/executions"
  start_server 1 "$SERVER/own" --lease_term="$term"
  stop_servers
  leave 2 "$NODE2/own" 30 own
  start_server 1 "$SERVER/own" --lease_term="$term"
  await "some calls are executed" some
  stop_servers
  start_server 1 "$SERVER/own" --lease_term="$term"
  ok=$(finished 2 "$NODE2/own")
  executed=$(executed_once)
  ((executed >= ok)) || fail "$ok calls ended well, $executed were executed"
  echo "   $ok of 30 ended well, $executed were executed, none twice"
  # (They take no time, so that few or none of them are under way when it dies.)
  ((ok >= 10)) || fail "too few calls ended well: a server that dies loses what it had in its hands"
fi
echo "durable_test.sh: passed"
