#!/usr/bin/env bash
# mutants.sh — plants faults in a copy of this tree, one at a time, and runs the property test of switch/model on each.
# It succeeds if the test finds every one. The copy is thrown away; the tree is not touched.
set -euo pipefail

go=${GO:-go}
root=$(cd "${0%/*}/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

tar -C "$root" -c --exclude=./.git --exclude=./.cache --exclude=./bin --exclude=./.meridian . | tar -C "$copy" -x
cd "$copy"

# property TEST CHECKS — runs a property test; what it says is in $copy/out.
property() {
  "$go" test -count=1 -timeout=10m ./switch -run "^$1\$" -rapid.checks="$2" -rapid.shrinktime=1s -rapid.nofailfile >out 2>&1
}

missed=0
# mutant NAME TEST FILE SED-SCRIPT [FILE SED-SCRIPT]…
mutant() {
  local name=$1 test=$2 started=$SECONDS
  shift 2
  local files=()
  while [ $# -gt 0 ]; do
    files+=("$1")
    cp "$1" "$1.sound"
    sed "$2" "$1.sound" >"$1"
    if cmp -s "$1" "$1.sound"; then
      printf '%s: nothing to change in %s: it has been rewritten, and this script must follow\n' "$name" "$1" >&2
      exit 2
    fi
    shift 2
  done
  if ! "$go" test -count=1 -run '^$' ./switch >out 2>&1; then
    printf '%s: does not build\n' "$name" >&2
    cat out >&2
    exit 2
  fi
  if property "$test" 400; then
    missed=$((missed + 1))
    printf 'MISSED  %s\n' "$name"
  elif grep -q -e 'failed after [0-9]* tests' -e 'no order explains this race' out; then
    printf 'found   %s (%s, %d s)\n' "$name" "$test" $((SECONDS - started))
  else
    printf '%s: the test broke instead of failing\n' "$name" >&2
    tail -n 50 out >&2
    exit 2
  fi
  for file in "${files[@]}"; do mv "$file.sound" "$file"; done
}

for test in TestModel TestModelRaces; do
  if ! property $test 20; then
    printf 'the property test fails without a mutant\n' >&2
    tail -n 50 out >&2
    exit 1
  fi
done

mutant 'the instant of the cutoff belongs to the day that ends' TestModel \
  ledger/sql.go 's/d\.opens_at <= \$3 AND d\.closes_at > \$3/d.opens_at < $3 AND d.closes_at >= $3/' \
  ledger/window.go 's/now\.Before(w\.ClosesAt)/!now.After(w.ClosesAt)/'
mutant 'the original is not locked' TestModelRaces \
  switch/sql.go 's/FOR UPDATE OF t//'
mutant 'refunds are not summed' TestModel \
  switch/decide_cancel.go 's/changed\.RefundedMinor += /changed.RefundedMinor = /'
mutant "a void posts in today's window" TestModel \
  switch/decide_cancel.go '/^	c\.journalIn(o)$/d'
mutant 'a repeat is decided again' TestModel \
  switch/decide.go 's/if entry := f\.keys\[key\]; entry != nil && !entry\.tombstone/if entry := f.keys[key]; entry != nil \&\& entry.record == nil/'

if [ "$missed" -gt 0 ]; then
  printf '%d mutants missed\n' "$missed"
  exit 1
fi
printf 'every mutant was found\n'
