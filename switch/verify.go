package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// Verification is what recomputing everything from transfers, and walking the
// audit log, found.
type Verification struct {
	Transactions int64            `json:"transactions"`
	Transfers    int64            `json:"transfers"`
	AuditRows    int64            `json:"audit_rows"`
	AuditHead    AuditHead        `json:"audit_head"`
	Took         time.Duration    `json:"took_ns"`
	Findings     []ledger.Finding `json:"findings"`
}

// OK tells whether nothing was off.
func (v *Verification) OK() bool { return len(v.Findings) == 0 }

// audit walks the audit log in the snapshot of the ledger's checks.
func (v *Verification) audit(ctx context.Context, tx pgx.Tx) error {
	a, err := verifyAudit(ctx, tx, nil)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	v.AuditRows, v.AuditHead = a.Rows, a.Head
	if p := a.Problem; p != nil {
		v.Findings = append(v.Findings, ledger.Finding{Check: auditCheck, Subject: p.Row, Detail: p.Fault + ": " + p.Detail})
	}
	return nil
}

// journalsInOrder are the transfers of one journal after the other, as their key
// has them: sums by journal then need neither a sort nor a place for each of
// millions of journals, whatever the planner believes their number to be. A
// journal has one business date.
const journalsInOrder = `
				SELECT bucket, business_date, journal_id, kind, phase, credit_account, amount_minor
				FROM transfers ORDER BY bucket, business_date, journal_id OFFSET 0`

