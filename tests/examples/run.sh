#!/bin/bash
# The workspace that README.md shows builds and runs: its files are taken out of README.md as they stand there, and only
# the path of the clone is put in.
#
#   tests/examples/run.sh
#
# The last line is PASS or FAIL, and the exit status is 0 or 1.
set -euo pipefail
repository=$(realpath "$(dirname "$(realpath "$0")")/../..")

scratch=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-readme.XXXXXX")
workspace=$scratch/workspace
server=
result=FAIL

# Two such workspaces build the same runtime: whoever runs both may let them share it.
cache=(${SPOOLRPC_DISK_CACHE:+"--disk_cache=$SPOOLRPC_DISK_CACHE"})
run_bazel() {
  (cd "$workspace" && bazel --output_base="$scratch/bazel" "$@")
}

# shellcheck disable=SC2317  # (called by the trap)
clean_up() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
  if [[ -d $scratch/bazel ]]; then run_bazel shutdown >/dev/null 2>&1 || true; fi
  chmod -R u+w "$scratch"  # (Bazel writes its outputs read-only.)
  rm -rf "$scratch"
  echo "$result"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

fail() {
  echo "tests/examples/run.sh: $*" >&2
  exit 1
}

# A line that is nothing but a file's name in backquotes and a colon, then a block: that file.
mkdir "$workspace"
awk -v directory="$workspace" '
  /^`[A-Za-z_.]+`:$/ { file = directory "/" substr($0, 2, length($0) - 3); next }
  /^```/ { if (writing) { close(file); file = ""; writing = 0 } else if (file != "") writing = 1; next }
  writing { print > file; next }
  /^[^[:space:]]/ { file = "" }
' "$repository/README.md"
for file in WORKSPACE .bazelrc BUILD hello.proto server.cc client.cc; do
  [[ -s $workspace/$file ]] || fail "README.md shows no $file"
done
grep -qF '"/path/to/spoolrpc"' "$workspace/WORKSPACE" || fail "README.md shows no path to put in"
sed -i "s|/path/to/spoolrpc|$repository|" "$workspace/WORKSPACE"

for command in 'bazel build //:hello_spoolrpc ' 'bazel build //:server //:client'; do
  grep -qF "$command" "$repository/README.md" || fail "README.md does not say: $command"
done
run_bazel build --noshow_progress "${cache[@]}" --nosandbox_debug //:hello_spoolrpc //:server //:client
stubs=bazel-bin/_spoolrpc/hello_spoolrpc/hello.spoolrpc.pb
grep -qF "$stubs.{h,cc}" "$repository/README.md" || fail "README.md says another place of the stubs than $stubs.{h,cc}"
for suffix in h cc; do
  [[ -s $workspace/$stubs.$suffix ]] || fail "there is no $stubs.$suffix, where README.md says it is"
done

"$workspace/bazel-bin/server" "$scratch/spool" 2>"$scratch/server.log" &
server=$!
if ! "$workspace/bazel-bin/client" "$scratch/spool" >"$scratch/client.log"; then
  cat "$scratch/server.log"
  fail "the client failed"
fi
[[ $(cat "$scratch/client.log") == "Hello spool" ]] || fail "the client printed: $(cat "$scratch/client.log")"
kill -0 "$server" || fail "the server has ended"

result=PASS
