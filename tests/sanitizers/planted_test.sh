#!/bin/bash
# Shows that a sanitizer build finds errors: runs //tests/sanitizers:planted with one of each kind that its sanitizers
# claim to find, and expects it to fail with their report. Meant for those builds only (tagged manual).
set -u
planted=$1
status=0

# must_report WORDS ERROR
must_report() {
  local output
  if output=$("$planted" "$2" 2>&1); then
    echo "not found: $2"
    status=1
  elif ! grep -qF "$1" <<<"$output"; then
    printf 'found, but reported otherwise: %s\n%s\n' "$2" "$output"
    status=1
  fi
}

# must_pass WHAT
must_pass() {
  local output
  if ! output=$("$planted" "$1" 2>&1) || [[ -n $output ]]; then
    printf 'reported, though it is right: %s\n%s\n' "$1" "$output"
    status=1
  fi
}

sanitizers=$("$planted" list)
if [[ -z $sanitizers ]]; then
  echo "this build has no sanitizer; run it with --config=asan, ubsan or tsan"
  exit 1
fi
for sanitizer in $sanitizers; do
  case $sanitizer in
    thread) must_report "ThreadSanitizer: data race" race ;;
    address)
      must_report "AddressSanitizer: heap-buffer-overflow" overflow
      must_report "LeakSanitizer: detected memory leaks" leak
      ;;
    undefined) must_report "runtime error: shift exponent" shift ;;
  esac
done
must_pass mutex
exit $status
