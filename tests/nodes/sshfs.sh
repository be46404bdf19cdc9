#!/bin/bash
# sshfs.sh: runs a command with one directory mounted twice, by two independent sshfs clients with default options,
# through an SSH server of their own. sshfs promises less than any other file system here: locks are granted to both.
#
#   sshfs.sh [option...] [--] COMMAND [ARGUMENT...]      needs root and /dev/fuse, and apt the first time
#     --mount-opts O    more mount options of sshfs
#     --dir DIR         where data, mounts, keys and logs live (default: a new one under /tmp)
#     --keep            keeps DIR   --timeout SECONDS
#
# The command sees: NODE1, NODE2          the two mount points       NODES=2
#                   NODE1_PID, NODE2_PID  the clients' processes: kill one to lose a node
#                   SERVER                the server's own directory
#                   NODES_DIR             DIR; its log/ has every daemon's log
#                   remount I             mounts node I again, its new client's pid is in $NODES_DIR/nodeI.pid
#                   on I COMMAND...       runs it (for scripts that also run under nfs.sh)
# It runs in namespaces of its own: network is loopback only; nothing is left behind, even after SIGKILL.
# Exit status: the command's; 125 the harness failed; 124 timeout.
set -euo pipefail

harness=sshfs.sh
# shellcheck source=tests/nodes/lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

if [[ ${NODES_STAGE:-} != inside ]]; then
  own_option() { return 1; }
  parse_options "$0" "$@"
  install_missing sshfs openssh-server openssh-client iproute2
  mkdir -p "$NODES_DIR/data"
  chmod 700 "$NODES_DIR"
  enter_private "$0"
fi

ip link set lo up
mkdir -p /run/sshd
for key in host_key key; do ssh-keygen -q -t ed25519 -N '' -f "$NODES_DIR/$key"; done
cat >"$NODES_DIR/sshd_config" <<CONFIGURATION
Port 2222
ListenAddress 127.0.0.1
HostKey $NODES_DIR/host_key
AuthorizedKeysFile $NODES_DIR/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
CONFIGURATION
/usr/sbin/sshd -f "$NODES_DIR/sshd_config" -E "$NODES_DIR/log/sshd" || fail_with_logs "sshd did not start"

define_helper remount <<'REMOUNT'
#!/bin/bash
# remount I
node=$NODES_DIR/node$1
umount -l "$node" 2>/dev/null
setsid sshfs -f -p 2222 "root@127.0.0.1:$NODES_DIR/data" "$node" -o \
  "IdentityFile=$NODES_DIR/key,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null$NODES_MOUNT_OPTIONS" \
  </dev/null >>"$NODES_DIR/log/node$1" 2>&1 &
echo $! >"$node.pid"
for ((i = 0; i < 300; i++)); do
  mountpoint -q "$node" && exit 0
  sleep 0.1
done
exit 1
REMOUNT
export SERVER=$NODES_DIR/data
run_inside "$@"
