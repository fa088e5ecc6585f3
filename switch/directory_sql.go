package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// LoadDirectory reads all reference data as one version: in one snapshot, so
// that a terminal never meets a merchant of another version.
func LoadDirectory(ctx context.Context, db ledger.TxBeginner) (*Directory, error) {
	d := &Directory{
		merchants: map[string]*Merchant{}, merchantsByID: map[int32]*Merchant{}, terminals: map[string]*Terminal{}, calendars: map[int16]*ledger.Calendar{},
		operators: map[operatorKey]*Operator{}, catalogues: map[Catalogue]catalogue{},
	}
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error { return d.read(ctx, tx) })
	if err != nil {
		return nil, fmt.Errorf("load directory: %w", err)
	}
	return d, nil
}

// DirectoryVersion is the version that the database has now.
func DirectoryVersion(ctx context.Context, db ledger.Querier) (version int64, err error) {
	if err := db.QueryRow(ctx, `SELECT directory_version FROM installation`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read directory version: %w", err)
	}
	return version, nil
}

func inSnapshot(ctx context.Context, db ledger.TxBeginner, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { //nolint:wrapcheck // wrapped by the callers
		if _, err := tx.Exec(ctx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`); err != nil {
			return fmt.Errorf("begin snapshot: %w", err)
		}
		return do(tx)
	})
}

func (d *Directory) read(ctx context.Context, tx pgx.Tx) error {
	var err error
	if d.Version, err = DirectoryVersion(ctx, tx); err != nil {
		return err
	}
	calendars, err := ledger.Calendars(ctx, tx)
	if err != nil {
		return fmt.Errorf("calendars: %w", err)
	}
	for _, c := range calendars {
		d.calendars[c.ID] = c
	}
	byID := map[int32]*Merchant{}
	policies := map[int32]*Policy{}
	for _, step := range []func(context.Context, pgx.Tx) error{
		d.readBuckets,
		func(ctx context.Context, tx pgx.Tx) error { return readPolicies(ctx, tx, policies) },
		func(ctx context.Context, tx pgx.Tx) error { return d.readMerchants(ctx, tx, policies, byID) },
		func(ctx context.Context, tx pgx.Tx) error { return d.readTerminals(ctx, tx, byID) },
		d.readRanges,
		d.readOperators,
		d.readCatalogues,
	} {
		if err := step(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Directory) readBuckets(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT bucket FROM buckets ORDER BY bucket`)
	if err != nil {
		return fmt.Errorf("buckets: %w", err)
	}
	if d.buckets, err = pgx.CollectRows(rows, pgx.RowTo[int16]); err != nil {
		return fmt.Errorf("buckets: %w", err)
	}
	return nil
}

func readPolicies(ctx context.Context, tx pgx.Tx, into map[int32]*Policy) error {
	rows, err := tx.Query(ctx, `
		SELECT policy_id, name, cancel_mode, coalesce(max_amount_minor, 0), coalesce(max_cashback_minor, 0),
			completion_percent, hold_days, allow_authorization, allow_cashback, allow_offline_advice,
			allow_void, allow_refund, refund_window_days, max_refunds, reversal_window_days,
			coalesce(void_window_minutes, 0), coalesce(max_voids_per_day, -1), coalesce(max_void_minor_per_day, -1),
			review_threshold_minor, allow_unreferenced_refund, coalesce(max_unreferenced_minor, 0), min_balance_minor,
			require_operator, supervisor_for_void, supervisor_for_refund, refund_to_lost, refund_to_frozen, refund_to_closed,
			settled_by_batch, auto_close_batch
		FROM policies`)
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	var id int32
	var p Policy
	var voidMinutes int
	_, err = pgx.ForEachRow(rows, []any{
		&id, &p.Name, &p.CancelMode, &p.MaxAmountMinor, &p.MaxCashbackMinor,
		&p.CompletionPercent, &p.HoldDays, &p.AllowAuthorization, &p.AllowCashback, &p.AllowOfflineAdvice,
		&p.AllowVoid, &p.AllowRefund, &p.RefundWindowDays, &p.MaxRefunds, &p.ReversalWindowDays,
		&voidMinutes, &p.MaxVoidsPerDay, &p.MaxVoidMinorPerDay,
		&p.ReviewThresholdMinor, &p.AllowUnreferencedRefund, &p.MaxUnreferencedMinor, &p.MinBalanceMinor,
		&p.RequireOperator, &p.SupervisorForVoid, &p.SupervisorForRefund, &p.RefundToLost, &p.RefundToFrozen, &p.RefundToClosed,
		&p.SettledByBatch, &p.AutoCloseBatch,
	}, func() error {
		one := p
		one.VoidWindow = time.Duration(voidMinutes) * time.Minute
		into[id] = &one
		p.ReviewThresholdMinor, p.MinBalanceMinor = nil, nil // the next row must not write into this one's
		return nil
	})
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	return nil
}

func (d *Directory) readMerchants(ctx context.Context, tx pgx.Tx, policies map[int32]*Policy, byID map[int32]*Merchant) error {
	rows, err := tx.Query(ctx, `
		SELECT merchant_id, bucket, mid, name, currency, calendar_id, policy_id, active, allow_void, allow_refund, review_refunds
		FROM merchants`)
	if err != nil {
		return fmt.Errorf("merchants: %w", err)
	}
	var m Merchant
	var policyID int32
	_, err = pgx.ForEachRow(rows, []any{
		&m.ID, &m.Bucket, &m.MID, &m.Name, &m.Currency, &m.CalendarID, &policyID, &m.Active,
		&m.AllowVoid, &m.AllowRefund, &m.ReviewRefunds,
	}, func() error {
		one := m
		one.Policy, one.zone = policies[policyID], d.calendars[m.CalendarID].Zone
		d.merchants[one.MID], d.merchantsByID[one.ID], byID[one.ID] = &one, &one, &one
		return nil
	})
	if err != nil {
		return fmt.Errorf("merchants: %w", err)
	}
	return nil
}

func (d *Directory) readTerminals(ctx context.Context, tx pgx.Tx, byID map[int32]*Merchant) error {
	rows, err := tx.Query(ctx, `
		SELECT t.terminal_id, t.tid, t.merchant_id, t.dialect, t.active, t.mac_algorithm, t.certificate_sha256, t.allow_void, t.allow_refund,
			t.key_scheme, t.tmk_wrapped, t.mak_wrapped, t.pik_wrapped, k.bdk_wrapped, t.initial_ksn, t.pin_format
		FROM terminals t LEFT JOIN base_keys k USING (base_key_id)`)
	if err != nil {
		return fmt.Errorf("terminals: %w", err)
	}
	var t Terminal
	var pinFormat string
	_, err = pgx.ForEachRow(rows, []any{
		&t.ID, &t.TID, &t.MerchantID, &t.Dialect, &t.Active, &t.MACAlgorithm, &t.CertificateSHA256, &t.AllowVoid, &t.AllowRefund,
		&t.Scheme, &t.TMK, &t.MAK, &t.PIK, &t.BaseKey, &t.InitialKSN, &pinFormat,
	}, func() error {
		one := t
		one.MACKeyWrapped = one.MAK
		one.MID, one.PINFormat = byID[t.MerchantID].MID, pinFormats[pinFormat]
		d.terminals[one.TID] = &one
		t.CertificateSHA256, t.TerminalKeys = nil, TerminalKeys{} // the next row must not write into this one's
		return nil
	})
	if err != nil {
		return fmt.Errorf("terminals: %w", err)
	}
	return nil
}

func (d *Directory) readRanges(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT low, high, network, route FROM bin_ranges ORDER BY low`)
	if err != nil {
		return fmt.Errorf("card ranges: %w", err)
	}
	d.ranges, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r binRange, err error) {
		err = row.Scan(&r.low, &r.high, &r.network, &r.route)
		return r, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return fmt.Errorf("card ranges: %w", err)
	}
	return nil
}

func (d *Directory) readOperators(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT merchant_id, operator_no, supervisor, password_hash FROM operators WHERE active`)
	if err != nil {
		return fmt.Errorf("operators: %w", err)
	}
	var merchantID int32
	var o Operator
	_, err = pgx.ForEachRow(rows, []any{&merchantID, &o.Number, &o.Supervisor, &o.PasswordHash}, func() error {
		one := o
		d.operators[operatorKey{merchantID, o.Number}] = &one
		return nil
	})
	if err != nil {
		return fmt.Errorf("operators: %w", err)
	}
	return nil
}
