#!/usr/bin/env bash
# mutants.sh [REGEX] — plants faults in a copy of this tree, one at a time, and runs the property test of switch/model on
# each; with a REGEX only those whose names match it. It succeeds if the test finds every one. The copy is thrown away;
# the tree is not touched.
set -euo pipefail

go=${GO:-go}
only=${1:-.}
root=$(cd "${0%/*}/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

tar -C "$root" -c --exclude=./.git --exclude=./.cache --exclude=./bin --exclude=./.meridian . | tar -C "$copy" -x
cd "$copy"

# How many sequences a mutant may survive: the rarest here is found after some hundred.
checks=2000

# property TEST CHECKS — runs a property test; what it says is in $copy/out.
property() {
  "$go" test -count=1 -timeout=20m ./switch -run "^$1\$" -rapid.checks="$2" -rapid.shrinktime=1s -rapid.nofailfile >out 2>&1
}

planted=0
missed=0
# mutant NAME TEST FILE SED-SCRIPT [FILE SED-SCRIPT]…
mutant() {
  local name=$1 test=$2 started=$SECONDS
  shift 2
  [[ $name =~ $only ]] || return 0
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
  planted=$((planted + 1))
  if property "$test" "$checks"; then
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

# The instant, the original, the repeat.
mutant 'the instant of the cutoff belongs to the day that ends' TestModel \
  ledger/sql.go 's/e\.closes_at > \$3/e.closes_at >= $3/; s/d\.opens_at <= \$3/d.opens_at < $3/' \
  ledger/window.go 's/now\.Before(w\.ClosesAt)/!now.After(w.ClosesAt)/'
mutant 'the original is not locked' TestModelRaces \
  switch/sql.go 's/FOR UPDATE OF t//'
mutant 'a card is stored whatever has become of it' TestModelRaces \
  ledger/card_sql.go 's/ AND c\.balance_minor = u\.read_balance_minor AND c\.held_minor = u\.read_held_minor$//;s/u\.read_pin_failures AND c\.status = u\.read_status$/u.read_pin_failures/'
mutant 'refunds are not summed' TestModel \
  switch/decide_cancel.go 's/changed\.RefundedMinor += /changed.RefundedMinor = /'
mutant "a void posts in today's window" TestModel \
  switch/decide_cancel.go '/^	c\.journalIn(o)$/d'
mutant 'a repeat is decided again' TestModel \
  switch/decide.go 's/if entry := f\.keys\[key\]; entry != nil && !entry\.tombstone/if entry := f.keys[key]; entry != nil \&\& entry.record == nil/'
mutant 'a reversal of what has not come leaves nothing' TestModel \
  switch/decide_reversal.go '/d\.verdict\.Keys = append(d\.verdict\.Keys, key)/d'

# Who may, how often, how much, until when.
mutant 'no supervisor is asked for' TestModel \
  switch/decide_cancel.go 's/case p\.SupervisorForVoid && !c\.supervised():/case false:/'
mutant "a terminal's suspended right counts for nothing" TestModel \
  switch/decide_cancel.go 's/ || !t\.AllowVoid:/:/' \
  switch/cancel_rules.go 's/ && t\.AllowVoid$//'
mutant 'voids of a day are not counted' TestModel \
  switch/sql.go 's/^SELECT terminal_id, count(\*), coalesce(sum/SELECT terminal_id, 0, coalesce(sum/'
mutant 'amounts of voids are not summed' TestModel \
  switch/sql.go 's/^SELECT terminal_id, count(\*), coalesce(sum/SELECT terminal_id, count(*), coalesce(max/'
mutant 'reversed voids are counted' TestModel \
  switch/sql.go 's/ AND kind = 5 AND state = 2$/ AND kind = 5/'
mutant 'voids are counted without the guard' TestModelRaces \
  switch/load.go '/^	l\.queueGuards(b)$/d'
mutant 'the void window ends an instant early' TestModel \
  switch/decide_cancel.go 's/Sub(c\.original\.AcceptedAt) > p\.VoidWindow/Sub(c.original.AcceptedAt) >= p.VoidWindow/'
mutant 'the minimum balance is ignored' TestModel \
  switch/cancel_rules.go 's/declineIf(limited && balance/declineIf(false \&\& limited \&\& balance/'
mutant "a lost card goes by the closed cards' policy" TestModel \
  switch/cancel_rules.go 's/policy = c\.policy\.RefundToLost/policy = c.policy.RefundToClosed/'
mutant 'refunds without an original have no limit' TestModel \
  switch/cancel_rules.go 's/p\.MaxUnreferencedMinor > 0 &&/p.MaxUnreferencedMinor < 0 \&\&/'
mutant 'the sixth wrong password is one too many' TestModel \
  switch/operator.go 's/operatorTries = 5$/operatorTries = 6/'
mutant 'a disabled operator stays signed on' TestModel \
  switch/operator.go 's/^			AND s\.operator_no = \$2`/			AND s.operator_no = $2 AND false`/'

# Reviews.
mutant 'the threshold itself is reviewed' TestModel \
  switch/cancel_rules.go 's/c\.amountMinor > \*c\.policy\.ReviewThresholdMinor/c.amountMinor >= *c.policy.ReviewThresholdMinor/'
mutant 'what is under review may be refunded again' TestModel \
  switch/decide_cancel.go 's/ReviewedMinor += c\.amountMinor/ReviewedMinor += 0/'
mutant 'an approved refund posts on the date of its request' TestModel \
  switch/review.go 's/posted := f\.windowOf(refund)\.Date/posted := refund.BusinessDate/'
mutant 'a review is decided twice' TestModelRaces \
  switch/review.go 's/ AND review_id = \$2 AND state = 1`/ AND review_id = $2`/'

# Batches.
mutant "a batch's totals are net" TestModel \
  switch/batch_sql.go 's/ OR t\.kind = 5 AND o\.terminal_id = c\.terminal_id AND o\.batch_no = c\.batch_no) AS sale_count/) AS sale_count/
    s/WHEN t\.kind = 5 AND o\.terminal_id = c\.terminal_id AND o\.batch_no = c\.batch_no THEN t\.amount_minor END/END/'
mutant 'a batch that ended settles nothing' TestModel \
  switch/decide.go 's/d\.policy\.SettledByBatch &&/false \&\&/'
mutant 'a batch without transactions is closed at the cutoff' TestModel \
  switch/batch.go 's/if b\.totals\.empty() {/if false {/'
mutant 'a repeat after the cutoff closed its batch is decided again' TestModel \
  switch/batch.go '/case entry\.unconfirmed:/{n;s/return entry/return nil/}'
mutant 'a batch is closed while sales get into it' TestModelRaces \
  switch/batch_sql.go 's/FOR NO KEY UPDATE`/FOR SHARE`/'

# Settlement.
mutant 'cash handed out is charged for' TestModel \
  ledger/cutover_close.go 's/(sum(net) - sum(cashback))::bigint/sum(net)::bigint/'
mutant 'a discount comes back by the terms of the refund' TestModel \
  ledger/cutover_return.go 's/cl\.terms\.Network(bin), DateOf(of))/cl.terms.Network(bin), cl.window.date)/;s/^	var of time\.Time$/	var of time.Time; _ = of/'
mutant 'halves are rounded up' TestModel \
  internal/money/arithmetic.go 's/remainder == rest && quotient%2 == 1/remainder == rest/'
mutant 'a reserve is given back a day late' TestModel \
  ledger/cutover_reserve.go 's/BETWEEN \$2::date - \$4::integer AND \$2 AND/BETWEEN $2::date - $4::integer AND $2::date - 1 AND/'
mutant 'what a merchant owes is not recovered' TestModel \
  ledger/settlement.go 's/s\.RecoveredMinor = max(0, min(total\.minor, owed\.minor))/s.RecoveredMinor = 0/'

if [ "$missed" -gt 0 ]; then
  printf '%d of %d mutants missed\n' "$missed" "$planted"
  exit 1
fi
printf '%d mutants, every one was found\n' "$planted"
