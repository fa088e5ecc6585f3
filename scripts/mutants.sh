#!/usr/bin/env bash
# mutants.sh [--plant-only] [REGEX] — plants faults in a copy of this tree, one at a time, and runs the test that must find
# it: a property test of switch/model, or a test of one thing; with a REGEX only faults whose names match it. It succeeds if
# every one is found. With --plant-only nothing is built or run: it succeeds if each can still be planted, and its test is
# there. The copy is thrown away; the tree is not touched.
set -euo pipefail

go=${GO:-go}
plant_only=
if [ "${1-}" = --plant-only ]; then
  plant_only=yes
  shift
fi
only=${1:-.}
root=$(cd "${0%/*}/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

tar -C "$root" -c --exclude=./.git --exclude=./.cache --exclude=./bin --exclude=./.meridian . | tar -C "$copy" -x
cd "$copy"

# How many sequences a mutant may survive: the rarest here is found after some hundred.
checks=2000

# passes TEST CHECKS — runs a test, a property test on so many sequences; what it says is in $copy/out.
passes() {
  "$go" test -count=1 -timeout=20m ./switch -run "^($1)\$" -rapid.checks="$2" -rapid.shrinktime=1s -rapid.nofailfile >out 2>&1
}

# failed TEST — whether the test that did not pass says what is wrong, and did not break.
failed() {
  case $1 in
    TestModel | TestModelRaces) grep -q -e 'failed after [0-9]* tests' -e 'no order explains this race' out ;;
    *) grep -q -e "^--- FAIL: $1 " out && ! grep -q -e '^panic:' out ;;
  esac
}

