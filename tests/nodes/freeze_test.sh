#!/bin/bash
# The file system stands still for 35 s under calls, far beyond every lease, and goes on: a stall is not a death. Run by
# a harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/freeze_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/failure was built. Stops the daemon
# that serves the files; where there is none to stop (a kernel's NFS server) it says so and passes.
set -euo pipefail
# shellcheck source=tests/nodes/failure_lib.sh
. "$(dirname "$(realpath "$0")")/failure_lib.sh"

stall=35
daemons=$(pgrep -x 'glusterfsd|mfschunkserver|mfsmaster' || true)
if [[ -z $daemons ]]; then
  echo "freeze_test.sh: skipped: no daemon here serves the files"
  exit 0
fi

start_server 1 "$NODE1/frozen" --other_host
# (More time than the stall takes: what is not acknowledged meanwhile must not end because of it.)
on 2 "$client_program" --spool="$NODE2/frozen" --method=CountedAppend --id=call --calls=-1 --threads=8 \
  --microseconds=20000 --ack_timeout=900s --other_host --until="$scratch/enough" >"$scratch/results" \
  2>"$scratch/client" &
client=$!
await "calls are answered" more_than 50
# shellcheck disable=SC2086  # (several processes)
kill -STOP $daemons
trap 'kill -CONT $daemons; stop_servers; rm -rf "$scratch"' EXIT
echo "-- $stall s without the file system"
before=$(results ok)
# (Nothing tells when it has been long enough: the time is what is tested.)
sleep "$stall"
during=$(($(results ok) - before))
# shellcheck disable=SC2086
kill -CONT $daemons
# (MooseFS tries again what it had begun when two more minutes have passed: docs/filesystems.md, section 6.)
patience=400
await "calls go on" more_than $((before + during + 100))
: >"$scratch/enough"
wait "$client" || fail "the client failed: $(tail -n 3 "$scratch/client")"
stop_servers
# awk: id|began|ended|code|reason|may_have_executed|acknowledged|server|message|end
awk -F '|' '
  FILENAME ~ /executions$/ { split($0, word, " "); if (word[1] == "executed") ran[word[2]]++; next }
  NF != 10 || $10 != "end" { print "not a whole result: " $0; bad = 1; next }
  $4 != 0 { print $1 " ended: " $9; bad = 1 }
  ran[$1] != 1 { print $1 " was executed " ran[$1] + 0 " times"; bad = 1 }
  END { exit bad }' "$scratch/executions" "$scratch/results" || fail "see above"
echo "freeze_test.sh: passed ($(results ok) calls, $during of them during the stall)"
