package switching_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
	"meridian/switch"
	"meridian/switch/model"
)

// stored reads the database in one round trip. What refers to transactions
// comes after them, and is named by their RRNs here: a join would cost more.
func (tw *twins) stored() snapshot {
	tw.tb.Helper()
	s, rrns := newSnapshot(), rrnsByID{}
	b := &pgx.Batch{}
	s.queueTransactions(b, rrns)
	s.queueHolds(b, rrns)
	s.queueBatches(b, rrns)
	s.queuePeople(b, rrns)
	s.queueBooks(b)
	s.queueStatements(b)
	tw.must(tw.owner.SendBatch(context.Background(), b).Close())
	return s
}

// rrnsByID of transactions; that of none is 0.
type rrnsByID map[[16]byte]int64

func (r rrnsByID) of(id *[16]byte) int64 {
	if id == nil {
		return 0
	}
	return r[*id]
}

// each adds a statement and what becomes of each of its rows.
func each(b *pgx.Batch, sql string, into []any, row func()) {
	b.Queue(sql).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, into, func() error {
			row()
			return nil
		})
		return err
	})
}

// undoneSQL is what reversals took back of what merchants would have been paid for.
var undoneSQL = fmt.Sprintf(`SELECT journal_id, sum(amount_minor)::bigint FROM transfers WHERE kind = %d AND phase = %d AND debit_account BETWEEN %d AND %d
	GROUP BY journal_id`, ledger.KindReversal, ledger.Posted, ledger.Account(ledger.RoleMerchantPending, 0), ledger.Account(ledger.RoleMerchantPending, -1))

func (s *snapshot) queueTransactions(b *pgx.Batch, rrns rrnsByID) {
	var id [16]byte
	var rrn int64
	var asked, kind switching.Kind
	var state switching.State
	var reason switching.Reason
	var t transactionRow
	var originalID *[16]byte
	originals := map[int64]*[16]byte{}
	each(b, `SELECT transaction_id, rrn, asked, kind, state, reason, rule, terminal_id, batch_no, stan, business_date::text,
			coalesce(posted_date::text, ''), coalesce(operator_no, ''), amount_minor, captured_minor, refunded_minor, reviewed_minor, refund_count, original_id
		FROM transactions`, []any{
		&id, &rrn, &asked, &kind, &state, &reason, &t.rule, &t.terminal, &t.batch, &t.stan, &t.date,
		&t.posted, &t.operator, &t.amountMinor, &t.capturedMinor, &t.refundedMinor, &t.reviewedMinor, &t.refundCount, &originalID,
	}, func() {
		t.asked, t.kind, t.state, t.reason = asked.String(), kind.String(), state.String(), reason.String()
		t.terminal--
		if state == switching.StateDeclined {
			t.amountMinor = 0 // what was asked for, or what it would have come to
		}
		s.transactions[rrn], rrns[id] = t, rrn
		if originalID != nil {
			original := *originalID
			originals[rrn] = &original
		}
	})
	each(b, `SELECT 1`, []any{new(int)}, func() { // every transaction is known by now
		for rrn, original := range originals {
			t := s.transactions[rrn]
			t.originalRRN = rrns.of(original)
			s.transactions[rrn] = t
		}
	})
	// What a race of two reversals came to is alike in all but this, whichever was the first.
	var undone int64
	each(b, undoneSQL, []any{&id, &undone}, func() {
		t := s.transactions[rrns.of(&id)]
		t.undoneMinor = undone
		s.transactions[rrns.of(&id)] = t
	})
}

func (s *snapshot) queueHolds(b *pgx.Batch, rrns rrnsByID) {
	var cardID int
	var c cardRow
	each(b, `SELECT card_id, balance_minor, held_minor FROM card_accounts`, []any{&cardID, &c.balanceMinor, &c.heldMinor},
		func() { s.cards[cardID-1] = c })
	var id [16]byte
	var state ledger.HoldState
	var h holdRow
	var expires time.Time
	each(b, `SELECT hold_id, state, amount_minor, expires_at FROM holds`, []any{&id, &state, &h.amountMinor, &expires}, func() {
		h.state, h.expiresAt = state.String(), expires.UnixMicro()
		s.holds[rrns.of(&id)] = h
	})
}

