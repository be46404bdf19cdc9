#!/bin/bash
# moosefs.sh: runs a command with MooseFS (a master, a chunk server) mounted twice, by two independent clients with
# default options.
#
#   moosefs.sh [option...] [--] COMMAND [ARGUMENT...]      needs root and /dev/fuse, and apt the first time
#     --mount-opts O    more mount options of mfsmount
#     --dir DIR         where data, mounts and logs live (default: a new one under /tmp)
#     --keep            keeps DIR   --timeout SECONDS
#
# The command sees: NODE1, NODE2          the two mount points       NODES=2
#                   NODE1_PID, NODE2_PID  the clients' processes: kill one to lose a node
#                   NODES_DIR             DIR; its log/ has every daemon's log
#                   remount I             mounts node I again, its new client's pid is in $NODES_DIR/nodeI.pid
#                   on I COMMAND...       runs it (for scripts that also run under nfs.sh)
# It runs in namespaces of its own: network is loopback only; nothing is left behind, even after SIGKILL.
# Exit status: the command's; 125 the harness failed; 124 timeout.
set -euo pipefail

harness=moosefs.sh
# shellcheck source=tests/nodes/lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

if [[ ${NODES_STAGE:-} != inside ]]; then
  own_option() { return 1; }
  parse_options "$0" "$@"
  install_missing moosefs-master moosefs-chunkserver moosefs-client iproute2
  mkdir -p "$NODES_DIR"/{metadata,chunks,chunkserver}
  enter_private "$0"
fi

# Chunk servers may not register from 127.*.
address=10.99.0.1
ip link set lo up
ip addr add $address/32 dev lo
cp /var/lib/mfs/metadata.mfs.empty "$NODES_DIR/metadata/metadata.mfs"
echo '* / rw,alldirs,admin,maproot=0:0' >"$NODES_DIR/mfsexports.cfg"
# (A limit in this file would count what others have on the same disk.)
echo "$NODES_DIR/chunks" >"$NODES_DIR/mfshdd.cfg"
: >"$NODES_DIR/mfstopology.cfg"
cat >"$NODES_DIR/mfsmaster.cfg" <<CONFIGURATION
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = $NODES_DIR/metadata
EXPORTS_FILENAME = $NODES_DIR/mfsexports.cfg
TOPOLOGY_FILENAME = $NODES_DIR/mfstopology.cfg
MATOCL_LISTEN_HOST = *
CONFIGURATION
cat >"$NODES_DIR/mfschunkserver.cfg" <<CONFIGURATION
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = $NODES_DIR/chunkserver
HDD_CONF_FILENAME = $NODES_DIR/mfshdd.cfg
MASTER_HOST = $address
BIND_HOST = $address
HDD_LEAVE_SPACE_DEFAULT = 1GiB
CONFIGURATION
mfsmaster -c "$NODES_DIR/mfsmaster.cfg" start >"$NODES_DIR/log/master" 2>&1 || fail_with_logs "master did not start"
mfschunkserver -c "$NODES_DIR/mfschunkserver.cfg" start >"$NODES_DIR/log/chunkserver" 2>&1 ||
  fail_with_logs "chunk server did not start"

define_helper remount <<'REMOUNT'
#!/bin/bash
# remount I
node=$NODES_DIR/node$1
umount -l "$node" 2>/dev/null
# mfsmount would go to the background itself; in the foreground its pid is known.
setsid mfsmount "$node" -f -H 10.99.0.1 ${NODES_MOUNT_OPTIONS:+-o "${NODES_MOUNT_OPTIONS#,}"} \
  </dev/null >>"$NODES_DIR/log/node$1" 2>&1 &
echo $! >"$node.pid"
for ((i = 0; i < 300; i++)); do
  mountpoint -q "$node" && exit 0
  sleep 0.1
done
exit 1
REMOUNT

# The chunk server takes a few seconds to register: ready is when a write gets through.
# shellcheck disable=SC2317  # (called through wait_until)
write_gets_through() {
  echo ready >"$NODE1/.ready" && sync "$NODE1/.ready" && [[ $(<"$NODE2/.ready") == ready ]]
}
await_ready() {
  wait_until 60 write_gets_through || fail_with_logs "no write got through within 60 s"
  rm -f "$NODE1/.ready"
  # (MooseFS makes its root 0777; no spool may lie where everybody may put another in its place.)
  chmod 1777 "$NODE1"
}
run_inside "$@"
