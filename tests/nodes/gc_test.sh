#!/bin/bash
# What killed processes leave in a spool between two clients of a network file system goes away: servers and clients on
# both nodes die by SIGKILL while calls run, again and again, and the number of files returns to what it was. Run by a
# harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/gc_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/failure and cli were built. All nodes
# are one machine here, whose kernel would tell of a death at once: --other_host makes each side rely on leases alone.
set -euo pipefail
# shellcheck source=tests/nodes/failure_lib.sh
. "$(dirname "$(realpath "$0")")/failure_lib.sh"

tool=$SPOOLRPC_PROGRAMS/cli/spoolrpc
term=1s
clients=()

# files: what is in the spool, seen by node 2. Not counted: the servers' logs, of which the newest 10 are kept, and
# temporary names, whose makers nobody knows to be dead before they are an hour old.
files() {
  find "$NODE2/collected" -path '*/logs' -prune -o -name '.tmp-*' -prune -o -print 2>/dev/null | sort
}

# start_client NODE NUMBER: calls without end; its results are in $scratch/results with all others'.
start_client() {
  local node=NODE$1
  on "$1" "$client_program" --spool="${!node}/collected" --id="$2" --calls=-1 --threads=4 --microseconds=20000 \
    --other_host --lease_term="$term" >>"$scratch/results" 2>>"$scratch/clients" &
  clients+=("$!")
}

# all_answered: every client that runs had answers.
all_answered() {
  local number
  for number in "$@"; do
    awk -F '|' -v id="$number." 'index($1, id) == 1 && $4 == 0 && $10 == "end" { n++ } END { exit n < 20 }' \
      "$scratch/results" || return 1
  done
}

# massacre ROUND: a server and a client on each node, killed all at once while calls run.
massacre() {
  local round=$1 process
  : >"$scratch/results"
  start_server 1 "$NODE1/collected" --other_host --lease_term="$term"
  start_server 2 "$NODE2/collected" --other_host --lease_term="$term"
  start_client 1 "near$round"
  start_client 2 "far$round"
  await "both clients are answered: $(tail -n 3 "$scratch/clients" 2>/dev/null)" all_answered "near$round" "far$round"
  kill -KILL "${servers[@]}" "${clients[@]}"
  for process in "${servers[@]}" "${clients[@]}"; do wait "$process" 2>/dev/null || true; done
  servers=() clients=()
}

# as_before: the spool has as many files as it had.
as_before() {
  files >"$scratch/now"
  (($(wc -l <"$scratch/now") == constant))
}

echo "-- a spool with one server and nothing else"
: >"$scratch/clients"
start_server 1 "$NODE1/collected" --other_host --lease_term="$term"
files >"$scratch/first"
constant=$(wc -l <"$scratch/first")
stop_servers
echo "   $constant files"

for round in 1 2; do
  echo "-- servers and clients of both nodes are killed while calls run; then a server on node 1 and gc on node 2"
  massacre "$round"
  echo "   $(files | wc -l) files are left"
  start_server 1 "$NODE1/collected" --other_host --lease_term="$term"
  on 2 timeout 120 "$tool" gc "$NODE2/collected" --wait=60s >"$scratch/gc" 2>&1 || fail "gc: $(cat "$scratch/gc")"
  if ! (await "$constant files" as_before); then
    fail "what there is (>) and was (<): $(diff "$scratch/first" "$scratch/now" || true); gc: $(cat "$scratch/gc")"
  fi
  echo "   $constant files again; gc removed $(grep -c '^removed ' "$scratch/gc" || true) itself"
  stop_servers
done

echo "-- without any server gc alone removes all of it"
massacre last
on 2 timeout 120 "$tool" gc "$NODE2/collected" --wait=60s >"$scratch/gc" 2>&1 || fail "gc: $(cat "$scratch/gc")"
nothing_of_anybody() {
  local directory
  for directory in servers sessions; do
    [[ -z $(find "$NODE2/collected/$directory" -mindepth 1 ! -name '.tmp-*' 2>/dev/null) ]] || return 1
  done
}
await "nobody's files are left" nothing_of_anybody
echo "gc_test.sh: passed"
