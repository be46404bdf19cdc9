#!/bin/bash
# Shows what SpoolRPC does, with real processes and a spool in a temporary directory: a server and several clients, a
# client that comes before any server, a server that is killed, `spoolrpc status`, and web pages fetched for a machine
# without a network. Installs what is missing first (tools/setup.sh, which needs root for that).
#
#   tools/demo.sh
#
# Exit status 0: everything happened as it should. Leaves no process and no file behind but the build's (Bazel's own
# server stays for a while, as it does).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

if (($#)); then
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
  exit 64
fi

scratch=
# shellcheck disable=SC2317  # (called by the trap)
clean_up() {
  local pid running
  trap '' INT TERM HUP
  # (Those that this shell has not seen end; a number of one that has ended may be somebody else's by now.)
  running=$(jobs -pr)
  for pid in $running; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in $running; do ends_within 20 "$pid" || kill -KILL "$pid" 2>/dev/null || true; done
  wait
  [[ -z $scratch ]] || rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
  echo >&2
  echo "tools/demo.sh: $*" >&2
  exit 1
}

bold='' plain=''
if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# What a command prints is shown under the command, indented.
indented() { sed 's/^/    /'; }

# ends_within SECONDS PID: true once the process has ended.
ends_within() {
  local i
  for ((i = 0; i < $1 * 20; i++)); do
    kill -0 "$2" 2>/dev/null || return 0
    sleep 0.05
  done
  return 1
}

# appears TEXT FILE PID: waits until FILE, which the process writes, has TEXT in it.
appears() {
  local i
  for ((i = 0; i < 1200; i++)); do
    if grep -qF -- "$1" "$2" 2>/dev/null; then return; fi
    kill -0 "$3" 2>/dev/null || break
    sleep 0.05
  done
  grep -qF -- "$1" "$2" 2>/dev/null || fail "a process did not say '$1': $(tail -n 5 "$2")"
}

# start NAME COMMAND...: in the background; its output goes to $scratch/NAME, its process is $started.
start() {
  local name=$1
  shift
  "$@" >"$scratch/$name" 2>&1 &
  started=$!
}

# show PROGRAM ARGUMENT...: prints the command and what it prints, and fails if it does.
show() {
  local status=0
  printf '  $ %s\n' "${1##*/} ${*:2}"
  "$@" >"$scratch/shown" 2>&1 || status=$?
  indented <"$scratch/shown"
  ((status == 0)) || fail "${1##*/} ended with status $status"
}

# show_status CALLS: spoolrpc status, once it counts so many calls: a server tells its count when it renews its lease, every
# few seconds.
show_status() {
  local i
  for ((i = 0; i < 100; i++)); do
    ! "$spoolrpc" status --json 2>/dev/null | grep -qE "\"calls_served\": *$1\b" || break
    sleep 0.1
  done
  show "$spoolrpc" status
}

# expect TEXT: the last shown command printed it.
expect() { grep -qF -- "$1" "$scratch/shown" || fail "that should have said: $1"; }

# ---- What it takes.

tools/setup.sh
say "Building (the first time takes some minutes)"
run_bazel build --noshow_progress --ui_event_filters=-info //cli:spoolrpc //examples/greeter:greeter_server \
  //examples/greeter:greeter_client //examples/http_fetch:fetch_server //examples/http_fetch:fetch_client ||
  fail "the build failed (its messages are above)"
bin=$(run_bazel info bazel-bin 2>/dev/null)
spoolrpc=$bin/cli/spoolrpc
greeter_server=$bin/examples/greeter/greeter_server greeter_client=$bin/examples/greeter/greeter_client
fetch_server=$bin/examples/http_fetch/fetch_server fetch_client=$bin/examples/http_fetch/fetch_client
for program in "$spoolrpc" "$greeter_server" "$greeter_client" "$fetch_server" "$fetch_client"; do
  [[ -x $program ]] || fail "the build made no $program"
done
scratch=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-demo.XXXXXX")
export SPOOLRPC_DIR=$scratch/spool
# What is fetched here is on this machine.
unset http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY

# ---- 1. Calls.

say "1. A client comes first. There is no server yet, not even a spool: it waits."
start early "$greeter_client" --name=early --ack_timeout=60s
early=$started
echo "  \$ greeter_client --name=early --ack_timeout=60s &"

say "2. A server starts, and serves whoever is there. The only thing that they share is the directory
   $SPOOLRPC_DIR"
start server "$greeter_server"
server=$started
appears "Server listening" "$scratch/server" "$server"
echo "  \$ greeter_server &"
grep -F "Server listening" "$scratch/server" | indented
ends_within 60 "$early" || fail "the early client got no answer"
wait "$early" || fail "the early client failed: $(cat "$scratch/early")"
indented <"$scratch/early"

say "3. Four client processes at once, 2,000 calls each, every call a real one through the files of the spool."
clients=()
begin=$(date +%s%N)
for name in ada barbara grace hedy; do
  start "client-$name" "$greeter_client" --name="$name" --calls=2000 --ack_timeout=60s
  clients+=("$started")
done
for pid in "${clients[@]}"; do wait "$pid" || fail "a client failed: $(tail -qn 1 "$scratch"/client-*)"; done
milliseconds=$((($(date +%s%N) - begin) / 1000000))
for name in ada barbara grace hedy; do
  right=$(grep -cxF "Greeter received: Hello $name" "$scratch/client-$name" || true)
  ((right == 2000)) || fail "$name got $right right answers of 2000"
  echo "    $name: $right times \"$(head -n 1 "$scratch/client-$name")\""
done
echo "    8,000 calls in $milliseconds ms, processes started and ended"

say "4. Who serves the spool?"
show_status 8001
expect helloworld.Greeter

say "5. The server is killed (kill -9). A call without a server ends when its ack timeout has passed, and says why."
kill -KILL "$server"
wait "$server" 2>/dev/null || true
echo "  \$ greeter_client --ack_timeout=1s"
if "$greeter_client" --ack_timeout=1s >"$scratch/shown" 2>&1; then fail "a call without a server succeeded"; fi
indented <"$scratch/shown"
expect "$SPOOLRPC_DIR"

say "6. Another server takes over the spool, and clears away what the dead one left."
start server2 "$greeter_server"
appears "Server listening" "$scratch/server2" "$started"
show "$greeter_client" --name=again
expect "Hello again"
kill -TERM "$started"
ends_within 60 "$started" || fail "the server did not drain"
wait "$started" || fail "the server failed: $(tail -n 3 "$scratch/server2")"

# ---- 2. Fetching pages.

mkdir "$scratch/web" "$scratch/web/pages"
cat >"$scratch/web/pages/index.html" <<'PAGE'
<!doctype html>
<title>A page of a web server</title>
<p>Fetched by a machine that can, for one that cannot.</p>
PAGE
head -c 8388608 /dev/urandom >"$scratch/web/pages/data.bin"

# start_web_server: nginx of this user, on a free port of the loopback address: $port.
start_web_server() {
  local i directory=$scratch/web nginx user=
  # (Root's nginx would give its directories to another user.)
  [[ $(id -u) != 0 ]] || user='user root root;'
  nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || fail "there is no nginx: install nginx-light"
  for ((i = 0; i < 20; i++)); do
    port=$((20000 + RANDOM % 10000))
    cat >"$directory/nginx.conf" <<CONFIGURATION
$user
daemon off;
master_process off;
pid $directory/pid;
error_log $directory/error.log;
events {}
http {
  access_log $directory/access.log;
  client_body_temp_path $directory/temp_body;
  proxy_temp_path $directory/temp_proxy;
  fastcgi_temp_path $directory/temp_fastcgi;
  uwsgi_temp_path $directory/temp_uwsgi;
  scgi_temp_path $directory/temp_scgi;
  types { text/html html; }
  server {
    listen 127.0.0.1:$port;
    root $directory/pages;
    location = /old { return 302 /index.html; }
    location = /away { return 302 http://localhost:$port/index.html; }
  }
}
CONFIGURATION
    rm -f "$directory/pid"
    start nginx "$nginx" -p "$directory" -e "$directory/error.log" -c "$directory/nginx.conf"
    while kill -0 "$started" 2>/dev/null; do
      # (It writes the file when it listens.)
      [[ ! -s $directory/pid ]] || return 0
      sleep 0.05
    done
    wait "$started" || true
    grep -qF 'Address already in use' "$directory/error.log" || break
  done
  fail "nginx does not start: $(tail -n 3 "$directory/error.log" "$scratch/nginx")"
}

start_web_server
say "7. The job that most people come for: a fetch_server runs where there is a network, here a local web server, and may
   ask only the hosts on its list. Its clients need nothing but the directory."
start fetch_server "$fetch_server" --allow="127.0.0.1:$port"
fetching=$started
appears "Server listening" "$scratch/fetch_server" "$fetching"
echo "  \$ fetch_server --allow=127.0.0.1:$port &"
grep -F "Server listening" "$scratch/fetch_server" | indented
# Shows that the way is the directory: where the kernel lets us, the clients have no network at all, not even loopback.
alone=()
if unshare --user --map-current-user --net true 2>/dev/null; then
  alone=(unshare --user --map-current-user --net)
  say "   These clients run in a network namespace of their own, without any network:"
  if "${alone[@]}" curl -sS --max-time 5 "http://127.0.0.1:$port/" >"$scratch/shown" 2>&1; then
    fail "the namespace has a network"
  fi
  printf '  $ curl http://127.0.0.1:%s/\n' "$port"
  indented <"$scratch/shown"
fi

# fetch ARGUMENT...: fetch_client without a network; its exit status is $status.
fetch() {
  status=0
  printf '  $ fetch_client %s\n' "$*"
  "${alone[@]}" "$fetch_client" "$@" >"$scratch/shown" 2>&1 || status=$?
  indented <"$scratch/shown"
}

fetch "http://127.0.0.1:$port/index.html"
((status == 0)) || fail "fetch_client ended with status $status"
expect "Fetched by a machine that can"
fetch -L "http://127.0.0.1:$port/old" -o "$scratch/page"
((status == 0)) || fail "fetch_client ended with status $status"
cmp "$scratch/page" "$scratch/web/pages/index.html" || fail "another page came"
fetch "http://127.0.0.1:$port/data.bin" -o "$scratch/data"
((status == 0)) || fail "fetch_client ended with status $status"
cmp "$scratch/data" "$scratch/web/pages/data.bin" || fail "other bytes came"
echo "    (8 MiB, compared: the same bytes)"

say "8. A host that is not on the list, and a redirect to one:"
fetch "http://localhost:$port/index.html"
((status == 9)) || fail "fetch_client ended with status $status, not 9"
expect PERMISSION_DENIED
fetch -L "http://127.0.0.1:$port/away"
((status == 9)) || fail "fetch_client ended with status $status, not 9"
expect PERMISSION_DENIED

say "9. What the fetch_server says of it, and the spool:"
grep fetched "$scratch/fetch_server" | indented
show_status 5
expect http_fetch.HttpFetch

kill -TERM "$fetching"
ends_within 60 "$fetching" || fail "the fetch_server did not drain"
wait "$fetching" || fail "the fetch_server failed: $(tail -n 3 "$scratch/fetch_server")"
say "All of it worked. README.md says how to write a service of your own."
