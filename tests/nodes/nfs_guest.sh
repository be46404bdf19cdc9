#!/bin/bash
# Inside the guest of nfs.sh: starts the kernel's NFS server, mounts its export once per client, runs the command.
# Runs as root in the host's root under an overlay, so every write except to the shared directory vanishes.

# shellcheck disable=SC2015,SC2154  # (what follows || ends the script; the settings come from the file below)

# Declares verbose, cache, version, nodes, delay, backing, mount_options, delegations, directory and command.
# shellcheck source=/dev/null
. /run/harness/settings

tools=$cache/root
export PATH=$tools/usr/sbin:$tools/sbin:$tools/usr/bin:$PATH:/usr/sbin:/sbin
export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu

# Where the command's output leaves the guest: a virtio port under QEMU, a serial line under user-mode Linux.
output=
for port in /sys/class/virtio-ports/*; do
  if [[ -e $port/name && $(<"$port/name") == out ]]; then output=/dev/${port##*/}; fi
done
if [[ -z $output ]]; then
  output=/dev/ttyS0
  stty -F "$output" raw -echo
fi

fail() {
  echo "nfs.sh: guest setup failed: $*" >"$output"
  echo 125 >/run/harness/status
  exit
}

((verbose)) && set -x
touch /etc/exports
hostname nfsserver
ip link set lo up
mkdir -p /lib/modules /run/netns /run/uts /run/lock /run/bin
mount --bind "$tools/lib/modules" /lib/modules

# The exported file system lies in memory, so that the "disk" costs about nothing, like a filer with NVRAM.
mkdir -p /srv/export /srv/image
mount -t tmpfs -o size=75% tmpfs /srv/image
truncate -s 8G /srv/image/disk
case $backing in
  tmpfs) mount -t tmpfs tmpfs /srv/export ;;
  ext4) mkfs.ext4 -q -E lazy_itable_init=1 /srv/image/disk && mount -o loop /srv/image/disk /srv/export ;;
  xfs) mkfs.xfs -q /srv/image/disk && mount -o loop /srv/image/disk /srv/export ;;
  *) fail "unknown --backing $backing" ;;
esac || fail "file system $backing for the export"
chmod 1777 /srv/export

# The server.
ip link add br0 type bridge && ip addr add 10.99.0.254/24 dev br0 && ip link set br0 up || fail bridge
mkdir -p /var/lib/nfs/{sm,sm.bak,v4recovery,rpc_pipefs,nfsdcltrack} /run/rpcbind
touch /var/lib/nfs/{etab,rmtab,state}
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
echo "$delegations" >/proc/sys/fs/leases-enable
for user in _rpc statd; do
  grep -q "^$user:" /etc/passwd || echo "$user:x:${#user}77:65534::/run:/bin/false" >>/etc/passwd
done
{
  echo "127.0.0.1 localhost"
  echo "10.99.0.254 nfsserver"
  for ((i = 1; i <= nodes; i++)); do echo "10.99.0.$i node$i"; done
} >/etc/hosts
sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
rpcbind && rpc.statd --no-notify || fail rpcbind
exportfs -o rw,no_root_squash,insecure,sync,no_subtree_check,fsid=0 '*:/srv/export' || fail exportfs
echo 1 >/proc/sys/fs/nfs/nlm_grace_period
rpc.mountd && rpc.nfsd --grace-time 10 8 || fail nfsd
echo Y >/proc/fs/nfsd/v4_end_grace

# The clients: each has its own network, host name, connection, client id and caches.
if [[ $version == 3 ]]; then
  options=vers=3,nolock path=/srv/export
else
  options=vers=$version path=/
fi
for ((i = 1; i <= nodes; i++)); do
  node=node$i
  in_net() { nsenter --net=/run/netns/$node "$@"; }
  ip netns add $node && ip link add v$i type veth peer name eth0 netns $node && ip link set v$i master br0 up ||
    fail "network of $node"
  in_net ip link set lo up
  in_net ip addr add 10.99.0.$i/24 dev eth0
  in_net ip link set eth0 up
  if [[ $delay != 0 ]]; then
    in_net tc qdisc add dev eth0 root netem delay "${delay}ms" limit 100000 || fail "delay of $node"
  fi
  touch /run/uts/$node
  in_net unshare --uts=/run/uts/$node hostname $node
  mkdir -p /mnt/$node
  in_net nsenter --uts=/run/uts/$node mount.nfs 10.99.0.254:$path /mnt/$node \
    -o "$options,hard,nosharecache$mount_options" 2>/tmp/mount_errors || fail "mount: $(</tmp/mount_errors)"
  export NODE$i=/mnt/$node
done

cat >/run/bin/on <<'ON'
#!/bin/sh
# on I COMMAND...: runs it in node I's network and under its host name.
node=node$1
shift
exec nsenter --net=/run/netns/$node --uts=/run/uts/$node "$@"
ON
chmod +x /run/bin/on

unset LD_LIBRARY_PATH
export NODES=$nodes SERVER=/srv/export PATH=/run/bin:$PATH
set +x
awk '{ print "nfs.sh: command starts at uptime " $1 " s" }' /proc/uptime
cd "$directory" || fail "working directory $directory is not visible in the guest"
"${command[@]}" >"$output" 2>&1 </dev/null
echo $? >/run/harness/status
