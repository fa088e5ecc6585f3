package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// This file is how the transfers of a business date are summed up, at its close
// and in every verification after it: what moved on a merchant's accounts, and
// the seal over the transfers themselves.

// The digest of one transfer: the first eight bytes of the SHA-256 of all its
// columns. A statement keeps the sum over its transfers, so that their order
// does not matter and a sum over statements is the seal of a window. It shows
// that a row was changed, removed or added; that nobody may is a matter of
// privileges.
const transferDigestSQL = `('x' || encode(substring(sha256(convert_to(concat_ws('|',
	bucket, business_date - date '1970-01-01', journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor,
	coalesce(hold_id::text, '-')), 'UTF8')) FROM 1 FOR 8), 'hex'))::bit(64)::bigint`

// namesMerchantSQL holds for transfers that name a merchant's account. A
// transfer names one merchant, on one side or on both.
func namesMerchantSQL() string {
	roles := roleList(merchantRoles)
	return fmt.Sprintf(`((debit_account >> %[1]d) IN (%[2]s) OR (credit_account >> %[1]d) IN (%[2]s))`, ownerBits, roles)
}

func merchantOfSQL() string {
	return fmt.Sprintf(`(CASE WHEN (debit_account >> %[1]d) IN (%[2]s) THEN debit_account ELSE credit_account END & %[3]d)::integer`,
		ownerBits, roleList(merchantRoles), int64(1)<<ownerBits-1)
}

// movedSQL is what a transfer adds to an account of the role: credits positive.
func movedSQL(role Role) string {
	return fmt.Sprintf(`CASE WHEN phase IN (%[3]d, %[4]d) THEN
			CASE WHEN (credit_account >> %[1]d) = %[2]d THEN amount_minor ELSE 0 END
			- CASE WHEN (debit_account >> %[1]d) = %[2]d THEN amount_minor ELSE 0 END
		ELSE 0 END`, ownerBits, role, Posted, PostPending)
}

// movement is one sum over a merchant's transfers of a business date.
type movement struct {
	column string
	sql    string
}

// movements in the columns of a statement. The letters p and y are what a leg
// adds to the merchant's pending and payable.
func movements() []movement {
	const settlement = KindSettlement
	count := func(condition string, args ...any) string {
		return "count(*) FILTER (WHERE " + fmt.Sprintf(condition, args...) + ")"
	}
	sum := func(what, condition string, args ...any) string {
		return "coalesce(sum(" + what + ") FILTER (WHERE " + fmt.Sprintf(condition, args...) + "), 0)::bigint"
	}
	return []movement{
		{"sale_count", count("kind = %d", KindSale)},
		{"sale_minor", sum("p", "kind = %d", KindSale)},
		{"cashback_count", count("kind = %d", KindCashback)},
		{"cashback_minor", sum("p", "kind = %d", KindCashback)},
		// What a completion takes above its hold is a leg of its own.
		{"completion_count", count("kind = %d AND phase = %d", KindCompletion, PostPending)},
		{"completion_minor", sum("p", "kind = %d", KindCompletion)},
		{"advice_count", count("kind = %d", KindAdvice)},
		{"advice_minor", sum("p", "kind = %d", KindAdvice)},
		{"reinstatement_count", count("kind = %d AND p <> 0", KindReinstate)},
		{"reinstatement_minor", sum("p", "kind = %d", KindReinstate)},
		{"amount_change_count", count("kind = %d", KindAmountChange)},
		{"amount_change_minor", sum("p", "kind = %d", KindAmountChange)},
		{"void_count", count("kind = %d AND p <> 0", KindVoid)},
		{"void_minor", sum("-p", "kind = %d", KindVoid)},
		{"reversal_count", count("kind = %d AND p <> 0", KindReversal)},
		{"reversal_minor", sum("-p", "kind = %d", KindReversal)},
		{"gross_minor", sum("p", "kind <> %d", settlement)},
		{"refund_count", count("kind = %d", KindRefund)},
		{"refund_minor", sum("-y", "kind = %d", KindRefund)},
		{"refund_reversal_count", count("kind = %d AND y <> 0", KindReversal)},
		{"refund_reversal_minor", sum("y", "kind = %d", KindReversal)},
		{"adjustment_count", count("kind = %d", KindAdjustment)},
		{"adjustment_minor", sum("-y", "kind = %d", KindAdjustment)},
		{"other_minor", sum("y", "kind NOT IN (%d, %d, %d) AND kind NOT BETWEEN %d AND %d",
			KindRefund, KindReversal, KindAdjustment, KindSettlement, KindDiscountReturn)},
		{"discount_minor", sum("-y", "kind = %d", KindDiscount)},
		{"discount_returned_minor", sum("y", "kind = %d", KindDiscountReturn)},
		{"reserve_minor", sum("-y", "kind = %d", KindReserve)},
		{"reserve_released_minor", sum("y", "kind = %d", KindReserveRelease)},
		{"to_receivable_minor", sum("y", "kind = %d", KindReceivable)},
		{"recovered_minor", sum("-y", "kind = %d", KindRecovery)},
	}
}

