# shellcheck shell=bash
# What the harnesses of this directory share: messages, packages, and a private world to run in.
# Sourced by them; needs `harness` set to the name that messages begin with.

# Ends the harness with status 125, which no command under test should use. Each message says what to do.
fail() {
  # shellcheck disable=SC2154
  echo "$harness: $*" >&2
  exit 125
}

# Prints the comment at the top of script $1, which is its documentation.
print_header() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$1"
}

# usage SCRIPT [MESSAGE]
usage() {
  if [[ -n ${2:-} ]]; then echo "$harness: $2" >&2; fi
  print_header "$1" >&2
  exit 125
}

require_root() {
  [[ $(id -u) == 0 ]] || fail "mounting needs root: run it as root or with sudo"
}

require_fuse() {
  [[ -c /dev/fuse ]] || fail "no /dev/fuse: load the fuse module, or give this container the device"
  # Opening it tells whether the device is allowed here, not only present.
  (exec 3<>/dev/fuse) 2>/dev/null || fail "/dev/fuse cannot be opened: allow this container the device"
}

# install_missing PACKAGE...: those that are missing; their services are not started.
install_missing() {
  "$(dirname "${BASH_SOURCE[0]}")/../../tools/setup.sh" --packages "$@" >&2 || fail "cannot install all of: $*"
}

# run_private SECONDS COMMAND...: runs it with private mount, network (loopback only) and process namespaces and
# returns its status; 124 if it lasted longer than SECONDS (0: no limit). When this script ends, even by SIGKILL,
# the kernel ends every process started inside and drops every mount; so nothing leaks, and several harnesses may
# run at once.
run_private() {
  local limit=$1 status=0 pid start=$SECONDS
  local tied=(setpriv --pdeathsig KILL) timed=()
  shift
  if ((limit)); then timed=(timeout --signal=KILL "$limit" "${tied[@]}"); fi
  "${tied[@]}" "${timed[@]}" unshare --mount --propagation private --net --pid --fork --kill-child --mount-proc \
    -- "$@" <&0 &
  pid=$!
  # shellcheck disable=SC2064  # (the pid of now is meant)
  trap "kill -KILL $pid 2>/dev/null || true; exit 130" INT TERM HUP
  wait "$pid" 2>/dev/null || status=$?
  trap - INT TERM HUP
  if ((limit && status == 137 && SECONDS - start >= limit)); then
    status=124
  fi
  return "$status"
}

# remove_tree DIR: daemons that were just killed may still be creating files in it, so once more after a failure.
remove_tree() {
  rm -rf "$1" 2>/dev/null || { sleep 1 && rm -rf "$1"; }
}

# wait_until SECONDS COMMAND...: polls until COMMAND succeeds; fails after SECONDS.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# ---- For the FUSE file systems, whose harnesses run themselves a second time inside the private world
# (NODES_STAGE=inside): outside they read the options and install packages, inside they mount and run the command.

# parse_options SCRIPT ARGUMENT...: sets keep, limit, command and exports NODES_DIR and NODES_MOUNT_OPTIONS.
# Options that are not common to all go to the script's own_option NAME VALUE, which fails if it does not know one.
parse_options() {
  local script=$1 directory='' mount_options=''
  shift
  keep=0 limit=0
  while (($#)); do
    case $1 in
      --keep) keep=1 && shift && continue ;;
      --) shift && break ;;
      --*) (($# > 1)) || usage "$script" "$1 needs a value" ;;
      *) break ;;
    esac
    case $1 in
      --dir) directory=$2 ;;
      --timeout) limit=$2 ;;
      --mount-opts) mount_options+=,$2 ;;
      *) own_option "$1" "$2" || usage "$script" "unknown option $1" ;;
    esac
    shift 2
  done
  (($#)) || usage "$script" "no command"
  command=("$@")
  require_root
  require_fuse
  if [[ -z $directory ]]; then directory=$(mktemp -d "${TMPDIR:-/tmp}/${harness%.sh}.XXXXXX"); fi
  mkdir -p "$directory"/{node1,node2,log,bin}
  NODES_DIR=$(realpath "$directory")
  export NODES_DIR NODES_MOUNT_OPTIONS=$mount_options
}

# enter_private SCRIPT: runs the inside half with the command, tidies up and ends with the command's status.
enter_private() {
  local status=0
  NODES_STAGE=inside run_private "$limit" "$(realpath "$1")" "${command[@]}" || status=$?
  if ((status == 124 && limit)); then echo "$harness: ended after $limit s (--timeout)" >&2; fi
  if ((keep)); then echo "$harness: kept $NODES_DIR" >&2; else remove_tree "$NODES_DIR"; fi
  exit "$status"
}

# Ends the inside half with the last words of every log.
fail_with_logs() {
  tail -n 5 "$NODES_DIR"/log/* >&2 || true
  fail "$@"
}

# define_helper NAME: makes the text on stdin a program on the command's PATH.
define_helper() {
  cat >"$NODES_DIR/bin/$1"
  chmod +x "$NODES_DIR/bin/$1"
}

# run_inside COMMAND...: mounts both nodes with the helper `remount`, runs the command and ends with its status.
run_inside() {
  local node status=0
  define_helper on <<'ON'
#!/bin/sh
# on I COMMAND...: as under nfs.sh; here both nodes share one network.
shift
exec "$@"
ON
  export PATH=$NODES_DIR/bin:$PATH NODES=2 NODE1=$NODES_DIR/node1 NODE2=$NODES_DIR/node2
  unset NODES_STAGE
  for node in 1 2; do
    remount "$node" || fail_with_logs "cannot mount node $node"
  done
  NODE1_PID=$(<"$NODES_DIR/node1.pid")
  NODE2_PID=$(<"$NODES_DIR/node2.pid")
  export NODE1_PID NODE2_PID
  if declare -F await_ready >/dev/null; then await_ready; fi
  "$@" || status=$?
  umount -l "$NODE1" "$NODE2" 2>/dev/null || true
  exit "$status"
}
