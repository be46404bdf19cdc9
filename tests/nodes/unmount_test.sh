#!/bin/bash
# The mount of one of two servers goes away under calls, as when its file system's client process dies: calls go on at
# the other server. Run by a harness of this directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/unmount_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after tests/failure was built. On a file system in
# user space a forced unmount ends every operation with an error, from then on; NFS goes on with files that are open, so
# there it says so and passes.
set -euo pipefail
# shellcheck source=tests/nodes/failure_lib.sh
. "$(dirname "$(realpath "$0")")/failure_lib.sh"

if [[ $(stat -f -c %T "$NODE1") == nfs* ]]; then
  echo "unmount_test.sh: skipped: NFS keeps the files of a mount that is gone"
  exit 0
fi

term=3s
start_server 1 "$NODE1/unmounted" --other_host --lease_term="$term"
first=$server
start_server 2 "$NODE2/unmounted" --other_host --lease_term="$term"
second=$server
on 2 "$client_program" --spool="$NODE2/unmounted" --method=CountedAppend --id=call --calls=-1 --threads=8 \
  --microseconds=20000 --other_host --lease_term="$term" --until="$scratch/enough" >"$scratch/results" \
  2>"$scratch/client" &
client=$!
await "both servers answer" answered_by "$first" "$second"
umount -f "$NODE1" 2>"$scratch/umount" || true # (busy: it stays in the tree, and every operation fails)
if stat "$NODE1/unmounted" >/dev/null 2>&1; then fail "the mount is still there: $(<"$scratch/umount")"; fi
count=$(results ok)
await "calls go on" more_than $((count + 200))
: >"$scratch/enough"
wait "$client" || fail "the client failed: $(tail -n 3 "$scratch/client")"
said=$(tail -n 2 "$scratch/server.0")
stop_servers
# awk: id|began|ended|code|reason|may_have_executed|acknowledged|server|message|end
awk -F '|' '
  FILENAME ~ /executions$/ { split($0, word, " "); if (word[1] == "executed") ran[word[2]]++; next }
  NF != 10 || $10 != "end" { print "not a whole result: " $0; bad = 1; next }
  $4 == 0 && ran[$1] != 1 { print $1 " was answered, and executed " ran[$1] + 0 " times"; bad = 1 }
  ran[$1] > 1 { print $1 " was executed " ran[$1] " times"; bad = 1 }
  $4 != 0 && $6 == 0 && ran[$1] > 0 { print $1 " was executed, its status says that it was not: " $9; bad = 1 }
  $4 != 0 && $5 == -1 { print $1 " has a status without a reason: " $9; bad = 1 }
  END { exit bad }' "$scratch/executions" "$scratch/results" || fail "see above"
echo "   $(results ok) calls answered, $(results not_ok) ended otherwise; the server without a mount said: $said"
echo "unmount_test.sh: passed"
