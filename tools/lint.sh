#!/bin/bash
# Checks that need no running of our code. Without arguments all of them:
#
#   format    clang-format-14 would change nothing
#   shell     shellcheck finds nothing in the shell scripts
#   text      no paths of one developer's machine, no conflict markers, tabs, trailing blanks or missing last newlines;
#             no source over 1000 lines
#   threads   clang's thread-safety analysis: every ABSL_GUARDED_BY and locking annotation holds
#   tidy      clang-tidy-14 with .clang-tidy over the runtime, the plugin and the tool
#
#   tools/lint.sh [--changed] [CHECK...]      --changed: tidy only looks at what differs from the upstream branch or,
#                                             without one, from the last commit
#
# The last line is `N passed, M failed`.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

changed=0
if [[ ${1:-} == --changed ]]; then
  changed=1
  shift
fi
checks=("$@")
((${#checks[@]})) || checks=(format shell text threads tidy)

# Both builds below take over what the tests under ThreadSanitizer (tools/test.sh) have built: the same configuration,
# which has the thread-safety analysis and compiles with clang, whose flags clang-tidy understands.
analysis=(--config=tsan --platform_suffix=-tsan --symlink_prefix=/)
analysed_layers() {
  local layer
  for layer in runtime compiler_plugin cli; do
    if [[ -n $(git ls-files -- "$layer/*BUILD") ]]; then echo "//$layer/..."; fi
  done
}

check_format() {
  local findings
  findings=$(cxx_files | xargs -r -d '\n' clang-format-14 --dry-run -Werror 2>&1) && return 0
  echo "tools/format.sh would change:"
  grep -oE '^[^ :]+:[0-9]+:[0-9]+: error' <<<"$findings" | cut -d : -f 1 | sort | uniq -c
  return 1
}

check_shell() {
  shell_files | xargs -r -d '\n' shellcheck
}

# nothing MESSAGE COMMAND...: fails if COMMAND prints anything, and shows it under MESSAGE.
nothing() {
  local message=$1 lines
  shift
  lines=$("$@") || true
  [[ -n $lines ]] || return 0
  printf '%s:\n%s\n' "$message" "$lines"
  return 1
}

without_last_newline() {
  local file
  git ls-files -- "$@" | while read -r file; do
    # (-I: not for binary files.)
    if [[ -f $file && ! -L $file ]] && grep -qI . "$file" && [[ -n $(tail -c 1 "$file") ]]; then echo "$file"; fi
  done
}

too_long() {
  git ls-files -- '*.cc' '*.h' '*.c' '*.py' '*.sh' '*.bzl' "$@" | xargs -r -d '\n' wc -l |
    awk '$2 != "total" && $1 > 1000'
}

check_text() {
  # (This file names what it looks for; golden files are as protoc's printer writes them, seeds as their programs.)
  local ours=(':!third_party' ':!LICENSE' ':!tools/lint.sh') written status=0
  written=("${ours[@]}" ':!*/golden/*' ':!*/corpus/*')
  nothing "paths of one machine" \
    git grep -nIE '(^|[^[:alnum:]_.~-])/(work|Users)/' -- "${ours[@]}" || status=1
  nothing "paths outside the repository" git grep -nIF '../shared' -- "${ours[@]}" || status=1
  nothing "conflict markers" git grep -nIE '^(<<<<<<<|>>>>>>>)( |$)' -- "${ours[@]}" || status=1
  nothing "trailing blanks" git grep -nIE '[[:blank:]]+$' -- "${written[@]}" || status=1
  nothing "tabs" git grep -nIP '\t' -- '*.cc' '*.h' '*.sh' '*.py' '*.bzl' '*BUILD' '*.proto' "${written[@]}" || status=1
  nothing "no newline at the end" without_last_newline "${written[@]}" || status=1
  nothing "over 1000 lines: split it" too_long "${written[@]}" || status=1
  return "$status"
}

check_threads() {
  local patterns
  mapfile -t patterns < <(analysed_layers)
  run_bazel build "${analysis[@]}" --noshow_progress -- "${patterns[@]}"
}

check_tidy() {
  local patterns directory status=0 files base
  mapfile -t patterns < <(analysed_layers)
  run_bazel build "${analysis[@]}" --noshow_progress -- "${patterns[@]}" || return 1
  directory=$(mktemp -d)
  tools/compile_commands.py --output "$directory/compile_commands.json" \
    ${SPOOLRPC_OUTPUT_BASE:+--bazel-startup="--output_base=$SPOOLRPC_OUTPUT_BASE"} "${analysis[@]}" "${patterns[@]}" ||
    return 1
  mapfile -t files < <(python3 -c 'import json, sys; [print(entry["file"]) for entry in json.load(open(sys.argv[1]))]' \
    "$directory/compile_commands.json")
  if ((changed)); then
    # (In a fresh clone nothing differs from the upstream branch: then what the last commit changed.)
    base=$(git rev-parse -q --verify '@{upstream}' || git rev-parse HEAD)
    if git diff --quiet "$base"; then base=$(git rev-parse -q --verify HEAD~1 || git rev-parse HEAD); fi
    mapfile -t files < <(for file in "${files[@]}"; do
      if git diff --name-only "$base" | grep -qxF "${file##*/execroot/spoolrpc/}"; then echo "$file"; fi
    done)
  fi
  if ((${#files[@]} == 0)); then
    echo "0 files"
    rm -rf "$directory"
    return 0
  fi
  # One process a processor; the count of warnings in system headers is no news.
  printf '%s\n' "${files[@]}" | xargs -r -d '\n' -n 1 -P "$(nproc)" clang-tidy-14 --quiet -p "$directory" \
    --config-file="$PWD/.clang-tidy" 2> >(grep -vE '^[0-9]+ warnings? generated' >&2) || status=1
  echo "${#files[@]} files"
  rm -rf "$directory"
  return "$status"
}

tools/setup.sh --dev
for check in "${checks[@]}"; do
  declare -F "check_$check" >/dev/null || {
    echo "tools/lint.sh: no check named $check" >&2
    exit 64
  }
  run_part "lint: $check" "check_$check"
done
finish_parts