func (s *snapshot) queueBatches(b *pgx.Batch, rrns rrnsByID) {
	var at batchID
	var row batchRow
	var state switching.BatchState
	var by switching.BatchCloser
	var form switching.TotalsForm
	var opened time.Time
	var settlement *[16]byte
	each(b, `SELECT terminal_id, batch_no, state, coalesce(closed_by, 0), opened_at, opened_date::text, coalesce(closed_date::text, ''),
			coalesce(previous_no, 0), settlement_id, coalesce(sale_count, 0), coalesce(sale_minor, 0), coalesce(void_count, 0), coalesce(void_minor, 0),
			coalesce(refund_count, 0), coalesce(refund_minor, 0), coalesce(stated_form, 0), coalesce(stated_sale_count, 0),
			coalesce(stated_sale_minor, 0), coalesce(stated_refund_count, 0), coalesce(stated_refund_minor, 0)
		FROM batches`, []any{
		&at.terminal, &at.number, &state, &by, &opened, &row.openedOn, &row.closedOn,
		&row.previous, &settlement, &row.totals.SaleCount, &row.totals.SaleMinor, &row.totals.VoidCount, &row.totals.VoidMinor,
		&row.totals.RefundCount, &row.totals.RefundMinor, &form, &row.stated.SaleCount,
		&row.stated.SaleMinor, &row.stated.RefundCount, &row.stated.RefundMinor,
	}, func() {
		row.state, row.closedBy, row.openedAt, row.settlementRRN = state.String(), by.String(), opened.UnixMicro(), rrns.of(settlement)
		row.stated.Given, row.stated.Form = form != 0, map[switching.TotalsForm]model.Form{switching.TotalsNet: model.NetForm, switching.TotalsSplit: model.SplitForm}[form]
		s.batches[batchID{at.terminal - 1, at.number}] = row
	})
	var k model.DifferenceKey
	var terminal, host *int64
	var id *[16]byte
	each(b, `SELECT terminal_id, batch_no, kind, stan, terminal_minor, host_minor, transaction_id FROM batch_differences`,
		[]any{&k.Terminal, &k.Batch, &k.Kind, &k.STAN, &terminal, &host, &id}, func() {
			k.Terminal--
			s.differences[k] = differenceRow{amountOf(terminal), amountOf(host), rrns.of(id)}
		})
}

func amountOf(minor *int64) model.Amount {
	if minor == nil {
		return model.Amount{}
	}
	return model.Amount{Given: true, Minor: *minor}
}

func (s *snapshot) queuePeople(b *pgx.Batch, rrns rrnsByID) {
	var id [16]byte
	var state string
	each(b, `SELECT transaction_id FROM exceptions`, []any{&id}, func() { s.exceptions[rrns.of(&id)]++ })
	each(b, `SELECT review_id, CASE state WHEN 1 THEN 'open' WHEN 2 THEN 'approved' ELSE 'rejected' END FROM reviews`,
		[]any{&id, &state}, func() { s.reviews[rrns.of(&id)] = state })
	var terminal int
	var on model.Session
	each(b, `SELECT terminal_id, operator_no, supervisor FROM terminal_sessions`, []any{&terminal, &on.Number, &on.Supervisor},
		func() { s.sessions[terminal-1] = on })
}

func (s *snapshot) queueBooks(b *pgx.Batch) {
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

// figuresSQL has every figure of a statement as an array, in the order of
// ledger.Statement's.
func figuresSQL() (sql string, columns []string) {
	for _, f := range (&ledger.Statement{}).Figures() {
		columns = append(columns, f.Column)
	}
	return `SELECT merchant_id, business_date, value_date::text, coalesce(reserve_release_on::text, ''), ARRAY[` +
		strings.Join(columns, ", ") + `] FROM settlements`, columns
}

func (s *snapshot) queueStatements(b *pgx.Batch) {
	sql, columns := figuresSQL()
	var merchant int
	var date time.Time
	var row statementRow
	var figures []int64
	each(b, sql, []any{&merchant, &date, &row.valueDate, &row.releaseOn, &figures}, func() {
		at := model.MerchantDate{Merchant: merchant - 1, Date: model.Date(ledger.DateOf(date))}
		s.statements[at] = row
		for i, figure := range slices.All(figures) {
			s.figures[figureID{at, columns[i]}] = figure
		}
	})
}
