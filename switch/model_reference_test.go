package switching_test

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/argon2"
)

// What merchants, terminals and operators may do is reference data: the model
// has it, and publish writes it down and lets the hosts read it.

const policySQL = `
UPDATE policies SET cancel_mode = $2, max_amount_minor = nullif($3::bigint, 0), max_cashback_minor = nullif($4::bigint, 0),
	completion_percent = $5, hold_days = $6, allow_authorization = $7, allow_cashback = $8, allow_offline_advice = $9,
	allow_void = $10, allow_refund = $11, refund_window_days = $12, max_refunds = $13,
	void_window_minutes = nullif($14::int, 0), max_voids_per_day = nullif($15::int, -1), max_void_minor_per_day = nullif($16::bigint, -1),
	review_threshold_minor = nullif($17::bigint, -1), allow_unreferenced_refund = $18, max_unreferenced_minor = nullif($19::bigint, 0),
	min_balance_minor = CASE WHEN $20 THEN $21::bigint END, require_operator = $22, supervisor_for_void = $23, supervisor_for_refund = $24,
	refund_to_lost = $25, refund_to_frozen = $26, refund_to_closed = $27, settled_by_batch = $28, auto_close_batch = $29,
	reversal_window_days = $30
WHERE policy_id = $1`

// publish lets the database and the hosts have the model's reference data.
func (tw *twins) publish() {
	tw.tb.Helper()
	b := &pgx.Batch{}
	for i := range tw.m.Merchants {
		m := &tw.m.Merchants[i]
		p := &m.Policy
		b.Queue(policySQL, i+1, string(p.Mode), p.MaxAmountMinor, p.MaxCashbackMinor, p.CompletionPercent, p.HoldDays, p.AllowAuthorization,
			p.AllowCashback, p.AllowOfflineAdvice, p.AllowVoid, p.AllowRefund, p.RefundWindowDays, p.MaxRefunds,
			int(p.VoidWindow.Minutes()), p.MaxVoidsPerDay, p.MaxVoidMinorPerDay, p.ReviewThresholdMinor, p.AllowUnreferencedRefund,
			p.MaxUnreferencedMinor, p.HasMinBalance, p.MinBalanceMinor, p.RequireOperator, p.SupervisorForVoid, p.SupervisorForRefund,
			string(p.RefundToLost), string(p.RefundToFrozen), string(p.RefundToClosed), p.SettledByBatch, p.AutoCloseBatch, p.ReversalWindowDays)
		b.Queue(`UPDATE merchants SET active = $2, allow_void = $3, allow_refund = $4, review_refunds = $5 WHERE merchant_id = $1`,
			i+1, m.Active, m.AllowVoid, m.AllowRefund, m.ReviewRefunds)
	}
	for i := range tw.m.Terminals {
		t := &tw.m.Terminals[i]
		b.Queue(`UPDATE terminals SET active = $2, allow_void = $3, allow_refund = $4 WHERE terminal_id = $1`, i+1, t.Active, t.AllowVoid, t.AllowRefund)
	}
	for k, o := range tw.m.Operators {
		b.Queue(`UPDATE operators SET active = $3 WHERE merchant_id = $1 AND operator_no = $2`, k.Merchant+1, k.Number, o.Active)
	}
	b.Queue(`DELETE FROM discount_terms`)
	for _, d := range tw.m.Discounts {
		b.Queue(`INSERT INTO discount_terms (merchant_id, network, valid_from, rate_millionths, fixed_minor, returns_fee) VALUES ($1, $2, $3::text::date, $4, $5, $6)`,
			d.Merchant+1, d.Network, d.From.String(), d.RateMillionths, d.FixedMinor, d.ReturnsFee)
	}
	b.Queue(`DELETE FROM reserve_terms`)
	for _, r := range tw.m.Reserves {
		b.Queue(`INSERT INTO reserve_terms (merchant_id, valid_from, rate_millionths, release_days) VALUES ($1, $2::text::date, $3, $4)`,
			r.Merchant+1, r.From.String(), r.RateMillionths, r.ReleaseDays)
	}
	b.Queue(`UPDATE installation SET directory_version = directory_version + 1`)
	tw.must(tw.owner.SendBatch(context.Background(), b).Close())
	tw.refresh()
}

func (tw *twins) refresh() {
	tw.tb.Helper()
	for _, h := range tw.hosts {
		tw.must(h.sw.Refresh(context.Background()))
	}
}

// cheapHash is a password's hash with parameters that a test can afford. Nothing
// about it is secret here, so it needs no salt of its own.
func cheapHash(password string) string {
	const memory, passes, threads = 8, 1, 1
	salt := []byte("a salt for tests")
	hash := argon2.IDKey([]byte(password), salt, passes, memory, threads, 16)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads, b64.EncodeToString(salt), b64.EncodeToString(hash))
}
