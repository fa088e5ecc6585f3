#!/usr/bin/env bash
# soak-model.sh SEQUENCES — asks the switch and the model of it (switch/model) that many random sequences of questions,
# in as many processes as there are processors, each with hosts and a Postgres of its own; and lets a tenth as many race
# through two hosts. It succeeds if they never differ. A failure says which seed repeats it.
set -euo pipefail

go=${GO:-go}
sequences=$1
root=$(cd "${0%/*}/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

shards=$(getconf _NPROCESSORS_ONLN)
cd "$root"
"$go" test -c -o "$work/switch.test" ./switch
cd switch # as go test has it

started=$SECONDS
running=()
for shard in $(seq "$shards"); do
  for test in "TestModel $(((sequences + shards - 1) / shards))" "TestModelRaces $(((sequences / 10 + shards - 1) / shards))"; do
    set -- $test
    "$work/switch.test" -test.timeout=24h -test.run "^$1\$" -rapid.checks="$2" -rapid.nofailfile -test.v >"$work/$1.$shard" 2>&1 &
    running+=("$! $work/$1.$shard")
  done
done
failed=0
for one in "${running[@]}"; do
  set -- $one
  if ! wait "$1"; then
    failed=1
    grep -v ' draw ' "$2" >&2
  fi
done
grep -h 'OK, passed' "$work"/TestModel* || true
[ "$failed" -eq 0 ]
printf '%d sequences without a difference, %d s\n' "$sequences" $((SECONDS - started))
