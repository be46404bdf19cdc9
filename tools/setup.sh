#!/bin/bash
# Installs what is missing on a Debian 12 machine, through apt; does nothing where all is there.
#
#   tools/setup.sh                    what building and running needs
#   tools/setup.sh --dev              also what tests, sanitizers, benchmarks and lint need
#   tools/setup.sh --packages NAME... only these (for test harnesses)
#
# Runs as root, or asks sudo. Services that packages bring with them (nginx) are not started.
# docs/dependencies.md says what each package is for.
set -euo pipefail

# Bazel brings a JDK, build-essential and Python 3 with it.
build_packages=(
  bazel-bootstrap
  g++
  libabsl-dev
  libprotobuf-dev
  libprotoc-dev
  libxxhash-dev
  libzstd-dev
  protobuf-compiler
  # The examples, and the local web server of the demo.
  ca-certificates
  curl
  libcurl4-openssl-dev
  nginx-light
)
dev_packages=(
  e2fsprogs
  git
  libbenchmark-dev
  libgmock-dev
  libgrpc++-dev
  libgtest-dev
  procps
  protobuf-compiler-grpc
  python3
  spin
  strace
  # Sanitizers: the compiler, their runtimes, and llvm-symbolizer, which suppressions by name need.
  clang-14
  libclang-rt-14-dev
  llvm-14
  # Lint.
  clang-format-14
  clang-tidy-14
  shellcheck
)

fail() {
  echo "tools/setup.sh: $*" >&2
  exit 1
}

case ${1:-} in
  '') wanted=("${build_packages[@]}") ;;
  --dev) wanted=("${build_packages[@]}" "${dev_packages[@]}") ;;
  --packages)
    shift
    wanted=("$@")
    ;;
  *)
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
    exit 64
    ;;
esac

command -v dpkg-query >/dev/null || fail "this is not a Debian system. Install the counterparts of: ${wanted[*]}"

# Prints those of $wanted that are not installed.
missing_packages() {
  local installed
  # (It fails when it knows one of them not at all; it prints the others all the same.)
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null) || true
  awk 'NR == FNR { if ($2 == "installed") there[$1] = 1; next } !($1 in there)' \
    <(echo "$installed") <(printf '%s\n' "${wanted[@]}")
}

mapfile -t missing < <(missing_packages)
((${#missing[@]})) || exit 0

as_root=()
if [[ $(id -u) != 0 ]]; then
  command -v sudo >/dev/null || fail "these packages are missing: ${missing[*]}. Run this script as root."
  as_root=(sudo)
fi
# The JDK's installation, and Java itself, need it.
[[ -r /proc/self/status ]] || fail "/proc is not mounted: mount -t proc proc /proc"
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")
if [[ $release != "debian 12" ]]; then
  echo "tools/setup.sh: made for Debian 12, this is ${release}; trying all the same" >&2
fi

log=$(mktemp "${TMPDIR:-/tmp}/spoolrpc-setup.XXXXXX")
policy=/usr/sbin/policy-rc.d
made_policy=
finish() {
  [[ -z $made_policy ]] || "${as_root[@]}" rm -f "$policy"
  rm -f "$log"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

run_apt() {
  # Another apt may be at work: wait for it.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -q -y "$@" >>"$log" 2>&1 </dev/null
}

echo "tools/setup.sh: installing ${missing[*]}" >&2
# Debian's way to say that no service is to be started.
if [[ ! -e $policy ]]; then
  made_policy=1
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
if ! run_apt update; then
  echo "tools/setup.sh: apt-get update failed, going on with the package lists that are there" >&2
fi
if ! run_apt install --no-install-recommends "${missing[@]}"; then
  tail -n 20 "$log" >&2
  fail "apt could not install all of: ${missing[*]} (its last words are above)"
fi
mapfile -t missing < <(missing_packages)
((${#missing[@]} == 0)) || fail "apt reported success, but these are still missing: ${missing[*]}"
