#!/bin/bash
# Servers that die under clients on another node of a network file system. Run by a harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/failover_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/failure was built. All nodes are
# one machine here, whose kernel would tell of a death at once: --other_host makes each side rely on leases alone.
set -euo pipefail

# shellcheck source=tests/nodes/failure_lib.sh
. "$(dirname "$(realpath "$0")")/failure_lib.sh"

term=3s

# crash SIGNAL METHOD [DIRECTORY]: two servers on node 1, or in another directory, clients on node 2 that call METHOD; one
# server gets SIGNAL, and the calls must go on at the other.
crash() {
  local signal=$1 method=$2 directory=${3:-$NODE1} spool=$1.$2${3:+.own} first second client count
  echo "-- SIG$signal to one of two servers, $method"
  start_server 1 "$directory/$spool" --other_host --lease_term="$term"
  first=$server
  start_server 1 "$directory/$spool" --other_host --lease_term="$term"
  second=$server
  on 2 "$client_program" --spool="$NODE2/$spool" --method="$method" --id=call --calls=-1 --threads=8 \
    --microseconds=20000 --other_host --lease_term="$term" --until="$scratch/enough" >"$scratch/results" \
    2>"$scratch/client" &
  client=$!
  await "both servers answer" answered_by "$first" "$second"
  kill -"$signal" "$first"
  count=$(results ok)
  # Each thread had at most one call there, so that all of them go on elsewhere.
  await "calls go on" more_than $((count + 100))
  : >"$scratch/enough"
  wait "$client" || fail "the client failed: $(tail -n 3 "$scratch/client")"
  rm "$scratch/enough"
  stop_servers
  # awk: id|began|ended|code|reason|may_have_executed|acknowledged|server|message|end
  awk -F '|' -v method="$method" '
    FILENAME ~ /executions$/ { split($0, word, " "); if (word[1] == "executed") ran[word[2]]++; next }
    NF != 10 || $10 != "end" { print "not a whole result: " $0; bad = 1; next }
    { ended[$1]++ }
    $4 == 0 && ran[$1] < 1 { print $1 " was answered and never executed"; bad = 1 }
    method != "IdempotentAppend" && ran[$1] > 1 { print $1 " was executed " ran[$1] " times"; bad = 1 }
    $4 != 0 && method == "IdempotentAppend" { print $1 " failed: " $9; bad = 1 }
    $4 != 0 && $6 == 0 && ran[$1] > 0 { print $1 " was executed, its status says that it was not: " $9; bad = 1 }
    $4 != 0 && $5 == -1 { print $1 " has a status without a reason: " $9; bad = 1 }
    END {
      for (id in ended) if (ended[id] != 1) { print id " ended " ended[id] " times"; bad = 1 }
      exit bad
    }' "$scratch/executions" "$scratch/results" || fail "SIG$signal, $method: see above"
  echo "   $(results ok) calls answered, $(results not_ok) ended otherwise"
  rm -f "$scratch/executions"
}

for method in IdempotentAppend CountedAppend AckFirst; do crash KILL "$method"; done
crash STOP CountedAppend
crash STOP AckFirst
if [[ -n ${SERVER:-} ]]; then
  echo "-- servers on the file server's own disk"
  crash KILL IdempotentAppend "$SERVER"
  crash KILL CountedAppend "$SERVER"
  crash STOP CountedAppend "$SERVER"
fi
echo "failover_test.sh: passed"
