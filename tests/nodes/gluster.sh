#!/bin/bash
# gluster.sh: runs a command with one GlusterFS volume mounted twice, by two independent clients with default options.
#
#   gluster.sh [option...] [--] COMMAND [ARGUMENT...]      needs root and /dev/fuse, and apt the first time
#     --replica N       bricks, each with a copy (default 1: a plain volume; clusters often have 3)
#     --set KEY=VALUE   volume option, such as performance.write-behind=off (repeatable)
#     --mount-opts O    more mount options, such as attribute-timeout=0
#     --dir DIR         where bricks, mounts and logs live (default: a new one under /tmp; its file system must have
#                       trusted.* attributes, as ext4 and xfs do)
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

harness=gluster.sh
# shellcheck source=tests/nodes/lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"

if [[ ${NODES_STAGE:-} != inside ]]; then
  export GLUSTER_REPLICA=1 GLUSTER_OPTIONS=''
  own_option() {
    case $1 in
      --replica) GLUSTER_REPLICA=$2 ;;
      --set) GLUSTER_OPTIONS+=" $2" ;;
      *) return 1 ;;
    esac
  }
  parse_options "$0" "$@"
  install_missing glusterfs-server glusterfs-client iproute2 procps
  mkdir -p "$NODES_DIR"/{lib,run}
  enter_private "$0"
fi

# glusterd refuses 127.* as the address of a brick.
address=10.99.0.1
ip link set lo up
ip addr add $address/32 dev lo
mkdir -p /var/lib/glusterd /var/log/glusterfs /run/gluster
mount --bind "$NODES_DIR/lib" /var/lib/glusterd
mount --bind "$NODES_DIR/log" /var/log/glusterfs
mount --bind "$NODES_DIR/run" /run/gluster

cat >"$NODES_DIR/glusterd.vol" <<'VOLUME_FILE'
volume management
    type mgmt/glusterd
    option working-directory /var/lib/glusterd
    option run-directory /run/gluster
    option glusterd-sockfile /run/gluster/glusterd.socket
    option transport-type socket
    option transport.address-family inet
    option transport.socket.listen-port 24007
end-volume
VOLUME_FILE
glusterd -f "$NODES_DIR/glusterd.vol" -l "$NODES_DIR/log/glusterd.log" -p "$NODES_DIR/run/glusterd.pid" >&2 ||
  fail_with_logs "glusterd did not start"

gluster_command=(gluster --mode=script --glusterd-sock=/run/gluster/glusterd.socket)
wait_until 30 "${gluster_command[@]}" volume info || fail_with_logs "glusterd does not answer"
volume() {
  "${gluster_command[@]}" volume "$@" >>"$NODES_DIR/log/volume" 2>&1 || fail_with_logs "gluster volume $* failed"
}
bricks=()
for ((i = 1; i <= GLUSTER_REPLICA; i++)); do
  mkdir -p "$NODES_DIR/brick$i"
  bricks+=("$address:$NODES_DIR/brick$i")
done
copies=()
if ((GLUSTER_REPLICA > 1)); then copies=(replica "$GLUSTER_REPLICA"); fi
# (`force` allows a brick on the root file system.)
volume create vol "${copies[@]}" "${bricks[@]}" force
for setting in $GLUSTER_OPTIONS; do volume set vol "${setting%%=*}" "${setting#*=}"; done
volume start vol

define_helper remount <<'REMOUNT'
#!/bin/bash
# remount I
node=$NODES_DIR/node$1
umount -l "$node" 2>/dev/null
mount -t glusterfs -o "log-file=$NODES_DIR/log/node$1.log$NODES_MOUNT_OPTIONS" 10.99.0.1:/vol "$node" >&2 || exit 1
pgrep -n -f "glusterfs .* $node\$" >"$node.pid"
REMOUNT
run_inside "$@"
