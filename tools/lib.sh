# shellcheck shell=bash
# What tools/test.sh, tools/lint.sh and tools/format.sh share. Sourced from the repository's root.

# Files of ours that clang-format keeps: tracked C++ and C, without what protoc wrote (golden files) and third parties.
cxx_files() {
  git ls-files -- '*.cc' '*.h' '*.c' ':!third_party' ':!*/golden/*' ':!*.pb.h' ':!*.pb.cc'
}

# Tracked shell scripts, by name or first line.
shell_files() {
  git ls-files -- '*.sh'
  git ls-files -- ':!*.*' ':(glob)**/.ci/*' '.ci/*' | while read -r file; do
    if [[ -f $file ]] && head -n 1 "$file" | grep -qE '^#!.*\b(ba|da)?sh\b'; then echo "$file"; fi
  done
}

# One line a check or part, and the sum of all at the end: both scripts print the same.
passed=0 failed=0 skipped=0
failures=()

# run_part NAME COMMAND...: runs it and counts it as one. Its output flows; a line tells how it ended.
run_part() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1))
    echo "-- passed: $name ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1))
    failures+=("$name")
    echo "-- FAILED: $name ($((SECONDS - start)) s)"
  fi
}

# skip_part NAME REASON
skip_part() {
  skipped=$((skipped + 1))
  echo "-- skipped: $1: $2"
}

# Prints the sum as the last line and ends with its status.
finish_parts() {
  local name
  for name in "${failures[@]}"; do echo "failed: $name"; done
  echo "$passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
  ((failed == 0))
  exit
}

# The bazel that all our scripts run: SPOOLRPC_OUTPUT_BASE is for those who share one tree.
run_bazel() {
  local command=$1
  shift
  bazel ${SPOOLRPC_OUTPUT_BASE:+--output_base="$SPOOLRPC_OUTPUT_BASE"} "$command" "$@"
}
