package switching_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"meridian/ledger"
	"meridian/switch"
	"meridian/switch/model"
)

// snapshot is what of the database the model has too. Transactions are named by
// their RRN, 0 for none.
type snapshot struct {
	cards        map[int]cardRow
	transactions map[int64]transactionRow
	holds        map[int64]holdRow // by the authorization
	exceptions   map[int64]int     // how many
	reviews      map[int64]string  // by the refund, the state
	books        map[model.Account]model.Sums
	batches      map[batchID]batchRow
	differences  map[model.DifferenceKey]differenceRow
	sessions     map[int]model.Session
	statements   map[model.MerchantDate]statementRow
	figures      map[figureID]int64
}

func newSnapshot() snapshot {
	return snapshot{
		map[int]cardRow{},
		map[int64]transactionRow{},
		map[int64]holdRow{},
		map[int64]int{},
		map[int64]string{},
		map[model.Account]model.Sums{},
		map[batchID]batchRow{},
		map[model.DifferenceKey]differenceRow{},
		map[int]model.Session{},
		map[model.MerchantDate]statementRow{},
		map[figureID]int64{},
	}
}

type cardRow struct {
	balanceMinor, heldMinor int64
}

type transactionRow struct {
	asked, kind, state, reason                               string
	rule, terminal, batch, stan                              int
	date, posted, operator                                   string
	amountMinor, capturedMinor, refundedMinor, reviewedMinor int64
	undoneMinor                                              int64 // by a reversal, of what was captured
	refundCount                                              int
	originalRRN                                              int64
}

type holdRow struct {
	state       string
	amountMinor int64
	expiresAt   int64 // microseconds since 1970
}

type batchID struct{ terminal, number int }

type batchRow struct {
	state, closedBy    string
	openedOn, closedOn string
	previous           int
	openedAt           int64 // microseconds since 1970
	totals             model.Totals
	stated             model.Stated
	settlementRRN      int64
}

type differenceRow struct {
	terminal, host model.Amount
	rrn            int64
}

type statementRow struct{ valueDate, releaseOn string }

type figureID struct {
	model.MerchantDate

	column string
}

// modelled is the same of the model.
func (tw *twins) modelled() snapshot {
	s := newSnapshot()
	for i, c := range tw.m.Cards {
		s.cards[i] = cardRow{c.BalanceMinor, c.HeldMinor}
	}
	for i := range tw.m.Transactions {
		t, rrn := &tw.m.Transactions[i], tw.rrn(i)
		row := transactionRow{
			asked: string(t.Asked), kind: string(t.Kind), state: string(t.State), reason: string(t.Reason), rule: t.Rule,
			terminal: t.Terminal, batch: t.Batch, stan: t.STAN, date: t.Date.String(), operator: t.Operator,
			amountMinor: t.AmountMinor, capturedMinor: t.CapturedMinor, refundedMinor: t.RefundedMinor, reviewedMinor: t.ReviewedMinor,
			refundCount: t.RefundCount, originalRRN: tw.rrn(t.Original), undoneMinor: t.UndoneMinor,
		}
		if t.State == model.StateDeclined {
			row.amountMinor = 0
		}
		if t.HasPosted {
			row.posted = t.Posted.String()
		}
		s.transactions[rrn] = row
		if t.Hold.State != "" {
			s.holds[rrn] = holdRow{string(t.Hold.State), t.Hold.AmountMinor, t.Hold.ExpiresAt.UnixMicro()}
		}
		if t.Review != "" {
			s.reviews[rrn] = string(t.Review)
		}
	}
	for _, e := range tw.m.Exceptions {
		s.exceptions[tw.rrn(e.Transaction)]++
	}
	for i := range tw.m.Terminals {
		t := &tw.m.Terminals[i]
		if t.Session.Number != "" {
			s.sessions[i] = t.Session
		}
		for _, b := range append(slices.Clone(t.Ended), t.Batch) {
			if b.Begun {
				s.batches[batchID{i, b.Number}] = tw.batchRow(b)
			}
		}
	}
	for k, d := range tw.m.Differences {
		s.differences[k] = differenceRow{d.Terminal, d.Host, tw.rrn(d.Transaction)}
	}
	for k, statement := range tw.m.Statements {
		row := statementRow{valueDate: statement.ValueDate.String()}
		if statement.ReleaseOn != 0 {
			row.releaseOn = statement.ReleaseOn.String()
		}
		s.statements[k] = row
		for column, figure := range statement.Figures {
			s.figures[figureID{k, column}] = figure
		}
	}
	maps.Copy(s.books, tw.m.Books)
	return s
}

