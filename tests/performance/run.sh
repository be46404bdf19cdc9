#!/bin/bash
# The guard against getting slower: some ratios to gRPC and the floor, with generous bounds (benchmarks/table/guard.py).
# Takes a minute or three. With the programs as `bazel build //...` makes them, -O1 and assertions, so that no build of its
# own is needed; tools/bench.sh --check is the same with optimised ones.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
# shellcheck source=tools/lib.sh
. tools/lib.sh
tools/setup.sh --dev
run_bazel build --noshow_progress --ui_event_filters=-info -- //benchmarks:table
exec benchmarks/table/bench.py --programs="$(run_bazel info bazel-bin 2>/dev/null)/benchmarks" --check