// checks hold transactions against transfers. Kinds, states and phases are the
// stored numbers of this package and of ledger:
//
//	transaction kinds 1 authorization, 2 sale, 3 completion, 4 advice, 5 void, 6 refund, 8 reversal, 9 balance,
//	                  16 script, 17 adjustment, 20 settlement, 21 upload, 22 trailer
//	states            1 declined, 2 approved, 3 completed, 4 voided, 5 reversed, 6 expired, 7 abandoned, 8 under review
//	transfer kinds    1 load, 2 sale, 3 cashback, 4 hold, 5 completion, 6 release, 7 expiry, 8 advice,
//	                  9 void, 10 refund, 11 reversal, 12 adjustment, 13 reinstate,
//	                  14 to 20 settlement at the close (package ledger checks them), 21 amount change
//
// What speaks of a transaction in a month that was retired is not held against it, if
// it is old enough to have been there when the month left: its transfers are sealed.
var checks = []ledger.Check{
	{Name: "approved transactions have exactly their transfers", SQL: `
		WITH journals AS (
			SELECT bucket, journal_id,
				coalesce(sum(amount_minor) FILTER (WHERE kind IN (2, 3) AND phase = 1), 0) AS sale,
				coalesce(sum(amount_minor) FILTER (WHERE kind IN (3, 8) AND phase = 1), 0) AS advice,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 3 AND phase = 1), 0) AS cashback,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 4 AND phase = 2), 0) AS hold,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 5 AND phase IN (1, 3)), 0) AS completion,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 6 AND phase = 4), 0) AS release,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 9 AND phase IN (1, 4)), 0) AS void,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 9 AND phase = 2), 0) AS restored,
				coalesce(sum(amount_minor) FILTER (WHERE kind IN (5, 6, 11, 12, 13, 21)), 0) AS undone,
				coalesce(sum(amount_minor) FILTER (WHERE kind = 10 AND phase = 1), 0) AS refund,
				coalesce(sum(CASE WHEN (credit_account >> 48) = 17 THEN amount_minor ELSE -amount_minor END)
					FILTER (WHERE kind = 21 AND phase = 1), 0) AS change,
				sum(amount_minor) AS all_legs
			FROM (` + journalsInOrder + `) f GROUP BY bucket, business_date, journal_id)
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'),
			'kind ' || t.kind || ', state ' || t.state || ', amount ' || t.amount_minor || ', transfers ' || coalesce(j.all_legs, 0)
		FROM transactions t LEFT JOIN journals j ON j.bucket = t.bucket AND j.journal_id = t.transaction_id
		WHERE CASE
			WHEN t.state IN (1, 8) OR t.kind IN (9, 16, 20, 21, 22) THEN coalesce(j.all_legs, 0) <> 0
			WHEN t.kind = 1 THEN coalesce(j.hold, 0) <> t.amount_minor OR j.all_legs <> j.hold
			WHEN t.kind = 2 THEN coalesce(j.sale, 0) <> t.amount_minor OR j.all_legs <> j.sale OR j.cashback <> t.cashback_minor
			WHEN t.kind = 3 THEN coalesce(j.completion, 0) <> t.amount_minor OR j.all_legs <> j.completion + j.release
			WHEN t.kind = 4 THEN coalesce(j.advice, 0) <> t.amount_minor OR j.all_legs <> j.advice OR j.cashback <> t.cashback_minor
			WHEN t.kind = 5 THEN coalesce(j.void, 0) <> t.amount_minor OR j.all_legs <> j.void + j.restored
			WHEN t.kind = 6 THEN coalesce(j.refund, 0) <> t.amount_minor OR j.all_legs <> j.refund
			WHEN t.kind = 8 THEN j.all_legs <> j.undone OR t.original_id IS NULL AND j.all_legs <> 0
			WHEN t.kind = 17 THEN coalesce(j.change, 0) <> t.amount_minor - t.previous_minor OR j.all_legs <> abs(j.change)
			ELSE true END`},
	{Name: "every transfer has its cause", SQL: `
		SELECT 'journal ' || f.journal_id, 'transfers of kind ' || f.kind || ' and no transaction'
		FROM transfers f
		WHERE f.kind NOT IN (1, 7) AND f.kind NOT BETWEEN 14 AND 20 AND NOT EXISTS (
			SELECT FROM transactions t WHERE t.bucket = f.bucket AND t.transaction_id = f.journal_id)
		AND NOT EXISTS ( -- a refund that was approved in a later month than it was asked for
			SELECT FROM reviews v WHERE v.bucket = f.bucket AND v.review_id = f.journal_id AND v.state = 2 AND v.business_date < ` + ledger.KeptFromSQL + `
				AND f.kind = 10 AND f.phase = 1 AND f.business_date < ` + ledger.QuietFromSQL + `)`},
	{Name: "what stands equals what was moved", SQL: `
		WITH legs AS (
			SELECT bucket, journal_id,
				sum(CASE WHEN kind IN (2, 3, 5, 8, 13) OR kind = 21 AND (credit_account >> 48) = 17 THEN amount_minor
					WHEN kind IN (9, 11, 12, 21) THEN -amount_minor ELSE 0 END)::bigint AS captured,
				sum(CASE WHEN kind = 10 THEN amount_minor WHEN kind = 11 THEN -amount_minor ELSE 0 END)::bigint AS refunded
			FROM (` + journalsInOrder + `) f WHERE phase IN (1, 3)
			GROUP BY bucket, business_date, journal_id),
		moved AS MATERIALIZED (
			SELECT t.bucket, t.business_date, t.transaction_id, t.kind, t.rrn, t.state, t.captured_minor, t.refunded_minor, t.refund_count,
				t.original_date, t.original_id,
				coalesce(l.captured, 0) AS captured, coalesce(l.refunded, 0) AS refunded
			FROM transactions t LEFT JOIN legs l ON l.bucket = t.bucket AND l.journal_id = t.transaction_id
			WHERE t.kind IN (2, 3, 4, 5, 6, 8, 17)),
		contras AS ( -- voids, refunds, reversals and adjustments by their purchase; reversals of the others by that one's
			SELECT c.bucket, CASE WHEN o.kind IN (5, 6, 17) THEN o.original_id ELSE c.original_id END AS subject,
				max(CASE WHEN o.kind IN (5, 6, 17) THEN o.original_date ELSE c.original_date END) AS subject_date,
				max(c.business_date) FILTER (WHERE c.captured <> 0 OR c.refunded <> 0) AS last_date,
				sum(CASE WHEN o.kind = 6 THEN c.captured - c.refunded ELSE c.captured END) AS captured,
				sum(CASE WHEN c.kind = 6 OR o.kind = 6 THEN c.refunded ELSE 0 END) AS refunded,
				count(*) FILTER (WHERE c.kind = 6 AND c.state IN (2, 8)) AS refunds
			FROM moved c LEFT JOIN (SELECT bucket, business_date, transaction_id, kind, original_date, original_id FROM moved WHERE kind IN (5, 6, 17)) o
				ON c.kind = 8 AND o.bucket = c.bucket AND o.business_date = c.original_date AND o.transaction_id = c.original_id
			WHERE c.kind IN (5, 6, 8, 17) AND c.original_id IS NOT NULL
			GROUP BY 1, 2)
		SELECT 'transaction ' || coalesce(t.transaction_id::text || ' RRN ' || lpad(t.rrn::text, 12, '0'), c.subject::text, 'unknown'),
			CASE WHEN t.transaction_id IS NULL THEN 'is no purchase, and ' || c.captured || ' was undone of it and ' || c.refunded || ' refunded'
				ELSE 'state ' || t.state || ', captured ' || t.captured_minor || ', replay ' || t.captured + coalesce(c.captured, 0) ||
					'; refunded ' || t.refunded_minor || ', replay ' || coalesce(c.refunded, 0) ||
					'; refunds ' || t.refund_count || ', those that stand or wait ' || coalesce(c.refunds, 0) END
		FROM (SELECT bucket, transaction_id, rrn, state, captured_minor, refunded_minor, refund_count, captured FROM moved WHERE kind IN (2, 3, 4)) t
		FULL JOIN contras c ON c.bucket = t.bucket AND c.subject = t.transaction_id
		WHERE CASE WHEN t.transaction_id IS NULL THEN (c.captured <> 0 OR c.refunded <> 0)
				AND (c.subject_date >= ` + ledger.KeptFromSQL + ` OR c.last_date >= ` + ledger.QuietFromSQL + `)
			ELSE t.captured_minor <> t.captured + coalesce(c.captured, 0) OR t.refunded_minor <> coalesce(c.refunded, 0)
				OR t.refund_count <> coalesce(c.refunds, 0)
				OR t.state IN (1, 4, 5, 7) AND t.captured_minor <> 0 OR t.state = 2 AND t.captured_minor = 0 END`},
	{Name: "authorizations and holds agree", SQL: `
		SELECT 'authorization ' || coalesce(t.transaction_id, h.hold_id),
			'state ' || coalesce(t.state::text, 'missing') || ', hold ' || coalesce(h.state::text, 'missing')
		FROM (SELECT bucket, transaction_id, state FROM transactions WHERE kind = 1 AND state > 1) t
		FULL JOIN (SELECT bucket, hold_id, state FROM holds WHERE business_date >= ` + ledger.KeptFromSQL + `) h
			ON h.bucket = t.bucket AND h.hold_id = t.transaction_id
		WHERE CASE t.state WHEN 2 THEN 1 WHEN 3 THEN 2 WHEN 4 THEN 3 WHEN 5 THEN 3 WHEN 6 THEN 4 WHEN 7 THEN 3 ELSE 0 END
			IS DISTINCT FROM h.state`},
	{Name: "captured holds have their completion", SQL: `
		SELECT 'hold ' || h.hold_id, 'captured ' || h.captured_minor || ', and no completion of that'
		FROM holds h
		WHERE h.state = 2 AND h.business_date >= ` + ledger.KeptFromSQL + ` AND NOT EXISTS (
			SELECT FROM (SELECT bucket, original_id, captured_minor, amount_minor FROM transactions WHERE kind = 3 AND state IN (2, 5, 7)) t
			WHERE t.bucket = h.bucket AND t.original_id = h.hold_id
				AND h.captured_minor BETWEEN t.captured_minor AND t.amount_minor)`}, // a reversal in part leaves less
	{Name: "what is under review is reserved", SQL: `
		WITH waiting AS (
			SELECT bucket, original_id, sum(amount_minor) AS minor FROM transactions
			WHERE state = 8 AND original_id IS NOT NULL GROUP BY bucket, original_id)
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'),
			'in review ' || t.reviewed_minor || ', refunds waiting ' || coalesce(w.minor, 0)
		FROM transactions t LEFT JOIN waiting w ON w.bucket = t.bucket AND w.original_id = t.transaction_id
		WHERE t.reviewed_minor <> coalesce(w.minor, 0)`},
	{Name: "transfers are their transaction's", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'),
			'leg ' || f.leg || ' of kind ' || f.kind || ' moves ' || f.debit_account || ' to ' || f.credit_account || ' on ' || f.business_date
		FROM transfers f JOIN transactions t ON t.bucket = f.bucket AND t.transaction_id = f.journal_id
		WHERE f.currency <> t.currency
			OR f.business_date <> coalesce(t.posted_date, t.business_date)
			OR t.kind = 1 AND f.hold_id IS DISTINCT FROM t.transaction_id
			OR t.kind = 3 AND f.hold_id IS NOT NULL AND f.hold_id IS DISTINCT FROM t.original_id
			OR CASE
				WHEN f.phase > 1 OR f.kind IN (2, 3, 5, 8, 13) THEN
					f.debit_account IS DISTINCT FROM (16::bigint << 48 | t.card_id) OR f.credit_account <> (17::bigint << 48 | t.merchant_id)
				WHEN f.kind = 9 THEN
					f.debit_account <> (17::bigint << 48 | t.merchant_id) OR f.credit_account IS DISTINCT FROM (16::bigint << 48 | t.card_id)
				WHEN f.kind IN (10, 12) THEN
					f.debit_account <> (18::bigint << 48 | t.merchant_id) OR f.credit_account IS DISTINCT FROM (16::bigint << 48 | t.card_id)
				WHEN f.kind = 21 THEN
					NOT (f.debit_account = (17::bigint << 48 | t.merchant_id) AND f.credit_account = (16::bigint << 48 | t.card_id)
						OR f.debit_account = (16::bigint << 48 | t.card_id) AND f.credit_account = (17::bigint << 48 | t.merchant_id)) IS DISTINCT FROM false
				WHEN f.kind = 11 THEN
					NOT (f.debit_account = (17::bigint << 48 | t.merchant_id) AND f.credit_account = (16::bigint << 48 | t.card_id)
						OR f.debit_account = (16::bigint << 48 | t.card_id) AND f.credit_account = (18::bigint << 48 | t.merchant_id)) IS DISTINCT FROM false
				ELSE true END`},
	{Name: "every transaction has its key", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'), 'no key leads to it'
		FROM transactions t
		WHERE NOT EXISTS (
			SELECT FROM idempotency_keys k
			WHERE k.bucket = t.bucket AND k.business_date = t.business_date AND k.transaction_id = t.transaction_id AND k.merchant_id = t.merchant_id
				AND k.terminal_id = t.terminal_id AND k.stan = t.stan AND NOT k.tombstone
				AND CASE t.asked -- classes as package switching stores them
					WHEN 8 THEN k.class IN (2, 3) -- under its original's batch, which may have ended
					ELSE k.batch_no = t.batch_no
						AND k.class = CASE WHEN t.asked IN (20, 22) THEN 4 WHEN t.asked = 21 THEN 5 WHEN t.asked = 16 THEN 6 ELSE 1 END END)`},
	{Name: "answers are what became of it", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'), 'state ' || t.state || ', answered for reason ' || t.reason
		FROM transactions t
		WHERE CASE t.state WHEN 1 THEN t.reason IN (1, 38) WHEN 8 THEN t.reason <> 38 ELSE t.reason <> 1 END`},
	{Name: "nothing was accepted after its business date", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'),
			'accepted ' || t.accepted_at || ', and ' || t.business_date || ' ended ' || d.closes_at
		FROM transactions t JOIN business_days d USING (calendar_id, business_date)
		WHERE t.accepted_at >= d.closes_at`},
	{Name: "every refund under review has its review", SQL: `
		SELECT 'refund ' || coalesce(t.transaction_id, v.review_id) || coalesce(' RRN ' || lpad(t.rrn::text, 12, '0'), ''),
			CASE WHEN v.review_id IS NULL THEN 'nobody is asked about it' ELSE 'somebody is asked about it, and it does not wait' END
		FROM (SELECT bucket, transaction_id, rrn FROM transactions WHERE state = 8) t
		FULL JOIN (SELECT bucket, review_id FROM reviews WHERE state = 1) v ON v.bucket = t.bucket AND v.review_id = t.transaction_id
		WHERE t.transaction_id IS NULL OR v.review_id IS NULL`},
	{Name: "what the host took back was told by nobody", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'), 'abandoned, and told by ' || cardinality(t.told_by)
		FROM transactions t WHERE t.state = 7 AND cardinality(t.told_by) > 0`},
	{Name: "months that left are in the audit log", SQL: `
		SELECT 'month ' || to_char(m.month, 'YYYY-MM'), 'no row of the audit log has it with these figures'
		FROM retired_months m
		WHERE NOT EXISTS (
			SELECT FROM audit_log a
			WHERE a.kind = '` + monthRetired + `' AND a.recorded_at = m.retired_at AND a.subject = to_char(m.month, 'YYYY-MM')
				AND a.detail LIKE ` + retiredDetailSQL + ` || '%')`},
	{Name: "transactions that have left are not in the ledger", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'), 'of ' || t.business_date || ', and everything before ' ||
			` + ledger.KeptFromSQL + ` || ' has left'
		FROM transactions t WHERE t.business_date < ` + ledger.KeptFromSQL + ``},
	{Name: "RRNs are given once", SQL: `
		SELECT 'RRN ' || lpad(rrn::text, 12, '0'), count(*) || ' transactions'
		FROM transactions GROUP BY rrn, accepted_at::date HAVING count(*) > 1`},
}