func (tw *twins) batchRow(b model.Batch) batchRow {
	row := batchRow{
		state: string(b.State), closedBy: string(b.ClosedBy), openedOn: b.OpenedOn.String(), previous: b.Previous,
		openedAt: b.OpenedAt.UnixMicro(), totals: b.Totals, stated: b.Stated, settlementRRN: tw.rrn(b.Settlement),
	}
	if b.State == model.BatchClosed {
		row.closedOn = b.ClosedOn.String()
	}
	return row
}

// rrn of a transaction of the model, 0 for none; one that no host has told of
// yet has a number that is no RRN.
func (tw *twins) rrn(transaction int) int64 {
	if transaction < 0 {
		return 0
	}
	if transaction < len(tw.told) && tw.told[transaction].rrn != 0 {
		return tw.told[transaction].rrn
	}
	return int64(-1 - transaction)
}

// worldsDiffer says what is different between the database and the model.
func (tw *twins) worldsDiffer() string {
	tw.tb.Helper()
	got, want := tw.stored(), tw.modelled()
	var d differences
	compareRows(&d, "card", got.cards, want.cards)
	compareRows(&d, "transaction", got.transactions, want.transactions)
	compareRows(&d, "hold", got.holds, want.holds)
	compareRows(&d, "exceptions", got.exceptions, want.exceptions)
	compareRows(&d, "review", got.reviews, want.reviews)
	compareRows(&d, "batch", got.batches, want.batches)
	compareRows(&d, "batch difference", got.differences, want.differences)
	compareRows(&d, "session at terminal", got.sessions, want.sessions)
	compareRows(&d, "statement", got.statements, want.statements)
	compareRows(&d, "figure", got.figures, want.figures)
	compareRows(&d, "account", got.books, want.books)
	return string(d)
}

// compareRows compares maps; a row that is missing is as good as a zero one.
func compareRows[K, V comparable](d *differences, what string, got, want map[K]V) {
	for key := range got {
		d.compare(fmt.Sprintf("%s %v", what, key), got[key], want[key])
	}
	for key := range want {
		if _, both := got[key]; !both {
			var zero V
			d.compare(fmt.Sprintf("%s %v", what, key), zero, want[key])
		}
	}
}

// check wants the database to be as the model says.
func (tw *twins) check(t rapid.TB) {
	t.Helper()
	if diff := tw.worldsDiffer(); diff != "" {
		t.Fatalf("after %s: the ledger is not as the model has it:%s", tw.m.Now.Format(time.RFC3339Nano), diff)
	}
}

// verify wants the ledger's own verification to find nothing, and its trial
// balance to be the sum of the model's books.
func (tw *twins) verify(t rapid.TB) {
	t.Helper()
	ctx := context.Background()
	v, err := switching.Verify(ctx, tw.hosts[0].pool)
	tw.must(err)
	for _, f := range v.Findings {
		t.Errorf("ledger: %s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	positions, err := ledger.Positions(ctx, tw.hosts[0].pool)
	tw.must(err)
	got, want := map[string]model.Sums{}, map[string]model.Sums{}
	for _, p := range positions {
		if p.Account.Role() == ledger.RoleMerchantPending || p.Account.Role() == ledger.RoleMerchantPayable {
			got[p.Code] = model.Sums{
				DebitsPosted: p.DebitsPostedMinor, CreditsPosted: p.CreditsPostedMinor,
				DebitsPending: p.DebitsPendingMinor, CreditsPending: p.CreditsPendingMinor,
			}
		}
	}
	for account, s := range tw.m.Books {
		if _, ours := got[account.Code]; !ours {
			continue
		}
		sum := want[account.Code]
		sum.DebitsPosted += s.DebitsPosted
		sum.CreditsPosted += s.CreditsPosted
		sum.DebitsPending += s.DebitsPending
		sum.CreditsPending += s.CreditsPending
		want[account.Code] = sum
	}
	var d differences
	compareRows(&d, "position", got, want)
	if d != "" {
		t.Errorf("the trial balance is not as the model has it:%s", d)
	}
	if t.Failed() {
		t.FailNow()
	}
}
