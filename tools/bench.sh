#!/bin/bash
# Builds the benchmarks optimised and measures SpoolRPC beside gRPC and the floor (docs/performance.md has the table of
# keys). Prints a table for each file system and then one JSON object a line for each: the last line is that of /tmp.
#
#   tools/bench.sh [--quick] [--only KEY,...] [--directories DIR,...] [--plot FILE.svg] [--network]
#     --quick         some two minutes for each file system instead of some ten
#     --only          measures only what these rows of the table need
#     --directories   where to measure, each in a new directory below; default: /dev/shm,/tmp
#     --plot          draws how the times of unary calls are distributed
#     --network       also the rows between two clients of GlusterFS and of NFS: as root, some minutes more
#   tools/bench.sh --check [--directories DIR]
#                     the guard against getting slower (benchmarks/table/guard.py has its bounds), on one file system,
#                     /tmp's by default: of three quick runs the best counts; fails with status 3
#   tools/bench.sh --nodes HARNESS [OPTION...]
#                     calls between two mounts beside the bare ping-pong over two logs there: HARNESS is gluster.sh,
#                     nfs.sh, ... of tests/nodes, OPTIONs are its own
#   tools/bench.sh --growth FILE.svg [--directory DIR]
#                     how cost grows with the size of messages, calls in flight, sessions and servers: prints it, and draws
#                     it; in a new directory below /tmp by default, some three minutes
#   tools/bench.sh --parts [OPTION...]
#                     the parts of a call alone: Google Benchmark's programs, whose options these are
#
# Exit status 1: something could not be measured, and its key is null.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

options=(--config=opt --noshow_progress --ui_event_filters=-info --symlink_prefix=/)
build() {
  run_bazel build "${options[@]}" -- "$@"
}
# argument_of OPTION WHAT ARGUMENT...: there must be an argument.
argument_of() {
  (($# > 2)) && return
  echo "tools/bench.sh: $1 needs $2" >&2
  exit 64
}
directory_of_programs() {
  echo "$(run_bazel info "${options[@]}" bazel-bin 2>/dev/null)/benchmarks"
}

case ${1:-} in
  --help)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    ;;
  --nodes)
    argument_of "$1" "a harness of tests/nodes, such as gluster.sh" "${@:2}"
    tools/setup.sh --dev
    build //benchmarks:network_echo
    exec "tests/nodes/$2" "${@:3}" -- "$(directory_of_programs)/network_echo"
    ;;
  --growth)
    argument_of "$1" "the file to draw to" "${@:2}"
    tools/setup.sh --dev
    build //benchmarks:table
    exec benchmarks/table/growth.py --programs="$(directory_of_programs)" "${@:2}"
    ;;
  --parts)
    tools/setup.sh --dev
    build //benchmarks:log_benchmark //benchmarks:call_benchmark
    programs=$(directory_of_programs)
    "$programs/log_benchmark" "${@:2}"
    "$programs/call_benchmark" "${@:2}"
    ;;
  *)
    tools/setup.sh --dev
    targets=(//benchmarks:table)
    for word in "$@"; do
      if [[ $word == --network ]]; then targets+=(//benchmarks:network_echo); fi
    done
    build "${targets[@]}"
    exec benchmarks/table/bench.py --programs="$(directory_of_programs)" "$@"
    ;;
esac