// movementsSQL sums the transfers that the filter leaves, by bucket, merchant,
// currency and business date: the movements, what is left in pending, and what
// moved on the other accounts.
func movementsSQL(filter string) string {
	var sums strings.Builder
	for _, m := range movements() {
		fmt.Fprintf(&sums, "%s AS %s,\n\t\t\t", m.sql, m.column)
	}
	return fmt.Sprintf(`
		SELECT bucket, merchant_id, currency, business_date,
			%[1]s
			sum(p)::bigint AS pending_moved, sum(y)::bigint AS payable_moved,
			sum(v)::bigint AS receivable_moved, sum(s)::bigint AS reserve_moved
		FROM (
			SELECT bucket, business_date, currency, kind, phase, %[2]s AS merchant_id,
				%[3]s AS p,
				%[4]s AS y,
				-(%[5]s) AS v,
				%[6]s AS s
			FROM transfers WHERE %[7]s AND %[8]s) legs
		GROUP BY bucket, merchant_id, currency, business_date`,
		sums.String(), merchantOfSQL(), movedSQL(RoleMerchantPending), movedSQL(RoleMerchantPayable),
		movedSQL(RoleMerchantReceivable), movedSQL(RoleMerchantReserve), namesMerchantSQL(), filter)
}

// sealsSQL sums up the transfers themselves, by bucket, merchant, currency and
// business date.
func sealsSQL(filter string) string {
	return fmt.Sprintf(`
		SELECT bucket, %s AS merchant_id, currency, business_date,
			count(*) AS transfer_count, sum(amount_minor)::bigint AS transfer_minor, sum(%s) AS digest
		FROM transfers WHERE %s AND %s
		GROUP BY 1, 2, 3, 4`, merchantOfSQL(), transferDigestSQL, namesMerchantSQL(), filter)
}

// SettlementChecks prove that statements are the ledger's, that nothing is left
// pending on closed dates, that reserves are given back once and that closed windows are as they were sealed.
func SettlementChecks() []Check {
	return slices.Concat(statementChecks(), reserveChecks(), sealChecks())
}

// statementSQL names a statement in a finding.
const statementSQL = `'merchant ' || merchant_id || ' on ' || business_date || ' in currency ' || currency`

