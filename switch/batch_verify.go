package switching

import "meridian/ledger"

// batchChecks hold batches against their transactions. Totals are computed anew
// from what was moved while the batch was open: what a later batch voids,
// reverses or reinstates stays in the totals that were closed.
var batchChecks = []ledger.Check{
	{Name: "a terminal has one current batch", SQL: `
		SELECT 'terminal ' || t.terminal_id, coalesce(sum(CASE WHEN b.state < 5 THEN 1 ELSE 0 END), 0) || ' current batches'
		FROM (SELECT DISTINCT bucket, terminal_id FROM batches) t JOIN batches b USING (bucket, terminal_id)
		GROUP BY t.bucket, t.terminal_id HAVING sum(CASE WHEN b.state < 5 THEN 1 ELSE 0 END) <> 1`},
	{Name: "transactions are in a batch", SQL: `
		SELECT 'transaction ' || t.transaction_id || ' RRN ' || lpad(t.rrn::text, 12, '0'), 'terminal ' || t.terminal_id || ' has no batch ' || t.batch_no
		FROM transactions t
		WHERE t.state <> 1 AND NOT EXISTS (
			SELECT FROM batches b WHERE b.bucket = t.bucket AND b.terminal_id = t.terminal_id AND b.batch_no = t.batch_no)`},
	{Name: "a closed batch's totals equal its transactions", SQL: `
		WITH closed AS (
			SELECT bucket, terminal_id, batch_no, sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor
			FROM batches -- without those that may have transactions in months that were retired
			WHERE closed_at IS NOT NULL AND (coalesce(opened_date, '-infinity') >= ` + ledger.KeptFromSQL + `
				OR closed_at > (SELECT max(retired_at) FROM retired_months))),
		legs AS (
			SELECT f.bucket, f.journal_id,
				sum(f.amount_minor) FILTER (WHERE f.kind IN (2, 3, 5, 8) AND f.phase IN (1, 3)) AS captured,
				sum(f.amount_minor) FILTER (WHERE f.kind = 9 AND f.phase = 1) AS voided,
				sum(f.amount_minor) FILTER (WHERE f.kind = 10 AND f.phase = 1) AS refunded,
				sum(f.amount_minor) FILTER (WHERE f.kind IN (5, 11, 12, 13) AND f.phase IN (1, 3)) AS undone,
				sum(CASE WHEN (f.credit_account >> 48) = 17 THEN f.amount_minor ELSE -f.amount_minor END)
					FILTER (WHERE f.kind = 21 AND f.phase = 1) AS changed
			FROM (` + journalsInOrder + `) f GROUP BY f.bucket, f.business_date, f.journal_id),
		repaired AS (
			SELECT r.bucket, r.terminal_id, r.batch_no, r.original_id, sum(l.undone) AS undone
			FROM transactions r JOIN legs l ON l.bucket = r.bucket AND l.journal_id = r.transaction_id
			WHERE r.kind = 8 AND r.original_id IS NOT NULL GROUP BY r.bucket, r.terminal_id, r.batch_no, r.original_id),
		changed AS ( -- by adjustments, less those that were taken back
			SELECT a.bucket, a.terminal_id, a.batch_no, CASE a.kind WHEN 17 THEN a.original_id ELSE o.original_id END AS original_id, sum(l.changed) AS changed
			FROM transactions a JOIN legs l ON l.bucket = a.bucket AND l.journal_id = a.transaction_id
			LEFT JOIN transactions o ON a.kind = 8 AND o.bucket = a.bucket AND o.business_date = a.original_date AND o.transaction_id = a.original_id
			WHERE l.changed IS NOT NULL GROUP BY 1, 2, 3, 4),
		counted AS (
			SELECT t.bucket, t.terminal_id, t.batch_no, t.kind,
				coalesce(g.changed, 0) + coalesce(CASE WHEN t.kind IN (2, 3, 4) THEN l.captured WHEN t.kind = 5 THEN l.voided ELSE l.refunded END, 0)
				- coalesce(r.undone, 0) AS minor
			FROM transactions t JOIN closed b USING (bucket, terminal_id, batch_no)
			JOIN legs l ON l.bucket = t.bucket AND l.journal_id = t.transaction_id
			LEFT JOIN repaired r ON r.bucket = t.bucket AND r.terminal_id = t.terminal_id AND r.batch_no = t.batch_no AND r.original_id = t.transaction_id
			LEFT JOIN changed g ON g.bucket = t.bucket AND g.terminal_id = t.terminal_id AND g.batch_no = t.batch_no AND g.original_id = t.transaction_id
			WHERE t.kind IN (2, 3, 4, 5, 6) AND t.state <> 1 AND (t.kind <> 6 OR t.posted_date IS NULL)),
		totals AS (
			SELECT bucket, terminal_id, batch_no,
				count(*) FILTER (WHERE kind IN (2, 3, 4)) AS sale_count, coalesce(sum(minor) FILTER (WHERE kind IN (2, 3, 4)), 0) AS sale_minor,
				count(*) FILTER (WHERE kind = 5) AS void_count, coalesce(sum(minor) FILTER (WHERE kind = 5), 0) AS void_minor,
				count(*) FILTER (WHERE kind = 6) AS refund_count, coalesce(sum(minor) FILTER (WHERE kind = 6), 0) AS refund_minor
			FROM counted WHERE minor > 0 GROUP BY bucket, terminal_id, batch_no)
		SELECT 'batch ' || b.batch_no || ' of terminal ' || b.terminal_id,
			'sales ' || b.sale_count || ' of ' || b.sale_minor || ', transactions ' || coalesce(t.sale_count, 0) || ' of ' || coalesce(t.sale_minor, 0) ||
			'; voids ' || b.void_count || ' of ' || b.void_minor || ', transactions ' || coalesce(t.void_count, 0) || ' of ' || coalesce(t.void_minor, 0) ||
			'; refunds ' || b.refund_count || ' of ' || b.refund_minor || ', transactions ' || coalesce(t.refund_count, 0) || ' of ' || coalesce(t.refund_minor, 0)
		FROM closed b LEFT JOIN totals t USING (bucket, terminal_id, batch_no)
		WHERE (b.sale_count, b.sale_minor, b.void_count, b.void_minor, b.refund_count, b.refund_minor) IS DISTINCT FROM
			(coalesce(t.sale_count, 0), coalesce(t.sale_minor, 0), coalesce(t.void_count, 0), coalesce(t.void_minor, 0),
			 coalesce(t.refund_count, 0), coalesce(t.refund_minor, 0))`},
}
