#!/bin/busybox sh
# shellcheck shell=dash
# The guest's first process (see nfs.sh): mounts the host's root under an overlay and changes over to it.
# SPOOLRPC_* come from the kernel's command line: RUN and SHARE are host directories, UML is set under
# user-mode Linux, where host directories come by hostfs instead of 9p.
b=/bin/busybox

die() {
  echo "nfs.sh: guest start failed: $*" >/dev/console
  $b poweroff -f
}

# mount_host PATH TARGET TAG OPTIONS
mount_host() {
  if [ -n "$SPOOLRPC_UML" ]; then
    $b mount -t hostfs -o "$1" none "$2"
  else
    $b mount -t 9p -o "$4,trans=virtio,version=9p2000.L,msize=512000" "$3" "$2"
  fi
}

$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
  $b insmod "/modules/$module" || echo "nfs.sh: insmod $module failed" >/dev/console
done </order

mount_host / /lower host_root ro,cache=loose || die "host's root"
$b mount -t tmpfs -o mode=755 tmpfs /upper
$b mkdir /upper/u /upper/w
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/u,workdir=/upper/w overlay /root || die overlay
# On the host these may hold live mounts of their own; the guest has its own.
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount --move /dev /root/dev
$b mkdir -p /root/dev/pts /root/dev/shm
$b mount -t devpts devpts /root/dev/pts
for directory in run mnt srv var/lib/nfs dev/shm; do
  $b mkdir -p /root/$directory
  $b mount -t tmpfs tmpfs /root/$directory
done
$b mkdir -p /root/run/harness
mount_host "$SPOOLRPC_RUN" /root/run/harness run cache=none || die "run directory"
if [ -n "$SPOOLRPC_SHARE" ]; then
  $b mkdir -p "/root$SPOOLRPC_SHARE"
  mount_host "$SPOOLRPC_SHARE" "/root$SPOOLRPC_SHARE" share cache=none || die "shared directory"
fi
$b chroot /root /bin/bash /run/harness/guest.sh >/root/dev/console 2>&1 </root/dev/null
$b sync
$b poweroff -f
