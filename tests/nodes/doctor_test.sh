#!/bin/bash
# `spoolrpc doctor` on two clients of a network file system at once: both say that it works. Run by a harness of this
# directory:
#
#   SPOOLRPC_PROGRAMS=BAZEL_BIN tests/nodes/gluster.sh tests/nodes/doctor_test.sh
#
# SPOOLRPC_PROGRAMS is the directory that `bazel info bazel-bin` prints, after cli was built. Where it must not work:
# DOCTOR_STATUS is the exit status that both must have, and DOCTOR_SAYS a pattern that both must print.
set -euo pipefail

tool=$SPOOLRPC_PROGRAMS/cli/spoolrpc
expected=${DOCTOR_STATUS:-0}
says=${DOCTOR_SAYS:-^Verdict: works}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "doctor_test.sh: $*" >&2
  exit 1
}

# examine NODE DIRECTORY: writes what it says to $scratch/NODE, and its exit status to $scratch/NODE.status.
examine() {
  local status=0
  on "$1" timeout 240 "$tool" doctor "$2" --pair=nodes >"$scratch/$1" 2>"$scratch/$1.errors" || status=$?
  echo "$status" >"$scratch/$1.status"
}

mkdir -p "$NODE1/examined"
chmod 700 "$NODE1/examined"

examine 1 "$NODE1/examined" &
other=$!
examine 2 "$NODE2/examined"
wait "$other"
for node in 1 2; do
  echo "-- node $node"
  cat "$scratch/$node.errors" "$scratch/$node"
done
for node in 1 2; do
  status=$(<"$scratch/$node.status")
  ((status == expected)) || fail "exit status $status on node $node, not $expected"
  grep -q "$says" "$scratch/$node" || fail "node $node does not say '$says'"
  if ((expected == 0)); then
    for check in round_trip flush_then_open names_listed names_opened pair_exclusive_link; do
      grep -Eq "^  $check +(ok|warn) " "$scratch/$node" || fail "$check is not good on node $node"
    done
  fi
done

echo "-- nothing is left behind"
left=$(find "$NODE1/examined" -mindepth 1)
[[ -z $left ]] || fail "left behind: $left"

echo "-- one node alone"
on 1 timeout 240 "$tool" doctor "$NODE1/examined" >"$scratch/alone" || fail "alone: $(cat "$scratch/alone")"

echo "-- a word that nobody else uses"
status=0
on 1 timeout 240 "$tool" doctor "$NODE1/examined" --pair=lonely --timeout=2s >"$scratch/lonely" 2>&1 || status=$?
((status == 3)) || fail "exit status $status without another node, not 3: $(cat "$scratch/lonely")"
grep -q 'no other node came' "$scratch/lonely" || fail "it does not say that nobody came: $(cat "$scratch/lonely")"
echo "doctor_test.sh: passed"
