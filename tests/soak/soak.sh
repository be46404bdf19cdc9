#!/bin/bash
# Runs //tests/soak:soak_test for long: clients that make calls of every kind with random deadlines, cancellations and
# kills, servers that come and go, and at the end a look at what is left.
#
#   tests/soak/soak.sh [--asan|--tsan] [--minutes N] [--clients N] [--servers N] [--seed S]
#     --asan      under AddressSanitizer, with leaks, and UndefinedBehaviorSanitizer
#     --tsan      under ThreadSanitizer
#     --minutes   10 by default
#     --clients   processes at a time; 64 by default. --servers: 2
#     --seed      what is done when depends on it, and on the machine; each run prints its own
#
# The last line says `passed` or `failed`, and the exit status is 0 or 1. What the processes said on stderr is kept with
# the test's outputs, whose place is printed.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

minutes=10 clients=64 servers=2 seed='' options=()
while (($#)); do
  case $1 in
    --asan) options=(--config=asan --config=ubsan '--output_filter=^none$' --platform_suffix=-asan_ubsan) ;;
    --tsan)
      # (A client may end while a thread of the runtime still takes its last channel down.)
      options=(--config=tsan --platform_suffix=-tsan
        --test_env=TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:report_thread_leaks=0)
      ;;
    --minutes | --clients | --servers | --seed)
      (($# > 1)) || set -- --help
      declare "${1#--}=$2"
      shift
      ;;
    *)
      awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$self" >&2
      exit 64
      ;;
  esac
  shift
done
if [[ -n $seed ]]; then options+=("--test_env=SPOOLRPC_TEST_SEED=$seed"); fi
# In memory, if there is room for it: a disk that all clients flush to would set the pace.
free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || free=0
if ((free > 2 * 1024 * 1024)) && [[ -w /dev/shm ]]; then options+=(--test_arg=--directory=/dev/shm); fi

result=failed
trap 'echo "tests/soak/soak.sh: $result"' EXIT
# (A quarter of an hour for its beginning and end.)
run_bazel test "${options[@]}" --symlink_prefix=/ --noshow_progress --cache_test_results=no --test_output=streamed \
  --test_timeout="$((minutes * 60 + 900))" --test_arg=--duration="${minutes}m" --test_arg=--clients="$clients" \
  --test_arg=--servers="$servers" //tests/soak:soak_test
result=passed
