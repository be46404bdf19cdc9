#!/bin/bash
# Shows that the README's commands work on a fresh machine: makes a bare Debian 12, clones this repository's last
# commit into it, and runs a command there.
#
#   tools/bare_debian.sh [option...] [COMMAND [ARGUMENT...]]     default command: tools/test.sh; needs root
#     --dir DIR     where the system is made (default: a new directory under /var/tmp); one that is there already is
#                   used again with all that was installed in it, and gets a new clone
#     --keep        keeps DIR (always kept when given by --dir)
#
# The command runs as root in the clone. It has a file system, mounts and processes of its own and the network of this
# machine, so that apt works; packages come from the mirrors, by the proxies, that this machine's apt uses. When it
# ends, however it ends, the kernel drops its mounts and processes. Exit status: the command's.
set -euo pipefail

fail() {
  echo "tools/bare_debian.sh: $*" >&2
  exit 125
}

# ---- Inside: $root is to become /. In private mount and process namespaces.

mount_and_run() {
  local root=$1 device
  shift
  mount --bind "$root" "$root"
  cd "$root"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/pts dev/shm
  mount -t tmpfs tmpfs dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  ln -s fd/0 dev/stdin
  ln -s fd/1 dev/stdout
  ln -s fd/2 dev/stderr
  for device in null zero full random urandom tty fuse; do
    [[ -e /dev/$device ]] || continue
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  # A changed root, not chroot: in a chroot the kernel allows no user namespaces, which Bazel's sandbox uses.
  mkdir -p .before
  pivot_root . .before
  cd /
  umount -l /.before
  rmdir /.before
  cd /root/spoolrpc
  exec "$@"
}

if [[ ${1:-} == --inside ]]; then
  shift
  mount_and_run "$@"
fi

# ---- Outside.

directory='' keep=0
while (($#)); do
  case $1 in
    --dir) directory=${2:?--dir needs a directory} keep=1 && shift 2 ;;
    --keep) keep=1 && shift ;;
    --) shift && break ;;
    --*)
      awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
      exit 64
      ;;
    *) break ;;
  esac
done
(($#)) || set -- tools/test.sh
[[ $(id -u) == 0 ]] || fail "changing the root needs root: run it as root or with sudo"
repository=$(dirname "$(dirname "$(realpath "$0")")")
"$repository/tools/setup.sh" --packages debootstrap git

[[ -n $directory ]] || directory=$(mktemp -d /var/tmp/bare_debian.XXXXXX)
mkdir -p "$directory"
exec {lock}>"$directory/lock"
flock -n "$lock" || fail "another run uses $directory"
root=$(realpath "$directory")/root
finish() {
  if ((keep)); then
    echo "tools/bare_debian.sh: kept $directory" >&2
  else
    rm -rf --one-file-system "$directory"
  fi
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# What apt on this machine uses: `SITE SUITE COMPONENT` lines of Debian's own suites, and its proxies.
sources() {
  # shellcheck disable=SC2016  # (apt's own variables)
  apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 ~ /^bookworm(-updates|-security)?$/ && $3 == "main"' | sort -u
}
mapfile -t lines < <(sources)
((${#lines[@]})) || lines=("http://deb.debian.org/debian bookworm main")
mirror=$(printf '%s\n' "${lines[@]}" | awk '$2 == "bookworm" { print $1; exit }')
eval "$(apt-config shell HTTP_PROXY_OF_APT Acquire::http::Proxy HTTPS_PROXY_OF_APT Acquire::https::Proxy)"
export http_proxy=${http_proxy:-${HTTP_PROXY_OF_APT:-}} https_proxy=${https_proxy:-${HTTPS_PROXY_OF_APT:-}}

if [[ ! -e $root/complete ]]; then
  rm -rf "$root"
  echo "tools/bare_debian.sh: making a bare Debian 12 in $root" >&2
  debootstrap --variant=minbase bookworm "$root" "$mirror" >"$directory/debootstrap.log" 2>&1 ||
    fail "debootstrap failed: $(tail -n 3 "$directory/debootstrap.log")"
  printf 'deb %s\n' "${lines[@]}" >"$root/etc/apt/sources.list"
  apt-config dump | grep -E '^Acquire::https?::' >"$root/etc/apt/apt.conf.d/90-outside" || true
  # Certificates that this machine trusts beyond Debian's own.
  if [[ -d /usr/local/share/ca-certificates ]]; then
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
  fi
  touch "$root/complete"
fi
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
rm -rf "$root/root/spoolrpc"
git clone -q --no-local "$repository" "$root/root/spoolrpc"
echo "tools/bare_debian.sh: running $* at $(git -C "$root/root/spoolrpc" log -1 --format='%h %s')" >&2

setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc -- \
  env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}" \
  ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
  ${no_proxy:+no_proxy="$no_proxy"} \
  bash "$(realpath "$0")" --inside "$root" "$@" <&0 &
pid=$!
trap 'kill -KILL $pid 2>/dev/null || true; exit 130' INT TERM HUP
status=0
wait "$pid" || status=$?
exit "$status"
