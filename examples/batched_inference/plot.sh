#!/bin/bash
# Measures the throughput of inference_server for several batch sizes and plots one against the other, as text.
#
#   plot.sh SERVER CLIENT [--clients=N] [--calls=N] [--max_delay=DURATION] [--sizes="1 2 4 ..."]
#
# SERVER and CLIENT are the two programs. For each of the sizes a server with that --max_batch is started on a spool of
# its own, and N clients (64) make N calls (30) each. Needs nothing but awk: a plot in the terminal works over ssh, and
# can be pasted into a mail.
set -euo pipefail

fail() {
  echo "plot.sh: $*" >&2
  exit 64
}

(($# >= 2)) || fail "give the two programs: plot.sh SERVER CLIENT [OPTION...]"
server=$1
client=$2
shift 2
clients=64
calls=30
max_delay=2ms
sizes="1 2 4 8 16 32 64"
for option in "$@"; do
  case $option in
    --clients=*) clients=${option#*=} ;;
    --calls=*) calls=${option#*=} ;;
    --max_delay=*) max_delay=${option#*=} ;;
    --sizes=*) sizes=${option#*=} ;;
    *) fail "unknown option $option" ;;
  esac
done

scratch=$(mktemp -d)
server_pid=
stop_server() {
  if [[ -n $server_pid ]]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" || true
    server_pid=
  fi
}
trap 'stop_server; rm -rf "$scratch"' EXIT

for size in $sizes; do
  spool=$scratch/$size
  # (The client waits for it.)
  "$server" --spool="$spool" --max_batch="$size" --max_delay="$max_delay" >"$scratch/log" 2>&1 &
  server_pid=$!
  # So that the clients' sessions and the server's first steps are not measured with the rest.
  if ! "$client" --spool="$spool" --clients="$clients" --calls=1 --ack_timeout=60s >"$scratch/warm" ||
    ! "$client" --spool="$spool" --clients="$clients" --calls="$calls" --table >"$scratch/line"; then
    cat "$scratch/log" >&2
    exit 1
  fi
  echo "$size $(cat "$scratch/line")" >>"$scratch/table"
  stop_server
done

awk -v clients="$clients" -v max_delay="$max_delay" '
  { size[NR] = $1; rate[NR] = $4; mean[NR] = $5; median[NR] = $6; if ($4 > most) most = $4 }
  END {
    printf "%d clients, max_delay %s\n\n", clients, max_delay
    printf "max_batch  mean batch  median ms  calls/s\n"
    for (i = 1; i <= NR; ++i) {
      bar = ""
      for (j = 0; j < int(50 * rate[i] / most + 0.5); ++j) bar = bar "#"
      printf "%9d  %10.2f  %9.2f  %7d  %s\n", size[i], mean[i], median[i], rate[i], bar
    }
  }' "$scratch/table"
