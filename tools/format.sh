#!/bin/bash
# Formats our C++ as tools/lint.sh wants it: all of it, or the files given.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

tools/setup.sh --packages clang-format-14 git
if (($#)); then
  clang-format-14 -i "$@"
else
  cxx_files | xargs -r -d '\n' clang-format-14 -i
fi
