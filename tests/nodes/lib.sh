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

# install_missing LOG PACKAGE...: installs those of the packages that are missing; apt's words go to LOG.
install_missing() {
  local log=$1 package missing=()
  shift
  for package in "$@"; do
    if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
      missing+=("$package")
    fi
  done
  ((${#missing[@]})) || return 0
  echo "$harness: installing ${missing[*]}" >&2
  {
    apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 || fail "cannot install ${missing[*]}; apt's messages: $(tail -n 5 "$log")"
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