planted=0
missed=0
rotten=0
# rot NAME WHAT — a fault that this tree has no place for any more.
rot() {
  printf '%s: %s, and scripts/mutants.sh must follow\n' "$1" "$2" >&2
  [ -n "$plant_only" ] || exit 2
  rotten=$((rotten + 1))
}
# mutant NAME TEST FILE SED-COMMAND [FILE SED-COMMAND]… — every command must change something.
mutant() {
  local name=$1 test=$2 started=$SECONDS
  shift 2
  [[ $name =~ $only ]] || return 0
  local files=()
  while [ $# -gt 0 ]; do
    if [ ! -e "$1.sound" ]; then
      cp "$1" "$1.sound"
      files+=("$1")
    fi
    cp "$1" before
    sed "$2" before >"$1"
    if cmp -s before "$1"; then
      rot "$name" "nothing to change in $1 by $2: it has been rewritten"
    fi
    shift 2
  done
  planted=$((planted + 1))
  if [ -n "$plant_only" ]; then
    grep -q "^func $test(" switch/*_test.go || rot "$name" "no test $test"
    for file in "${files[@]}"; do mv "$file.sound" "$file"; done
    return
  fi
  if ! "$go" test -count=1 -run '^$' ./switch >out 2>&1; then
    printf '%s: does not build\n' "$name" >&2
    cat out >&2
    exit 2
  fi
  if passes "$test" "$checks"; then
    missed=$((missed + 1))
    printf 'MISSED  %s\n' "$name"
  elif failed "$test"; then
    printf 'found   %s (%s, %d s)\n' "$name" "$test" $((SECONDS - started))
  else
    printf '%s: the test broke instead of failing\n' "$name" >&2
    tail -n 50 out >&2
    exit 2
  fi
  for file in "${files[@]}"; do mv "$file.sound" "$file"; done
}

for test in TestModel TestModelRaces 'TestPresumed.*|TestOneRoundTripInDoubt|TestOriginals.*'; do
  if [ -z "$plant_only" ] && ! passes "$test" 20; then
    printf 'a test fails without a mutant\n' >&2
    tail -n 50 out >&2
    exit 1
  fi
done

# The instant, the original, the repeat.
mutant 'the instant of the cutoff belongs to the day that ends' TestModel \
  ledger/sql.go 's/e\.closes_at > \$3/e.closes_at >= $3/' \
  ledger/sql.go 's/d\.opens_at <= \$3/d.opens_at < $3/' \
  ledger/window.go 's/now\.Before(w\.ClosesAt)/!now.After(w.ClosesAt)/'
mutant 'the original is neither locked nor compared' TestModelRaces \
  switch/sql.go 's/FOR UPDATE OF t//' \
  switch/sql.go '/^		AND t\.state = u\.read_state AND/d' \
  switch/sql.go '/^		AND t\.refund_count = u\.read_refund_count AND/d' \
  switch/sql.go '/^		AND t\.told_by IS NOT DISTINCT FROM u\.read_told_by$/d'
mutant 'a card is stored whatever has become of it' TestModelRaces \
  ledger/card_sql.go 's/ AND c\.balance_minor = u\.read_balance_minor AND c\.held_minor = u\.read_held_minor$//' \
  ledger/card_sql.go '/^		AND c\.pin_failures = u\.read_pin_failures AND/d' \
  ledger/card_sql.go '/^		AND c\.pan_token = u\.read_pan_token$/d'
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
  switch/sql.go 's/^SELECT t\.terminal_id, count(\*), coalesce(sum/SELECT t.terminal_id, 0, coalesce(sum/'
mutant 'amounts of voids are not summed' TestModel \
  switch/sql.go 's/^SELECT t\.terminal_id, count(\*), coalesce(sum/SELECT t.terminal_id, count(*), coalesce(max/'
mutant 'reversed voids are counted' TestModel \
  switch/sql.go 's/ AND t\.kind = 5 AND t\.state = 2 AND t\.business_date/ AND t.kind = 5 AND t.business_date/'
mutant 'voids are counted without the guard' TestModelRaces \
  switch/load.go '/^	l\.queueGuards(b)$/d'
mutant 'the void window ends an instant early' TestLimitsOfVoids \
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
  switch/batch_sql.go 's/ OR t\.kind = 5 AND o\.terminal_id = c\.terminal_id AND o\.batch_no = c\.batch_no) AS sale_count/) AS sale_count/' \
  switch/batch_sql.go 's/WHEN t\.kind = 5 AND o\.terminal_id = c\.terminal_id AND o\.batch_no = c\.batch_no THEN t\.amount_minor END/END/'
mutant 'a batch that ended settles nothing' TestModel \
  switch/decide.go 's/d\.policy\.SettledByBatch &&/false \&\&/'
mutant 'a batch without transactions is closed at the cutoff' TestModel \
  switch/batch.go 's/if b\.totals\.empty() {/if false {/'
mutant 'a repeat after the cutoff closed its batch is decided again' TestModel \
  switch/batch.go 's/return e\.unconfirmed || /return /'
mutant 'only the batch before is looked at' TestRepeatsBehindManyBatches \
  switch/batch_sql.go 's/WHERE s\.steps < 256/WHERE s.steps < 1/'
mutant 'batches without transactions push others out of sight' TestBatchesWithoutTransactions \
  switch/batch.go 's/^	if b\.filled {$/	if true {/'
mutant 'batches of an older version end the chain' TestRepeatsBehindManyBatches \
  switch/batch_sql.go 's/SELECT coalesce(e\.filled_no, e\.previous_no)/SELECT e.filled_no/'
mutant 'a decision on a review does not wait for its card' TestDecisionBesideTheCardsUse \
  switch/review.go 's/, lockCards: true}$/}/'
mutant 'holds that have run out do not wait for their cards' TestCardChangesUnderHoldsThatExpire \
  switch/housekeeping.go 's/, lockCards: true}$/}/'
mutant 'a counter that another host uses is read after the keys' TestCountedSaleAtTwoHosts \
  switch/load.go '/^	l\.queueCounters(b)$/d' switch/load.go 's/^	l\.queueKeys(b)$/&\n	l.queueCounters(b)/'
mutant 'a batch goes on behind the cut that came while its unit began anew' TestCutWhileAUnitBeginsAnew \
  switch/batch_load.go 's/^	return len(l\.due) > known$/	return known == 0 \&\& len(l.due) > 0/'
mutant 'keys are stored in the order of their verdicts' TestSalesInAnotherOrderAtTwoHosts \
  switch/sql.go '/^	slices\.SortFunc(order, Key\.compare)$/d'
mutant 'an operator is signed on by what the host has read of it' TestSignOnWhileDisabled \
  switch/operator.go 's/ AND operator_no = \$3 AND active AND password_hash = \$4),$/ AND operator_no = $3 AND ($4::text IS NOT NULL)),/' \
  switch/sql.go 's/ AND o\.operator_no = s\.operator_no AND o\.active$/ AND o.operator_no = s.operator_no/'
mutant 'originals are locked as they are found' TestOriginalsAgainstExpiry \
  switch/load.go 's/^	if inOrder || l\.begun {$/	if inOrder || len(l.wanted) > 0 {/'
mutant 'a reversal is forgotten whose late original has come' TestReversalAgainBesideItsLateOriginal \
  switch/load.go 's/^				stored\.located = located{ledger\.DateOf(date), uuid\.UUID(id)}$/				delete(l.wanted, stored.id)\n&/'
mutant 'a repeat of what another host stores is told that it was paid before' TestVoidAtTwoHosts \
  switch/load.go '/^	l\.queuePaid(b)$/d' switch/load.go 's/^	l\.queueKeys(b)$/&\n	l.queuePaid(b)/'
mutant 'a refund is paid once in each batch' TestPaidBackOnce \
  switch/decide_paid.go 's/^	return r\.Kind\.Cancels() \&\&/	return false \&\&/'
mutant 'a recorded void becomes a refund' TestPaidBackOnce \
  switch/decide_paid.go 's/^	return r\.Kind\.Cancels() \&\&/	return r.Kind != KindVoid \&\&/'
mutant 'what paid back is not looked for' TestPaidBackOnce \
  switch/load.go '/^	l\.queuePaid(b)$/d'
mutant 'what paid back is not stored' TestPaidBackOnce \
  switch/store.go '/^	queuePaidBack(/d'
mutant 'a refund of another original of the same invoice is refused' TestRefundOfWhatCameAgain \
  switch/decide_paid.go 's/rec\.Digest, rec\.OriginalID}/rec.Digest, uuid.Nil}/' \
  switch/decide_paid.go 's/^		key\.originalID = o\.ID$/		_ = o/'
mutant 'a reversal pays back whatever its age' TestModel \
  switch/decide_reversal.go 's/<= d\.policy\.ReversalWindowDays {/<= 3650 {/'
mutant 'a batch is closed while sales get into it' TestModelRaces \
  switch/batch_sql.go 's/FOR NO KEY UPDATE`/FOR SHARE`/'

# Settlement.
mutant 'cash handed out is charged for' TestModel \
  ledger/cutover_close.go 's/(sum(net) - sum(cashback))::bigint/sum(net)::bigint/'
mutant 'a discount comes back by the terms of the refund' TestRefundsReturnTheFeeWhereTermsSaySo \
  ledger/cutover_return.go 's/cl\.terms\.Network(bin), DateOf(of))/cl.terms.Network(bin), cl.window.date)/' \
  ledger/cutover_return.go 's/^	var of time\.Time$/	var of time.Time; _ = of/'
mutant 'halves are rounded up' TestModel \
  internal/money/arithmetic.go 's/remainder == rest && quotient%2 == 1/remainder == rest/'
mutant 'a reserve is given back a day late' TestModel \
  ledger/cutover_reserve.go 's/BETWEEN \$2::date - \$4::integer AND \$2 AND/BETWEEN $2::date - $4::integer AND $2::date - 1 AND/'
mutant 'a date on which nothing moved gives no reserve back' TestRetireMonth \
  ledger/cutover_reserve.go 's/^func (cl \*closing) dueReserves(ctx context.Context) error {$/&\n\tif !cl.moved {\n\t\treturn nil\n\t}/'
mutant 'what a merchant owes is not recovered' TestModel \
  ledger/settlement.go 's/s\.RecoveredMinor = max(0, min(total\.minor, owed\.minor))/s.RecoveredMinor = 0/'

# What a lane presumes (switch/presume*.go). Cards:
mutant 'what a card has may be another amount by then' TestPresumedMoney \
  ledger/card_sql.go 's/ AND c\.balance_minor = u\.read_balance_minor AND/ AND/'
mutant 'a card is not proved where nothing of it changed' TestPresumedMoney \
  switch/presume_proof.go 's/^		if card\.Presumed {$/		if card.Presumed \&\& false {/'
mutant "a card's number may be another one by then" TestPresumedCard \
  ledger/card_sql.go '/^		AND c\.pan_token = u\.read_pan_token$/d'
mutant 'of two numbers of an account one is not proved' TestPresumedCardOfTwoNumbers \
  switch/presume_proof.go 's/range f\.cards {/range f.cardsByID {/'
mutant 'a card that was presumed wrongly is presumed again' TestPresumedCard \
  switch/presume.go '/^		p\.cards\.Drop(f\.cards)$/d'
mutant 'a PIN is verified against what was presumed' TestPresumedPIN \
  switch/load.go 's/^		if j\.request\.PIN != nil {$/		if false {/'
mutant 'lanes of one host do not wait for each other at a card' TestLanesAtOneCard \
  switch/lane.go 's/^	alone, waited := turn\.wait(ctx)$/	alone, waited := true, time.Duration(0)/'
mutant 'a lane that has waited too long decides over what it knows' TestLaneThatWaitedTooLong \
  switch/lane.go 's/l\.caution\.next() || !alone,/l.caution.next() || !alone \&\& false,/'

# Windows and batches:
mutant 'a window that is being closed takes what presumed it' TestPresumedWindow \
  ledger/sql.go 's/ AND s\.state = 1$//'
mutant 'a window takes what is before its time, when the clock went back' TestPresumedWindowIsOfTheInstant \
  switch/presume_load.go 's/ || f\.Now\.Before(w\.OpensAt) {/ {/'
mutant 'a batch in upload takes what presumed it' TestPresumedBatch \
  switch/presume_proof.go 's/ AND c\.state < 4$//'
mutant 'a batch is proved by whichever the terminal is in' TestPresumedBatch \
  switch/presume_proof.go 's/ AND c\.batch_no = u\.batch_no AND c\.state < 4$/ AND c.state < 4/'
mutant 'a batch that ends with its date is presumed' TestPresumedBatchEndsWithItsDate \
  switch/presume_load.go 's/ || r\.merchant\.Policy\.AutoCloseBatch && b\.endsWith(w\.Date) {/ {/'

# Keys:
mutant 'a key that is stored is presumed to be new again' TestPresumedKey \
  switch/presume.go 's/ || refused\.Code == "23505")/)/'
mutant 'a key is presumed in a batch that has ended' TestPresumedNewInABatchThatHasEnded \
  switch/unit.go 's/^		if !facts\.proves(j\.request, key) {$/		if false {/'
mutant 'a reversal that named the batch before is not looked for' TestPresumedNoTombstoneOfTheBatchBefore \
  switch/presume_load.go '/^			l\.facts\.unreversed = append(/s/.*/			_ = number/'
mutant 'a unit that reads does not look for one either' TestPresumedNoTombstoneOfTheBatchBefore \
  switch/presume_load.go 's/^		if !l\.facts\.unread || /		if /'
mutant 'a repeat of the batch before is presumed to be new' TestPresumedNewAcrossARollover \
  switch/presume.go 's/^			s\.from = until$/			_ = until/'
mutant 'a repeat of the batch before is presumed to be new, when the clock went back' TestPresumedNewAfterTheClockWentBack \
  switch/presume.go 's/, from: f\.Now}$/}/'
mutant 'what came to nothing is presumed not to have been given before' TestPaidBackOnceOfNothingLeft \
  switch/presume_proof.go '/^	queueUnpaid(b, bucket, f\.unpaid)$/d'
mutant 'what says that it is a repeat is presumed to be new' TestPresumedKey \
  switch/presume_load.go 's/^		return !r\.Repeat$/		return true/'
mutant 'a unit in doubt presumes' TestOneRoundTripInDoubt \
  switch/lane.go 's/^	if !doubt && !u\.lockCards {$/	if !u.lockCards {/'

# Originals:
mutant 'what was captured and refunded of an original may be something else by then' TestPresumedOriginalAlone \
  switch/sql.go '/^		AND t\.state = u\.read_state AND/d'
mutant 'what is under review of an original may be something else by then' TestPresumedOriginalAlone \
  switch/sql.go '/^		AND t\.refund_count = u\.read_refund_count AND/d'
mutant 'an original is not proved where nothing of it changed' TestPresumedDecline \
  switch/presume_proof.go 's/^		if r\.Presumed {$/		if false {/'
mutant 'a hold may be something else by then' TestPresumedOriginalAlone \
  ledger/sql.go 's/ AND h\.amount_minor = u\.read_amount_minor$//' \
  ledger/sql.go '/^		AND h\.captured_minor = u\.read_captured_minor AND/d'
mutant 'an approval may have been told elsewhere by then' TestPresumedTellers \
  switch/sql.go '/^		AND t\.told_by IS NOT DISTINCT FROM u\.read_told_by$/d'
mutant 'a hold that was read without a lock may be something else by then' TestOriginalReadWithoutLock \
  switch/presume_original.go 's/f\.holds\[h\.ID\] = h\.Presume()/f.holds[h.ID] = h/'
mutant 'sums are presumed' TestOriginalsUnderPolicies \
  switch/presume_original.go 's/return !limitsVoids(p) && /return /'
mutant 'batches that settle are presumed' TestOriginalsUnderPolicies \
  switch/presume_original.go 's/^	case p\.SettledByBatch:$/	case false:/'
mutant 'originals are locked in another order than they are read' TestPresumedAndReadLockInOneOrder \
  switch/sql.go 's/bytes\.Compare(b\.ID\[:\], a\.ID\[:\])/bytes.Compare(a.ID[:], b.ID[:])/'
mutant 'a batch that was presumed wrongly is presumed again' TestPresumedRepeatsOfAnEndedBatch \
  switch/presume.go '/^	for terminal := range f\.batches {$/,/^	}$/d' \
  switch/presume.go 's/^		p\.forgetEnded(f\.batches)$/		_ = p/'
mutant 'an original that was presumed wrongly is presumed again' TestPresumedOriginalIsForgotten \
  switch/presume.go '/^	p\.records\.forget(f)$/d'
mutant 'an RRN is looked for where its digits say alone' TestRRNsComeAgain \
  switch/load.go '/^	if err := l\.lookElsewhere(ctx); err != nil {$/,/^	}$/d'
mutant 'an RRN of ten years ago is meant as well' TestRRNsComeAgain \
  switch/month.go 's/^	if !ok {$/	if ok || !ok {/'

# What a merchant is owed (switch/owed.go):
mutant 'a late void passes the minimum' TestMinimumBalanceOfAMerchant \
  switch/owed.go 's/ || r\.merchant\.Policy\.CancelMode == CancelAuto)$/)/'
mutant 'what a unit moves itself is not counted' TestMinimumBalanceWithinAUnit \
  switch/facts.go '/^	f\.owe(v\.Journal\.Transfers)$/d'
mutant 'a reversal in a batch that has ended is not counted' TestOwedAfterALateReversal \
  switch/owed.go 's/ AND t\.asked = 8$/ AND t.asked = 88/'
mutant 'a batch that was ended before the cutoff is not counted' TestOwedOfABatchClosedBeforeTheCutoff \
  switch/owed.go 's/closed_date >= /closed_date > /'

# Months that leave the ledger (switch/retire.go, ledger/retired.go):
mutant 'what was carried before is forgotten' TestRetireMonth \
  ledger/retired.go 's/= c\.debits_posted_minor + excluded\.debits_posted_minor/= excluded.debits_posted_minor/'
mutant 'what is pending is not carried' TestRetireMonth \
  ledger/retired.go 's/= c\.debits_pending_minor + excluded\.debits_pending_minor/= c.debits_pending_minor/' \
  ledger/retired.go 's/positionsSQL("bucket, ", "business_date/positionsSQL("bucket, ", "phase IN (1, 3) AND business_date/'
mutant 'a refund that was approved in a later month has no cause' TestRetireMonth \
  switch/verify.go 's/v\.state = 2 AND v\.business_date < ` + ledger\.KeptFromSQL + `$/false/'
mutant 'whatever is told to be an approved refund is excused' TestRetireMonth \
  switch/verify.go 's/ AND f\.business_date < ` + ledger\.QuietFromSQL + `)/)/'
mutant 'contras of what has left are held against it' TestRetireMonth \
  switch/verify.go 's/(c\.subject_date >= ` + ledger\.KeptFromSQL + ` OR c\.last_date >= ` + ledger\.QuietFromSQL + `)/true/'
mutant 'a contra that moved nothing is held against what has left' TestRetireMonth \
  switch/verify.go 's/ FILTER (WHERE c\.captured <> 0 OR c\.refunded <> 0) AS last_date,/ AS last_date,/'
mutant 'new contras of what has left are not held against it' TestRetireMonth \
  switch/verify.go 's/ OR c\.last_date >= ` + ledger\.QuietFromSQL + `)/)/'
mutant 'a batch is held against transactions that have left' TestRetireMonth \
  switch/batch_verify.go 's/ >= ` + ledger\.KeptFromSQL + `$/ IS NOT NULL/'
mutant 'a month is retired by the clock of the command' TestRetireWithoutRefunds \
  switch/retire.go 's/SELECT greatest(\$1, (SELECT max(closed_at) FROM batches))/SELECT $1::timestamptz/'
mutant 'a key of what has left is nobody'"'"'s' TestRetireMonth \
  switch/load.go 's/^			l\.facts\.retire(key)$/			_ = key/'
mutant 'a reversal of what has left is approved' TestRetireMonth \
  switch/decide_reversal.go 's/^	if d\.facts\.isRetired(key) {$/	if false {/'
mutant 'what refunds may come of leaves' TestRetireObstacles \
  switch/retire_plan.go 's/ AND \$1::date + p\.refund_window_days > ` + quietSQL + `$/ AND false/'
mutant 'what reversals may come of leaves' TestRetireWaitsForReversals \
  switch/retire_plan.go 's/^	WHERE reversal_window_days > /	WHERE false AND reversal_window_days > /'
mutant 'a month leaves on its last day' TestRetireWithoutRefunds \
  switch/retire_plan.go 's/WHERE \$1::date > ` + quietSQL,$/WHERE $1 IS NULL AND ` + quietSQL + ` IS NULL`,/'
mutant 'unsettled batches leave' TestRetireObstacles \
  switch/retire_plan.go 's/^	WHERE b\.state < 5 AND EXISTS (/	WHERE false AND EXISTS (/'
mutant 'purchases of refunds that wait leave' TestRetireWaitsForWhatSpeaksOfIt \
  switch/retire_plan.go 's/(t\.business_date < \$1 OR t\.original_date < \$1) HAVING/t.business_date < $1 HAVING/'
mutant 'what was reversed, completed or paid back lately leaves' TestRetireWaitsForWhatSpeaksOfIt \
  switch/retire_plan.go 's/AND (t\.original_date < \$1 OR o\.original_date < \$1 OR p\.original_date < \$1)/AND p.original_date < $1/'
mutant 'refunds that were approved lately leave' TestRetireWaitsForWhatSpeaksOfIt \
  switch/retire_plan.go 's/WHERE v\.state = 2 AND t\.posted_date/WHERE false AND t.posted_date/'
mutant 'units of work wait behind who uses the tables for long' TestRetireBesideSales \
  switch/retire_detach.go 's/detachTry = 100 \* time\.Millisecond/detachTry = time.Minute/' \
  switch/retire_detach.go 's/^		if inTheWay == "" {$/		if inTheWay != "nobody" {/'
mutant 'units of work wait for the audit log' TestRetireBesideSales \
  switch/retire_detach.go 's/^	if _, err := appendAudit(ctx, tx, l\.entries); err != nil {$/	if _, err := tx.Exec(ctx, l.away+"SET LOCAL lock_timeout = 0"); err != nil {\n		return err\n	}\n&/' \
  switch/retire_detach.go 's/^	if _, err := tx\.Exec(ctx, l\.away); err != nil {$/	if err := ctx.Err(); err != nil {/'
mutant 'what came while it waited is lost' TestRetireMeetsALateReversal \
  switch/retire_detach.go 's/^	if _, err := planned(ctx, tx, l\.months); err != nil {$/	if err := ctx.Err(); err != nil {/'
mutant 'months leave without the next that they speak of' TestRetireMonthsTogether \
  switch/retire_plan.go 's/ AND original_date >= \$1 AND state <> 1)/ AND false)/'
mutant 'a verification looks first and locks then' TestVerifyWhileAMonthLeaves \
  switch/verify_run.go '/^		"LOCK TABLE ONLY transactions/d'
mutant 'a batch that is used again is closed as idle' TestABatchThatIsUsedAgainIsLeft \
  switch/batch_idle.go 's/^	if used {$/	if !used \&\& used {/'
mutant 'what changed while a terminal downloaded is taken' TestChangesDuringADownload \
  switch/catalogue_taken.go 's/^		return min(last\.version, c\.version)$/		return c.version/'
mutant 'what changed since a download began elsewhere is taken' TestDownloadsBeginAtOtherHosts \
  switch/catalogue_taken.go 's/^		return c\.before$/		return c.version/'
mutant 'what a host tries again is taken for a repeat' TestSaleTriedAgainIsNoRepeatOfTheBatchBefore \
  switch/lane.go 's/^	if j\.tried != uuid\.Nil {$/	j.request.Repeat = true\n&/'
mutant 'what a host had stored is not known once its batch has ended' TestTriedAgainBehindASettlement \
  switch/lane.go 's/^	if j\.tried != uuid\.Nil {$/	if j.tried != j.tried {/'
mutant 'who was signed on stays so where a unit begins anew' TestOperatorDisabledWhileAUnitBeginsAnew \
  switch/facts.go '/^	clear(f\.sessions)$/d'
mutant 'a marked repeat of what was reversed is posted behind the end of its batch' TestMarkedRepeatOfWhatWasReversedAndSettled \
  switch/batch.go 's/r\.repeats(e\.record) || !e\.tombstone \&\& (r\.Kind/!e.tombstone \&\& (r.repeats(e.record) || r.Kind/'
mutant 'an adjustment is taken back that was entered again' TestAdjustmentEnteredAgainAfterAFailure \
  switch/claim.go 's/AND t\.asked IN (8, 17) AND/AND t.asked IN (0) AND/'
mutant 'a refund is taken back that a person has approved' TestReviewApprovedWhileItsHostIsInDoubt \
  switch/claim.go 's/AND v\.review_id = u\.id AND v\.state = 2)/AND v.review_id = u.id AND v.state = 9)/'
mutant 'a partial reversal leaves what does not stand' TestPartialReversalOfNothing \
  switch/decide_reversal.go 's/reason != Approved \&\& o\.standsForNothing()/reason != Approved \&\& !o.standsForNothing()/'
mutant 'what was paid back on a date before its purchase has no part in the discount' TestFeeOfARefundBeforeItsSale \
  ledger/cutover_return.go 's/business_date >= p\.purchase_date - 1/business_date >= p.purchase_date/'

if [ -n "$plant_only" ]; then
  exit "$((rotten > 0))"
fi
if [ "$missed" -gt 0 ]; then
  printf '%d of %d mutants missed\n' "$missed" "$planted"
  exit 1
fi
printf '%d mutants, every one was found\n' "$planted"
