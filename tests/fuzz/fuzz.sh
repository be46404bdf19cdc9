#!/bin/bash
# Fuzzes the decoders with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer, one target after the other.
#
#   tests/fuzz/fuzz.sh [--minutes N] [--out DIRECTORY] [TARGET...]
#     --minutes   for each target, 1 or more; 10 by default
#     --out       where logs, grown corpora and findings go; a new directory in /tmp by default
#     TARGET      such as //tests/log/fuzz:log_fuzz; all of them by default
#
# Each target begins with its seed corpus, which stays as it is. A line says how each ended; the last line says `passed`
# or `failed`, and the exit status is 0 or 1. A finding is a file DIRECTORY/TARGET/crash-... (or leak-, oom-, timeout-):
# the fuzzer with that file as its argument repeats it. Mend the decoder and add the file to the corpus.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

minutes=10 out='' targets=()
while (($#)); do
  case $1 in
    --minutes | --out)
      (($# > 1)) || set -- "$1" --help
      declare "${1#--}=$2"
      shift
      ;;
    //*) targets+=("$1") ;;
    *)
      awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$self" >&2
      exit 64
      ;;
  esac
  shift
done
((minutes > 0)) || exec "$self" --help
[[ -n $out ]] || out=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-fuzz.XXXXXX")
mkdir -p "$out"
out=$(realpath "$out")
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(run_bazel query --noshow_progress 'attr(tags, "\bfuzz\b", //tests/...)')
fi

options=(--config=asan --config=ubsan --copt=-fsanitize=fuzzer-no-link --platform_suffix=-fuzz --symlink_prefix=/)
run_bazel build "${options[@]}" '--output_filter=^none$' --noshow_progress "${targets[@]}"
bin=$(run_bazel info "${options[@]}" bazel-bin 2>/dev/null)

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
result=passed
for target in "${targets[@]}"; do
  package=${target#//} package=${package%%:*} name=${target##*:}
  work=$out/$package/$name
  mkdir -p "$work/corpus"
  cp "$package/corpus/${name%_fuzz}"/* "$work/corpus/"
  status=0
  (cd "$work" && "$bin/$package/$name" -max_total_time=$((minutes * 60)) -print_final_stats=1 -print_funcs=0 corpus >log 2>&1) ||
    status=$?
  if ((status == 0)); then
    echo "$target: $(awk '/^Done/ { print $2 " runs in " $5 " s, no finding" }' "$work/log")"
  else
    result=failed
    echo "$target: status $status, see $work"
  fi
done
echo "tests/fuzz/fuzz.sh: $result"
[[ $result == passed ]]
