#!/bin/bash
# Builds everything and runs every test there is. Installs what is missing first.
#
#   tools/test.sh [--quick] [--full] [--lint]
#     --full    every test under the sanitizers, not only those of the parts that each is for; of the models also that
#               each guard is needed, and each state reached
#     --quick   without the sanitizers and the network file systems: what a change wants every few minutes
#     --lint    also the checks of tools/lint.sh, and first
#
# A line says how each part ended, and the last line sums up: `N passed, 0 failed`, with `, K skipped` where a part
# cannot run on this machine (the line of that part says why). A test target of Bazel's counts as one, as does each
# script. Exit status 0: nothing failed.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

quick=0 full=0 lint=0 model_options=(--holds)
for word in "$@"; do
  case $word in
    --quick) quick=1 ;;
    --full) full=1 model_options=() ;;
    --lint) lint=1 ;;
    *)
      awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
      exit 64
      ;;
  esac
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

# bazel_tests NAME OPTION... -- PATTERN...: counts every test target that the patterns match.
bazel_tests() {
  local name=$1 start=$SECONDS status=0 counts here there label
  shift
  echo "== $name"
  : >"$scratch/events"
  run_bazel test --keep_going --noshow_progress --build_event_json_file="$scratch/events" "$@" || status=$?
  mapfile -t counts < <(tools/count_tests.py "$scratch/events")
  read -r here there <<<"${counts[0]}"
  for label in "${counts[@]:1}"; do failures+=("$name: $label"); done
  # Whatever bazel says with its status must show in the count.
  if ((status != 0 && there == 0)); then
    there=1
    failures+=("$name: bazel ended with status $status")
  fi
  passed=$((passed + here))
  failed=$((failed + there))
  if ((there)); then
    echo "-- FAILED: $name ($here passed, $there failed, $((SECONDS - start)) s)"
  else
    echo "-- passed: $name ($here passed, $((SECONDS - start)) s)"
  fi
}

# sanitizer NAME TAG OPTION... -- PATTERN...: those tests but those tagged no-san or TAG, and the planted errors, which
# must be found. Output goes to directories of its own, so that nothing is built again afterwards.
sanitizer() {
  local name=$1 tag=$2 options=()
  shift 2
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  bazel_tests "tests under $name" "${options[@]}" --platform_suffix="-$name" --symlink_prefix=/ --build_tests_only \
    --test_tag_filters="-no-san,-$tag" --build_tag_filters="-no-san,-$tag" "$@" //tests/sanitizers:planted_test
}

# node_tests 'TEST...' HARNESS OPTION...: tests/nodes/TEST_test.sh between two clients of that file system.
node_tests() {
  local names=$1 harness=$2 name
  shift 2
  SPOOLRPC_PROGRAMS=$(run_bazel info bazel-bin 2>/dev/null)
  export SPOOLRPC_PROGRAMS
  for name in $names; do
    run_part "${name}_test.sh under $harness $*" "tests/nodes/$harness" --timeout 600 "$@" -- \
      "$PWD/tests/nodes/${name}_test.sh"
  done
}

namespaces_work() {
  [[ $(id -u) == 0 ]] && unshare --mount --net --pid --fork true 2>/dev/null
}

fuse_works() {
  # (Opening the device tells whether it is allowed here, not only present.)
  [[ -c /dev/fuse ]] && (exec 3<>/dev/fuse) 2>/dev/null
}

tools/setup.sh --dev

if ((lint)); then
  for check in format shell text; do run_part "lint: $check" tools/lint.sh "$check"; done
fi

run_part "build" run_bazel build --noshow_progress -- //...
bazel_tests "tests" -- //...
export SPOOLRPC_DISK_CACHE=$scratch/cache
for script in tests/*/run.sh; do
  case $script in
    tests/nodes/run.sh) ;; # (wants to know on which file system)
    # Five minutes of proof that the models can fail: for those who change them.
    tests/model/run.sh) run_part "$script" "$script" "${model_options[@]}" ;;
    *) run_part "$script" "$script" ;;
  esac
done

if ((!quick)); then
  # What reads other processes' bytes under the first two, what has threads under the third; --full: everything.
  bytes=(//tests/{os,log,rpc,compress,link,spool}/... //tests/cli:{dump_log,dump_mutation}_test
    //tests/e2e:{bad_session,stream,reactor,callbacks,batch}_test)
  threads=(//tests/{wait,link,exec,metrics}/...
    //tests/e2e:{unary,dispatch,servers,deadline,pauses,stream,reactor,callbacks,channel,retry,interceptor}_test)
  if ((full)); then bytes=(//...) threads=(//...); fi
  # (The linker warns of hundreds of AddressSanitizer's symbols: no warnings, then; the first build showed ours.)
  sanitizer asan_ubsan no-asan --config=asan --config=ubsan --output_filter='^none$' -- "${bytes[@]}"
  sanitizer tsan no-tsan --config=tsan -- "${threads[@]}"
  if ! namespaces_work; then
    skip_part "tests between two nodes" "mounting needs root, and leave to make namespaces"
  else
    if fuse_works; then
      node_tests "doctor durable failover greeter interop" gluster.sh
    else
      skip_part "tests between two nodes of GlusterFS" "no usable /dev/fuse"
    fi
    # (More in the virtual machine takes half an hour: tests/nodes/run.sh nfs3|nfs4, by hand.)
    node_tests "greeter" nfs.sh --delay-ms 1
  fi
fi

if ((lint)); then
  # (clang-tidy over everything takes as long as all the rest: `tools/lint.sh tidy` by hand.)
  run_part "lint: threads" tools/lint.sh threads
  run_part "lint: tidy of what changed" tools/lint.sh --changed tidy
fi

finish_parts
