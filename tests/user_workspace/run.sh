#!/bin/bash
# A user's own workspace, outside of this tree and with nothing of our .bazelrc, builds and runs with
# what this repository exports: deps.bzl, defs.bzl, proto/options and //:spoolrpc.
#
#   tests/user_workspace/run.sh
#
# The files are in user/ and measures/ (another repository that the user's one depends on); their
# BUILD and WORKSPACE files end in .txt here, so that they are no packages of ours. The last line is
# PASS or FAIL, and the exit status is 0 or 1.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
repository=$(realpath "$here/../..")

scratch=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-user.XXXXXX")
server=
result=FAIL

# Two such workspaces build the same runtime: whoever runs both may let them share it.
cache=(${SPOOLRPC_DISK_CACHE:+"--disk_cache=$SPOOLRPC_DISK_CACHE"})
run_bazel() {
  (cd "$scratch/user" && bazel --output_base="$scratch/bazel" "$@")
}

# shellcheck disable=SC2317  # Called by the trap.
clean_up() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
  run_bazel shutdown >"$scratch/shutdown.log" 2>&1 || true
  chmod -R u+w "$scratch"  # Bazel writes its outputs read-only.
  rm -rf "$scratch"
  echo "$result"
}
trap clean_up EXIT

fail() {
  echo "tests/user_workspace/run.sh: $*" >&2
  exit 1
}

cp -r "$here/user" "$here/measures" "$scratch"
find "$scratch" \( -name BUILD.txt -o -name WORKSPACE.txt \) | while read -r file; do
  sed -e "s|@SPOOLRPC@|$repository|; s|@MEASURES@|$scratch/measures|" "$file" >"${file%.txt}"
  rm "$file"
done

echo "-- without C++17: the #error that tells the line for .bazelrc"
log=$scratch/build.log
if run_bazel build --noshow_progress --nosandbox_debug //forecast:forecast_spoolrpc >"$log" 2>&1; then
  cat "$log"
  fail "a build without C++17 succeeded"
fi
line=$(sed -n 's/.*#error "SpoolRPC needs C++17\. Add to \.bazelrc: \(.*\)"$/\1/p' "$log" | sort -u)
if [[ -z $line ]]; then
  cat "$log"
  fail "a build without C++17 failed without the #error"
fi
# (The second error is the one that ends the compilation; it points to the first.)
if grep 'error: ' "$log" | grep -v '#error'; then fail "there are other errors beside the #error"; fi

echo "-- with it: $line"
echo "$line" >"$scratch/user/.bazelrc"
run_bazel build --noshow_progress "${cache[@]}" --nosandbox_debug //forecast:all
run_bazel test --noshow_progress "${cache[@]}" --nosandbox_debug --test_output=errors //forecast:mock_test

echo "-- a server and a client"
programs=$scratch/user/bazel-bin/forecast
"$programs/server" "$scratch/spool" 2>"$scratch/server.log" &
server=$!
# The client may come first: it waits for a server.
if ! "$programs/client" "$scratch/spool" >"$scratch/client.log"; then
  cat "$scratch/server.log"
  fail "the client failed"
fi
cat "$scratch/client.log"
diff - "$scratch/client.log" <<'END' || fail "the client printed something else"
forecast: 280 K
nowhere: INVALID_ARGUMENT: where?
thermometer: 281 K
END
kill -0 "$server" || fail "the server has ended"

result=PASS
