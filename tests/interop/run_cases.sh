#!/bin/bash
# Runs gRPC's published interop cases between a server process and a client process for each case, over a spool of their
# own, and prints a table of them.
#
#   tests/interop/run_cases.sh PROGRAMS [--network | --nodes] [CLIENT_FLAG...]
#     PROGRAMS     the directory of interop_server and interop_client
#     --network    both go by the rules of a network file system, and neither knows that they are on one host
#     --nodes      between two nodes of a harness of tests/nodes: the server on node 1, the clients on node 2
#     CLIENT_FLAG  such as --soak_iterations=1000 (interop_client --help lists them)
#
# Each case may take $INTEROP_CASE_TIMEOUT seconds (default 100). The last line is `N passed, M failed`; exit status 0:
# all 21 passed. What a failed case said is shown after the table.
set -euo pipefail

# All of doc/interop-test-descriptions.md of gRPC that need neither HTTP/2 nor credentials.
cases=(
  empty_unary large_unary client_compressed_unary server_compressed_unary client_streaming client_compressed_streaming
  server_streaming server_compressed_streaming ping_pong empty_stream custom_metadata status_code_and_message
  special_status_message unimplemented_method unimplemented_service cancel_after_begin cancel_after_first_response
  timeout_on_sleeping_server rpc_soak channel_soak concurrent_large_unary
)

usage() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
  exit 64
}

(($#)) || usage
programs=$(realpath "$1")
shift
on_server=() on_client=() transport=() server_spool='' client_spool=''
case ${1:-} in
  --network)
    transport=(--transport=network)
    shift
    ;;
  --nodes)
    on_server=(on 1) on_client=(on 2)
    server_spool=$NODE1/interop client_spool=$NODE2/interop
    shift
    ;;
esac
limit=${INTEROP_CASE_TIMEOUT:-100}
# (Bazel's own, which the clients would write over each other.)
unset XML_OUTPUT_FILE TESTBRIDGE_TEST_ONLY TEST_TOTAL_SHARDS TEST_SHARD_INDEX TEST_SHARD_STATUS_FILE

scratch=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-interop.XXXXXX")
: "${server_spool:=$scratch/spool}" "${client_spool:=$scratch/spool}"
server_pid='' client_pid=''
# shellcheck disable=SC2317  # (called by the trap)
clean_up() {
  trap '' INT TERM HUP
  if [[ -n $client_pid ]]; then kill -KILL "$client_pid" 2>/dev/null || true; fi
  if [[ -n $server_pid ]]; then kill -KILL "$server_pid" 2>/dev/null || true; fi
  wait
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
  echo "run_cases.sh: $*" >&2
  exit 1
}

# ends_within SECONDS PID: true once the process has ended.
ends_within() {
  local i
  for ((i = 0; i < $1 * 20; i++)); do
    kill -0 "$2" 2>/dev/null || return 0
    sleep 0.05
  done
  return 1
}

# A case that the client has and this list has not, or the other way round, would not be run.
# (In files, since not every machine that this runs on has /dev/fd.)
printf '%s\n' "${cases[@]}" | sort >"$scratch/expected"
"$programs/interop_client" --list | sort >"$scratch/listed"
diff "$scratch/expected" "$scratch/listed" >"$scratch/difference" ||
  fail "the client has other cases (< missing, > not in this list): $(grep '^[<>]' "$scratch/difference" | tr '\n' ' ')"

: >"$scratch/server"
"${on_server[@]}" "$programs/interop_server" --spool="$server_spool" "${transport[@]}" >"$scratch/server" 2>&1 &
server_pid=$!
for ((i = 0; i < 1200; i++)); do
  if grep -q '^Server listening' "$scratch/server"; then break; fi
  kill -0 "$server_pid" 2>/dev/null || break
  sleep 0.05
done
grep -q '^Server listening' "$scratch/server" || fail "the server does not start: $(tail -n 5 "$scratch/server")"

passed=0 failed=0
failures=()
printf '%-30s %-6s %9s\n' case result ms
for name in "${cases[@]}"; do
  begin=${EPOCHREALTIME/[.,]/}
  "${on_client[@]}" timeout --signal=KILL "$limit" "$programs/interop_client" --test_case="$name" \
    --spool="$client_spool" "${transport[@]}" "$@" >"$scratch/$name" 2>&1 &
  client_pid=$!
  status=0
  wait "$client_pid" || status=$?
  client_pid=
  # (The client says so itself: whatever else would end with status 0 has not passed.)
  if ((status == 0)) && grep -qF '[  PASSED  ] 1 test.' "$scratch/$name"; then
    result=passed
    passed=$((passed + 1))
  else
    result=FAILED
    failed=$((failed + 1))
    failures+=("$name")
    echo "interop_client ended with status $status (137: after $limit s)" >>"$scratch/$name"
  fi
  printf '%-30s %-6s %9.1f\n' "$name" "$result" "$(((${EPOCHREALTIME/[.,]/} - begin) / 100))e-1"
done

# The server outlives all of it, and drains.
kill -TERM "$server_pid" 2>/dev/null || true
status=0
ends_within 60 "$server_pid" || kill -KILL "$server_pid" 2>/dev/null || true
wait "$server_pid" || status=$?
server_pid=
if ((status)); then
  failed=$((failed + 1))
  echo "the server ended with status $status" >>"$scratch/server"
fi

for name in "${failures[@]}"; do
  echo "-- $name:"
  tail -n 40 "$scratch/$name"
done
if ((failed)); then
  echo "-- the server:"
  tail -n 40 "$scratch/server"
fi
echo "$passed passed, $failed failed"
((failed == 0))
