#!/bin/bash
# Verifies the models of the protocol, and that they are able to fail.
#
#   tests/model/run.sh [--holds] [MODEL...]      all of accept, ack_before, resend, durable without an argument
#     --holds      only whether the models hold: what is left out tells something new only when they have changed
#
# Each model is verified in all its variants; then each of its guards is taken out, one at a time (-DNO_GUARD_...), and
# at least one variant must fail; then each state that it names (-DREACH_...) must be reachable. A line tells how each
# ended, and the last one sums up: `N passed, 0 failed`. Exit status 0: nothing failed. Needs spin 6 and gcc, about 2 GB
# of memory, and $MODEL_JOBS processors (default: as many as there are, at most 4).
set -euo pipefail
here=$(dirname "$(realpath "$0")")

# What a model is verified with; several definitions of one variant are joined by commas. LIVE variants check the
# formula that the model ends with, under weak fairness; the others assertions and invalid end states.
declare -A variants=(
  [accept]="- LIVE"
  [ack_before]="- LIVE"
  [resend]="- LIVE"
  [durable]="- CANCEL IDEMPOTENT LIVE LIVE,IDEMPOTENT"
)
holds=0
if [[ ${1:-} == --holds ]]; then holds=1 && shift; fi
models=("$@")
((${#models[@]})) || models=(accept ack_before resend durable)
for model in "${models[@]}"; do
  if [[ -z ${variants[$model]:-} ]]; then
    echo "no model is called $model; there are: ${!variants[*]}" >&2
    exit 64
  fi
done
for tool in spin gcc; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2 && exit 69; }
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/spoolrpc-model.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

# check DIRECTORY MODEL VARIANT OPTIMIZATION DEFINITION...: runs the verifier there. Prints `holds`, `fails: WHAT`, or
# `broken: WHY` when it was not able to tell.
check() (
  mkdir "$1" && cd "$1" || exit
  local model=$2 names=${3//,/ } optimization=$4 name define=() compile=(-DSAFETY) run=() what
  shift 4
  for name in $names "$@"; do
    [[ $name == - ]] || define+=("-D$name")
    if [[ $name == LIVE ]]; then compile=(-DNFAIR=3) run=(-a -f); fi
  done
  cp "$here/$model.pml" .
  spin -a "${define[@]}" "$model.pml" >spin.out 2>&1 || { echo "broken: $(tail -n 1 spin.out)" && exit; }
  gcc "$optimization" -w -DMEMLIM=3000 "${compile[@]}" -o pan pan.c >gcc.out 2>&1 ||
    { echo "broken: $(tail -n 1 gcc.out)" && exit; }
  # (A depth that no run comes near; a search that did not complete is neither.)
  ./pan -m100000 "${run[@]}" >pan.out 2>&1 || true
  what=$(sed -n 's/^pan:[0-9]*: \(assertion violated.*\|invalid end state.*\|acceptance cycle.*\) (at depth.*/\1/p' pan.out)
  if grep -qE 'max search depth too small|reached -DMEMLIM|out of memory' pan.out; then
    echo "broken: the search was not complete"
  elif [[ -n $what ]] && grep -qE 'errors: [1-9]' pan.out; then
    echo "fails: $what"
  elif grep -q 'errors: 0$' pan.out && ! grep -q 'Search not completed' pan.out; then
    echo "holds: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' pan.out)"
  else
    echo "broken: $(grep -m 1 error pan.out || tail -n 1 pan.out)"
  fi
)

# one KIND MODEL [DEFINITION]: one line of the result. A guard that is out must be missed in some variant, a state must
# be reached in one. (Most of these searches are short, so that the compiler's time counts.)
one() {
  local kind=$1 model=$2 definition=${3:-} variant outcome tried=() id=$BASHPID
  if [[ $kind == holds ]]; then
    outcome=$(check "$scratch/$id" "$model" "$definition" -O1)
    [[ $definition == - ]] && definition=safety
    case $outcome in
      holds*) echo "passed: $model holds ($definition): ${outcome#holds: }" ;;
      *) echo "FAILED: $model ($definition): $outcome" ;;
    esac
    return
  fi
  for variant in ${variants[$model]}; do
    outcome=$(check "$scratch/$id-$variant" "$model" "$variant" -O0 "$definition")
    rm -rf "$scratch/$id-$variant"
    case $kind:$outcome in
      guard:fails*) echo "passed: $model without ${definition#NO_} fails: ${outcome#fails: }" && return ;;
      reach:fails:\ assertion*) echo "passed: $model reaches ${definition#REACH_}" && return ;;
      *:holds*) tried+=("$variant") ;;
      *) echo "FAILED: $model with $definition ($variant): $outcome" && return ;;
    esac
  done
  echo "FAILED: $model with $definition: nothing found in: ${tried[*]}"
}

# names PREFIX MODEL: what the model can be compiled with.
names() {
  sed -n "s/^#ifdef \($1[A-Z_]*\)\$/\1/p" "$here/$2.pml" | sort -u
}

tasks=()
for model in "${models[@]}"; do
  for variant in ${variants[$model]}; do tasks+=("holds $model $variant"); done
done
for model in "${models[@]}"; do
  mapfile -t guards < <(names NO_GUARD_ "$model")
  mapfile -t states < <(names REACH_ "$model")
  # A model without either would pass without having been tested.
  if ((${#guards[@]} < 2 || ${#states[@]} < 2)); then
    echo "$model.pml names ${#guards[@]} guards and ${#states[@]} states" >&2
    exit 70
  fi
  for name in "${guards[@]}"; do
    grep -qF "\`${name#NO_GUARD_}\`" "$here/README.md" ||
      { echo "README.md does not say what ${name#NO_GUARD_} is for" >&2 && exit 70; }
  done
  if ((holds)); then continue; fi
  for name in "${guards[@]}"; do tasks+=("guard $model $name"); done
  for name in "${states[@]}"; do tasks+=("reach $model $name"); done
done

jobs=${MODEL_JOBS:-$(nproc)}
if ((jobs > 4)); then jobs=4; fi
running=0
for task in "${tasks[@]}"; do
  if ((running >= jobs)); then
    wait -n || true
    running=$((running - 1))
  fi
  # shellcheck disable=SC2086 # the words of a task are one()'s arguments
  { one $task | tee -a "$scratch/lines"; } &
  running=$((running + 1))
done
wait

passed=$(grep -c '^passed:' "$scratch/lines" || true)
failed=$((${#tasks[@]} - passed)) # a task that left no line has failed too
echo "$passed passed, $failed failed"
((failed == 0))
