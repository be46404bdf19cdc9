#!/bin/bash
# The guard against getting slower: some ratios to gRPC and the floor, with generous bounds (benchmarks/table/guard.py).
# Takes about a minute after its build, which is an optimised one of its own.
set -euo pipefail
exec "$(dirname "$(realpath "$0")")/../../tools/bench.sh" --check
