#!/bin/bash
# Builds the benchmarks optimised and runs the first one: unary calls beside gRPC and the floor (docs/performance.md).
#
#   tools/bench.sh [--quick] [FLAG...]   FLAGs go to benchmarks/unary_benchmark (--help lists them). The last line is
#                                        the JSON object of the last directory: /tmp's, after that of /dev/shm
#   tools/bench.sh --check               fails if the median call takes more than 0.4 of gRPC's time, on either of
#                                        the two file systems. Machines are noisy: of three quick runs (each a median
#                                        over 5 interleaved rounds) the best counts
#   tools/bench.sh --nodes HARNESS [OPTION...]
#                                        calls between two mounts beside the bare ping-pong over two logs there:
#                                        HARNESS is gluster.sh, nfs.sh, ... of tests/nodes, OPTIONs are its own
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

limit=0.4 tries=3

options=(--config=opt --noshow_progress --ui_event_filters=-info --symlink_prefix=/)
build() {
  run_bazel build "${options[@]}" -- "$1"
}
directory_of_programs() {
  run_bazel info "${options[@]}" bazel-bin 2>/dev/null
}

case ${1:-} in
  --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    ;;
  --check)
    tools/setup.sh --dev
    build //benchmarks:unary_benchmark
    program=$(directory_of_programs)/benchmarks/unary_benchmark
    for ((try = 1; try <= tries; try++)); do
      status=0
      "$program" --quick --max_vs_grpc="$limit" || status=$?
      ((status)) || exit 0
      ((status == 3)) || exit "$status"
      echo "tools/bench.sh: try $try of $tries: the median call takes more than $limit of gRPC's time" >&2
    done
    exit 1
    ;;
  --nodes)
    (($# > 1)) || {
      echo "tools/bench.sh: --nodes needs a harness of tests/nodes, such as gluster.sh" >&2
      exit 64
    }
    tools/setup.sh --dev
    build //benchmarks:network_echo
    exec "tests/nodes/$2" "${@:3}" -- "$(directory_of_programs)/benchmarks/network_echo"
    ;;
  *)
    tools/setup.sh --dev
    build //benchmarks:unary_benchmark
    exec "$(directory_of_programs)/benchmarks/unary_benchmark" "$@"
    ;;
esac
