#!/bin/bash
# nfs.sh: runs a command between independent kernel NFS clients of one kernel NFS server, on one machine.
#
#   nfs.sh [option...] [--] COMMAND [ARGUMENT...]          needs root, and apt the first time
#     --version 4.2|4.1|4.0|3  protocol (default 4.2; 3 is mounted with nolock)
#     --nodes N                clients (default 2)
#     --delay-ms X             adds X ms to every round trip to the server (default 0)
#     --mount-opts O           more mount options, such as noac,actimeo=1
#     --backing ext4|xfs|tmpfs what is exported (default ext4, in memory)
#     --no-deleg               the server gives no delegations, as most filers of clusters
#     --share DIR              DIR is writable from inside, under the same path
#     --engine kvm|tcg|uml     QEMU with KVM, QEMU interpreting, user-mode Linux (default: kvm where the processor
#                              helps, else uml: one processor, about 25 us a system call; starts in 7 s)
#     --memory 4G  --timeout SECONDS  --verbose (the kernel's log on stderr)
#
# The command sees: NODE1, NODE2, ...  mount points, one a client     NODES   how many
#                   SERVER             the server's own directory     on I COMMAND...  runs it as node I
# It runs as root in a small virtual machine, in the same directory; the host's root is visible read-only under an
# overlay in memory, so any program of the host runs there. Variables named SPOOLRPC_... are passed on.
# Output comes as one stream on stdout. Exit status: the command's; 125 the harness failed; 124 timeout.
# Kernel and tools are unpacked, not installed, in $SPOOLRPC_NFS_CACHE (default ~/.cache/spoolrpc-nfs).
set -euo pipefail

harness=nfs.sh
here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/nodes/lib.sh
. "$here/lib.sh"

version=4.2 nodes=2 delay=0 backing=ext4 mount_options='' share='' engine='' memory=4G limit=0 verbose=0 delegations=1
while (($#)); do
  case $1 in
    --version | --nodes | --delay-ms | --backing | --mount-opts | --share | --engine | --memory | --timeout)
      (($# > 1)) || usage "$0" "$1 needs a value"
      ;;&
    --version) version=$2; shift 2 ;;
    --nodes) nodes=$2; shift 2 ;;
    --delay-ms) delay=$2; shift 2 ;;
    --backing) backing=$2; shift 2 ;;
    --mount-opts) mount_options=,$2; shift 2 ;;
    --share) share=$(realpath -e "$2") || fail "--share $2 does not exist"; shift 2 ;;
    --engine) engine=$2; shift 2 ;;
    --memory) memory=$2; shift 2 ;;
    --timeout) limit=$2; shift 2 ;;
    --verbose) verbose=1; shift ;;
    --no-deleg) delegations=0; shift ;;
    --) shift; break ;;
    -*) usage "$0" "unknown option $1" ;;
    *) break ;;
  esac
done
(($#)) || usage "$0" "no command"
require_root

# A stock kernel boots under KVM only if the processor helps; kvm_pvm is KVM without that help.
if [[ -z $engine ]]; then
  engine=uml
  if [[ -w /dev/kvm && ! -e /sys/module/kvm_pvm ]]; then engine=kvm; fi
fi
case $engine in
  uml) kernel_kind=uml ;;
  kvm | tcg) kernel_kind=qemu ;;
  *) usage "$0" "unknown engine $engine" ;;
esac

# ---- Preparation, once a machine and kind of kernel.

cache=${SPOOLRPC_NFS_CACHE:-$HOME/.cache/spoolrpc-nfs}/$kernel_kind
# Raised whenever what prepare() leaves behind changes.
cache_version=1

# Shared libraries of the unpacked tools.
libraries=(libtirpc3 libwrap0 libevent-core-2.1-7 libkeyutils1 libdevmapper1.02.1 libkmod2 libsqlite3-0)

