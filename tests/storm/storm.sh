#!/bin/bash
# A fault storm: 3 servers and 32 clients, which are killed, stopped and resumed, whose files are damaged and whose file
# system is stalled, all at random; then a checker looks through what they have noted for a promise that was broken.
#
#   tests/storm/storm.sh [--minutes N] [--seed S] [--spool DIR] [--keep DIR] [--servers N] [--clients N] [--intensity X]
#     --minutes    10 by default, with some 300 kills
#     --seed       the plan of faults depends on it; each run prints its own. What the processes do at that moment is
#                  the machine's affair: the same seed need not find the same again
#     --spool      a directory for the spool, on the file system that is to be tested; it is not stalled then. By default
#                  the spool is on a file system of its own, if we may mount one (root)
#     --keep       a new directory in which histories, plan and what was said on stderr are kept; kept also on failure
#     --intensity  multiplies how many faults there are; 1 by default
#
# The last line says `passed` or `failed`, and the exit status is 0 or 1.
set -euo pipefail
self=$(realpath "$0")
here=$PWD
cd "$(dirname "$self")/../.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

minutes=10 options=()
while (($#)); do
  case $1 in
    --minutes | --seed | --spool | --keep | --servers | --clients | --intensity)
      (($# > 1)) || set -- --help
      case $1 in
        --minutes) minutes=$2 ;;
        --spool | --keep) options+=("$1=$(cd "$here" && realpath -m "$2")") ;;
        *) options+=("$1=$2") ;;
      esac
      shift
      ;;
    *)
      awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$self" >&2
      exit 64
      ;;
  esac
  shift
done

result=failed
trap 'echo "tests/storm/storm.sh: $result"' EXIT
run_bazel build --noshow_progress //tests/storm:storm_server //tests/storm:storm_client //cli:spoolrpc
programs=$(run_bazel info bazel-bin 2>/dev/null)
tests/storm/storm.py --server="$programs/tests/storm/storm_server" --client="$programs/tests/storm/storm_client" \
  --spoolrpc="$programs/cli/spoolrpc" --checker=tests/storm/checker.py --records \
  --seconds="$((minutes * 60))" "${options[@]}"
result=passed