func statementChecks() []Check {
	var differs, told []string
	for _, m := range movements() {
		differs = append(differs, fmt.Sprintf("s.%[1]s <> m.%[1]s", m.column))
		told = append(told, fmt.Sprintf("CASE WHEN s.%[1]s <> m.%[1]s THEN '%[1]s ' || s.%[1]s || ', transfers ' || m.%[1]s END", m.column))
	}
	for _, account := range []string{"payable", "receivable", "reserve"} {
		moved := fmt.Sprintf("s.closing_%[1]s_minor - s.opening_%[1]s_minor <> m.%[1]s_moved", account)
		differs = append(differs, moved)
		told = append(told, fmt.Sprintf(`CASE WHEN %[2]s THEN '%[1]s ' || s.opening_%[1]s_minor || ' to ' || s.closing_%[1]s_minor
			|| ', transfers move it by ' || m.%[1]s_moved END`, account, moved))
	}
	return []Check{
		{"transfers of closes have their statement", fmt.Sprintf(`
			SELECT 'journal ' || t.journal_id, 'kind ' || t.kind || ' on ' || t.business_date || ' and no statement'
			FROM transfers t
			WHERE t.kind BETWEEN %d AND %d AND NOT EXISTS (
				SELECT FROM settlements s WHERE s.bucket = t.bucket AND s.business_date = t.business_date AND s.journal_id = t.journal_id)`,
			KindSettlement, KindDiscountReturn)},
		{"statements equal transfers", fmt.Sprintf(`
			WITH moved AS (%s)
			SELECT %s, CASE WHEN s.journal_id IS NULL THEN 'transfers in a closed window and no statement'
				WHEN m.sale_count IS NULL THEN 'a statement and no transfers'
				ELSE concat_ws('; ', %s) END
			FROM settlements s FULL JOIN moved m USING (bucket, merchant_id, currency, business_date)
			WHERE CASE WHEN s.journal_id IS NULL THEN EXISTS (
					SELECT FROM merchants c JOIN windows w ON w.calendar_id = c.calendar_id
					WHERE c.merchant_id = m.merchant_id AND w.bucket = m.bucket AND w.business_date = m.business_date AND w.state = %d)
				WHEN m.sale_count IS NULL THEN s.business_date >= %s
				ELSE %s END`, movementsSQL("true"), statementSQL, strings.Join(told, ",\n\t\t\t\t\t"),
			WindowClosed, KeptFromSQL, strings.Join(differs, "\n\t\t\t\t\tOR "))},
		{"statements follow one another", `
			WITH chain AS (
				SELECT bucket, merchant_id, currency, business_date, opening_payable_minor, opening_receivable_minor, opening_reserve_minor,
					lag(closing_payable_minor, 1, 0::bigint) OVER statements AS payable,
					lag(closing_receivable_minor, 1, 0::bigint) OVER statements AS receivable,
					lag(closing_reserve_minor, 1, 0::bigint) OVER statements AS reserve
				FROM settlements
				WINDOW statements AS (PARTITION BY bucket, merchant_id, currency ORDER BY business_date))
			SELECT ` + statementSQL + `, 'opens with payable ' || opening_payable_minor || ', receivable ' || opening_receivable_minor ||
				', reserve ' || opening_reserve_minor || '; the one before closed with ' || payable || ', ' || receivable || ', ' || reserve
			FROM chain
			WHERE opening_payable_minor <> payable OR opening_receivable_minor <> receivable OR opening_reserve_minor <> reserve`},
		{"nothing is pending on closed dates", fmt.Sprintf(`
			WITH pending AS (
				SELECT bucket, %[1]s AS merchant_id, currency, business_date, sum(%[2]s) AS minor
				FROM transfers WHERE (debit_account >> %[3]d) = %[4]d OR (credit_account >> %[3]d) = %[4]d
				GROUP BY 1, 2, 3, 4)
			SELECT %[5]s, 'pending ' || p.minor
			FROM pending p LEFT JOIN settlements s USING (bucket, merchant_id, currency, business_date)
			WHERE p.minor <> 0 AND (s.journal_id IS NOT NULL OR EXISTS (
				SELECT FROM merchants c JOIN windows w ON w.calendar_id = c.calendar_id
				WHERE c.merchant_id = p.merchant_id AND w.bucket = p.bucket AND w.business_date = p.business_date AND w.state = %[6]d))`,
			merchantOfSQL(), movedSQL(RoleMerchantPending), ownerBits, RoleMerchantPending, statementSQL, WindowClosed)},
	}
}