# initramfs ROOT: packs busybox, the kernel modules that are needed and nfs_init.sh into $cache/initramfs.gz.
initramfs() {
  local root=$1 files kernel module
  kernel=$(basename "$root"/lib/modules/*)
  files=$(mktemp -d)
  mkdir -p "$files"/{bin,modules,proc,sys,dev,lower,upper,root}
  cp "$root/bin/busybox" "$files/bin/"
  (exec -a depmod "$root/bin/kmod" -b "$root" "$kernel")
  # Some are built into one of the kernels, some exist in one only; nfs_init.sh complains of what is really missing.
  for module in virtio_pci virtio_console virtio_rng 9pnet_virtio 9p overlay nfsd nfsv3 nfsv4 veth bridge sch_netem \
    loop ext4 xfs; do
    (exec -a modprobe "$root/bin/kmod" -d "$root" -S "$kernel" --show-depends "$module") || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$files/order"
  while read -r module; do cp "$module" "$files/modules/"; done <"$files/order"
  sed -i 's,.*/,,' "$files/order"
  cp "$here/nfs_init.sh" "$files/init"
  chmod +x "$files/init"
  (cd "$files" && find . | "$root/bin/busybox" cpio -o -H newc | gzip -1) >"$cache/initramfs.gz"
  rm -rf "$files"
}

prepare() {
  local packages downloads=$cache/downloads root=$cache/root package
  install_missing "${libraries[@]}" e2fsprogs iproute2 gcc libc6-dev
  packages=(busybox-static kmod nfs-kernel-server nfs-common libnfsidmap1 rpcbind xfsprogs)
  apt-cache show user-mode-linux >/dev/null 2>&1 || apt-get update -q
  if [[ $kernel_kind == uml ]]; then
    packages+=(user-mode-linux)
  else
    install_missing qemu-system-x86
    # The cloud kernel has no 9p, so the plain one.
    packages+=("$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ { print $2; exit }')")
  fi
  rm -rf "$downloads" "$root"
  mkdir -p "$downloads" "$root"
  (cd "$downloads" && apt-get -o APT::Sandbox::User=root download "${packages[@]}")
  for package in "$downloads"/*.deb; do dpkg -x "$package" "$root"; done
  rm -rf "$downloads"
  if [[ $kernel_kind == uml ]]; then
    mkdir -p "$root/lib/modules"
    mv "$root"/usr/lib/uml/modules/* "$root/lib/modules/"
    gcc -O2 -Wall -shared -fPIC -o "$cache/uml_xstate.so" "$here/uml_xstate.c"
  else
    cp "$root"/boot/vmlinuz-* "$cache/vmlinuz"
  fi
  initramfs "$root"
}

# What was prepared belongs to these very sources.
ready=$cache_version-$(cat "$here/nfs_init.sh" "$here/uml_xstate.c" | sha256sum | cut -c 1-16)
mkdir -p "$cache"
exec {lock}>"$cache/lock"
flock "$lock"
if [[ ! -e $cache/ready || $(<"$cache/ready") != "$ready" ]]; then
  rm -f "$cache/ready"
  echo "$harness: preparing the virtual machine in $cache" >&2
  # (A subshell of its own: `set -e` does not act inside a function that is tested.)
  (set -e; prepare) >"$cache/prepare.log" 2>&1 &
  wait $! || fail "preparation failed, see $cache/prepare.log: $(tail -n 3 "$cache/prepare.log")"
  echo "$ready" >"$cache/ready"
fi
exec {lock}>&-

# ---- One run.

run=$(mktemp -d "${TMPDIR:-/tmp}/nfs.XXXXXX")
trap 'rm -rf "$run"' EXIT
cp "$here/nfs_guest.sh" "$run/guest.sh"
{
  printf '%s=%q\n' verbose "$verbose" cache "$cache" version "$version" nodes "$nodes" delay "$delay" \
    backing "$backing" mount_options "$mount_options" delegations "$delegations" directory "$PWD"
  printf 'export %s=%q\n' PATH "$PATH" HOME "$HOME"
  for name in ${!SPOOLRPC_@}; do printf 'export %s=%q\n' "$name" "${!name}"; done
  printf 'command=('
  printf '%q ' "$@"
  echo ')'
} >"$run/settings"

arguments="panic=-1 quiet loglevel=4 mitigations=off SPOOLRPC_RUN=$run SPOOLRPC_SHARE=$share"
if [[ $engine == uml ]]; then
  # con0 (descriptor 5) is the console, ssl0 (6) the command's output.
  # shellcheck disable=SC2054,SC2206  # (the commas are the kernel's, and the arguments are words)
  machine=("$cache/root/usr/bin/linux.uml" "mem=$memory" "initrd=$cache/initramfs.gz" con0=null,fd:5 con=null
    ssl0=null,fd:6 ssl=null SPOOLRPC_UML=1 $arguments)
else
  # shellcheck disable=SC2054  # (the commas are QEMU's)
  machine=(qemu-system-x86_64 -M q35 -smp "$(nproc)" -m "$memory" -nodefaults -no-user-config -display none -no-reboot
    -kernel "$cache/vmlinuz" -initrd "$cache/initramfs.gz" -append "console=ttyS0 $arguments"
    -serial "file:$run/console" -device virtio-rng-pci -device virtio-serial-pci
    -chardev stdio,id=out,signal=on -device virtserialport,chardev=out,name=out)
  if [[ $engine == kvm ]]; then
    machine+=(-accel kvm -cpu 'host,arch-capabilities=off')
  else
    machine+=(-accel 'tcg,thread=multi' -cpu 'max,la57=off')
  fi
  # host_directory TAG PATH MORE
  host_directory() {
    machine+=(-fsdev "local,id=$1,path=$2,security_model=none,multidevs=remap$3"
      -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
  }
  host_directory host_root / ,readonly=on
  host_directory run "$run" ''
  if [[ -n $share ]]; then host_directory share "$share" ''; fi
fi

# A console that reads end-of-file would be disconnected, so stdin is a pipe to which nobody writes.
exec {silence}<> <(:)
status=0
if [[ $engine == uml ]]; then
  run_private "$limit" env LD_PRELOAD="$cache/uml_xstate.so" "${machine[@]}" \
    6>&1 5>>"$run/console" >>"$run/console" 2>&1 <&"$silence" || status=$?
else
  run_private "$limit" "${machine[@]}" <&"$silence" || status=$?
fi
if ((verbose)); then cat "$run/console" >&2; fi
if ((status == 124)); then
  echo "$harness: ended after $limit s (--timeout)" >&2
  exit 124
fi
if [[ ! -s $run/status ]]; then
  tail -n 20 "$run/console" >&2
  fail "the virtual machine died (status $status); its last words are above"
fi
exit "$(<"$run/status")"
