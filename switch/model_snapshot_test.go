package switching_test

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"meridian/ledger"
	"meridian/switch"
	"meridian/switch/model"
)

// snapshot is what of the database the model has too.
type snapshot struct {
	cards        map[int]cardRow
	transactions map[int64]transactionRow // by RRN
	holds        map[int64]holdRow        // by the authorization's RRN
	exceptions   map[int64]int            // by RRN, how many
	books        map[model.Account]model.Sums
}

type cardRow struct {
	balanceMinor, heldMinor int64
}

type transactionRow struct {
	asked, kind, state, reason                string
	rule                                      int
	date                                      string
	amountMinor, capturedMinor, refundedMinor int64
	refundCount                               int
	originalRRN                               int64
}

type holdRow struct {
	state       string
	amountMinor int64
	expiresAt   int64 // microseconds since 1970
}

// stored reads the database in one round trip.
func (tw *twins) stored() snapshot {
	tw.tb.Helper()
	s := snapshot{map[int]cardRow{}, map[int64]transactionRow{}, map[int64]holdRow{}, map[int64]int{}, map[model.Account]model.Sums{}}
	b := &pgx.Batch{}
	b.Queue(`SELECT card_id, balance_minor, held_minor FROM card_accounts`).Query(func(rows pgx.Rows) error {
		var id int
		var c cardRow
		_, err := pgx.ForEachRow(rows, []any{&id, &c.balanceMinor, &c.heldMinor}, func() error {
			s.cards[id-1] = c
			return nil
		})
		return err
	})
	b.Queue(`
		SELECT t.rrn, t.asked, t.kind, t.state, t.reason, t.rule, t.business_date::text, t.amount_minor, t.captured_minor,
			t.refunded_minor, t.refund_count, coalesce(o.rrn, 0)
		FROM transactions t LEFT JOIN transactions o
			ON o.bucket = t.bucket AND o.business_date = t.original_date AND o.transaction_id = t.original_id`).Query(func(rows pgx.Rows) error {
		var rrn int64
		var asked, kind switching.Kind
		var state switching.State
		var reason switching.Reason
		var t transactionRow
		_, err := pgx.ForEachRow(rows, []any{
			&rrn, &asked, &kind, &state, &reason, &t.rule, &t.date, &t.amountMinor, &t.capturedMinor, &t.refundedMinor, &t.refundCount, &t.originalRRN,
		}, func() error {
			t.asked, t.kind, t.state, t.reason = asked.String(), kind.String(), state.String(), reason.String()
			if state == switching.StateDeclined {
				t.amountMinor = 0 // what was asked for, or what it would have come to
			}
			s.transactions[rrn] = t
			return nil
		})
		return err
	})
	b.Queue(`
		SELECT t.rrn, h.state, h.amount_minor, h.expires_at
		FROM holds h JOIN transactions t ON t.bucket = h.bucket AND t.business_date = h.business_date AND t.transaction_id = h.hold_id`).
		Query(func(rows pgx.Rows) error {
			var rrn int64
			var state ledger.HoldState
			var h holdRow
			var expires time.Time
			_, err := pgx.ForEachRow(rows, []any{&rrn, &state, &h.amountMinor, &expires}, func() error {
				h.state, h.expiresAt = state.String(), expires.UnixMicro()
				s.holds[rrn] = h
				return nil
			})
			return err
		})
	b.Queue(`
		SELECT t.rrn FROM exceptions e
		JOIN transactions t ON t.bucket = e.bucket AND t.business_date = e.business_date AND t.transaction_id = e.transaction_id`).
		Query(func(rows pgx.Rows) error {
			var rrn int64
			_, err := pgx.ForEachRow(rows, []any{&rrn}, func() error {
				s.exceptions[rrn]++
				return nil
			})
			return err
		})
	b.Queue(`SELECT business_date, phase, debit_account, credit_account, amount_minor FROM transfers WHERE kind <> $1`, ledger.KindLoad).
		Query(func(rows pgx.Rows) error {
			var date time.Time
			var phase ledger.Phase
			var debit, credit ledger.AccountID
			var minor int64
			_, err := pgx.ForEachRow(rows, []any{&date, &phase, &debit, &credit, &minor}, func() error {
				s.book(date, phase, debit, minor, 0)
				s.book(date, phase, credit, 0, minor)
				return nil
			})
			return err
		})
	tw.must(tw.owner.SendBatch(context.Background(), b).Close())
	return s
}

// book adds one side of a transfer.
func (s *snapshot) book(date time.Time, phase ledger.Phase, account ledger.AccountID, debitMinor, creditMinor int64) {
	at := model.Account{Code: account.String(), Date: model.Date(ledger.DateOf(date))}
	sums := s.books[at]
	switch phase {
	case ledger.Posted:
		sums.DebitsPosted += debitMinor
		sums.CreditsPosted += creditMinor
	case ledger.Pending:
		sums.DebitsPending += debitMinor
		sums.CreditsPending += creditMinor
	case ledger.PostPending:
		sums.DebitsPosted += debitMinor
		sums.CreditsPosted += creditMinor
		sums.DebitsPending -= debitMinor
		sums.CreditsPending -= creditMinor
	case ledger.VoidPending:
		sums.DebitsPending -= debitMinor
		sums.CreditsPending -= creditMinor
	}
	s.books[at] = sums
}

// modelled is the same of the model.
func (tw *twins) modelled() snapshot {
	s := snapshot{map[int]cardRow{}, map[int64]transactionRow{}, map[int64]holdRow{}, map[int64]int{}, map[model.Account]model.Sums{}}
	for i, c := range tw.m.Cards {
		s.cards[i] = cardRow{c.BalanceMinor, c.HeldMinor}
	}
	for i := range tw.m.Transactions {
		t, rrn := &tw.m.Transactions[i], tw.rrn(i)
		row := transactionRow{
			asked: string(t.Asked), kind: string(t.Kind), state: string(t.State), reason: string(t.Reason), rule: t.Rule,
			date: t.Date.String(), amountMinor: t.AmountMinor, capturedMinor: t.CapturedMinor,
			refundedMinor: t.RefundedMinor, refundCount: t.RefundCount,
		}
		if t.State == model.StateDeclined {
			row.amountMinor = 0
		}
		if t.Original >= 0 {
			row.originalRRN = tw.rrn(t.Original)
		}
		s.transactions[rrn] = row
		if t.Hold.State != "" {
			s.holds[rrn] = holdRow{string(t.Hold.State), t.Hold.AmountMinor, t.Hold.ExpiresAt.UnixMicro()}
		}
	}
	for _, e := range tw.m.Exceptions {
		s.exceptions[tw.rrn(e.Transaction)]++
	}
	maps.Copy(s.books, tw.m.Books)
	return s
}

// rrn of a transaction of the model; one that no host has told of yet has a
// number that is no RRN.
func (tw *twins) rrn(transaction int) int64 {
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