func sealChecks() []Check {
	return []Check{
		{"closed windows are unchanged since their seal", fmt.Sprintf(`
			WITH seals AS (%s)
			SELECT %s, 'sealed ' || s.transfer_count || ' transfers over ' || s.transfer_minor || ' (' || s.digest || '), now ' ||
				coalesce(n.transfer_count, 0) || ' over ' || coalesce(n.transfer_minor, 0) || ' (' || coalesce(n.digest, 0) || ')'
			FROM settlements s LEFT JOIN seals n USING (bucket, merchant_id, currency, business_date)
			WHERE (s.transfer_count, s.transfer_minor, s.digest) IS DISTINCT FROM (n.transfer_count, n.transfer_minor, n.digest)
				AND s.business_date >= %s`,
			sealsSQL("true"), statementSQL, KeptFromSQL)},
		{"windows are sealed as their statements", fmt.Sprintf(`
			WITH sums AS (
				SELECT bucket, calendar_id, business_date, count(*) AS statements,
					sum(transfer_count) AS transfer_count, sum(transfer_minor) AS transfer_minor, sum(digest) AS digest
				FROM settlements GROUP BY bucket, calendar_id, business_date)
			SELECT 'window ' || business_date || ' of calendar ' || calendar_id || ' in bucket ' || bucket,
				CASE WHEN z.sealed_at IS NULL THEN 'state ' || coalesce(w.state::text, 'missing') || ' and no seal'
					WHEN w.state IS DISTINCT FROM %[1]d THEN 'a seal and state ' || coalesce(w.state::text, 'missing')
					ELSE 'sealed ' || z.statements || ' statements of ' || z.transfer_count || ' transfers over ' || z.transfer_minor
						|| ', they have ' || coalesce(s.statements, 0) || ' of ' || coalesce(s.transfer_count, 0)
						|| ' over ' || coalesce(s.transfer_minor, 0) END
			FROM windows w FULL JOIN window_seals z USING (bucket, calendar_id, business_date)
			LEFT JOIN sums s USING (bucket, calendar_id, business_date)
			WHERE (w.state IS NOT DISTINCT FROM %[1]d) <> (z.sealed_at IS NOT NULL)
				OR (z.statements, z.transfer_count, z.transfer_minor, z.digest)
					<> (coalesce(s.statements, 0), coalesce(s.transfer_count, 0), coalesce(s.transfer_minor, 0), coalesce(s.digest, 0))`,
			WindowClosed)},
		{"windows close in order", fmt.Sprintf(`
			WITH following AS (
				SELECT bucket, calendar_id, business_date, state,
					lag(state) OVER (PARTITION BY bucket, calendar_id ORDER BY business_date) AS before
				FROM windows)
			SELECT 'window ' || f.business_date || ' of calendar ' || f.calendar_id || ' in bucket ' || f.bucket,
				CASE WHEN f.state > %[1]d AND f.before < %[2]d THEN 'state ' || f.state || ', the date before it ' || f.before
					ELSE 'state ' || f.state || ', ends ' || d.closes_at || ', cut ' || coalesce(c.cut_at::text, 'never')
						|| ', closed ' || coalesce(c.closed_at::text, 'never') END
			FROM following f JOIN business_days d USING (calendar_id, business_date)
			LEFT JOIN cutovers c USING (bucket, calendar_id, business_date)
			WHERE f.state > %[1]d AND f.before < %[2]d
				OR f.state > %[1]d AND (c.cut_at IS NULL OR c.cut_at < d.closes_at)
				OR (f.state = %[2]d) <> (c.closed_at IS NOT NULL)`, WindowOpen, WindowClosed)},
	}
}
