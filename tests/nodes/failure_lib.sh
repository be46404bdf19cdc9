# shellcheck shell=bash
# What the tests between nodes share that use the programs of tests/failure. Sourced.
# shellcheck disable=SC2034  # (Used by those who source it.)

server_program=$SPOOLRPC_PROGRAMS/tests/failure/failure_server
client_program=$SPOOLRPC_PROGRAMS/tests/failure/failure_client
scratch=$(mktemp -d)
servers=()
trap 'stop_servers; rm -rf "$scratch"' EXIT

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# await WHAT COMMAND...: until COMMAND succeeds, for at most $patience seconds.
patience=60
await() {
  local what=$1 i
  shift
  for ((i = 0; i < 10 * patience; i++)); do
    if "$@"; then return; fi
    sleep 0.1
  done
  fail "not within $patience s: $what"
}

# start_server NODE SPOOL [OPTION...]: sets $server to its process when it listens.
start_server() {
  local node=$1 spool=$2 said=$scratch/server.${#servers[@]}
  shift 2
  on "$node" "$server_program" --spool="$spool" --executions="$scratch/executions" "$@" >"$said" 2>&1 &
  server=$!
  servers+=("$server")
  await "the server listens: $(tail -n 3 "$said")" grep -q . "$said"
}

stop_servers() {
  local process
  for process in "${servers[@]}"; do
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  servers=()
}

# results ok|not_ok: how many calls the client says have ended so.
results() {
  if [[ $1 == ok ]]; then
    awk -F '|' '$4 == 0 && $10 == "end"' "$scratch/results" | wc -l
  else
    awk -F '|' '$4 != 0 && $10 == "end"' "$scratch/results" | wc -l
  fi
}

more_than() {
  (($(results ok) > $1))
}

# answered_by PROCESS...: each has answered a call.
answered_by() {
  local process
  for process in "$@"; do
    awk -F '|' -v pid="$process" '$8 == pid { found = 1 } END { exit !found }' "$scratch/results" || return 1
  done
}
