package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/migrations"
)

// kindSandbox is the kind of an installation that is no production.
const kindSandbox = "sandbox"

// installationKind says whether a database is for production or a sandbox's.
func installationKind(ctx context.Context, db ledger.Querier) (kind string, err error) {
	if err := db.QueryRow(ctx, `SELECT kind FROM installation`).Scan(&kind); err != nil {
		return "", fmt.Errorf("read the installation's kind: %w", err)
	}
	return kind, nil
}

// accountTransfer is a transfer that touched an account, as people see it.
type accountTransfer struct {
	BusinessDate ledger.Date    `json:"business_date"`
	JournalID    uuid.UUID      `json:"journal_id"`
	Leg          int16          `json:"leg"`
	RRN          string         `json:"rrn,omitempty"` // of the transaction that caused it; a load and an expiry have none
	Kind         string         `json:"kind"`
	Phase        string         `json:"phase"`
	Debit        string         `json:"debit"`
	Credit       string         `json:"credit"`
	Currency     money.Currency `json:"currency"`
	AmountMinor  int64          `json:"amount_minor"`
}

// transfersOfAccount returns the newest transfers that an account is a side of.
func transfersOfAccount(ctx context.Context, db ledger.Querier, account ledger.AccountID, limit int) ([]accountTransfer, error) {
	rows, err := db.Query(ctx, `
		SELECT f.business_date, f.journal_id, f.leg, coalesce(lpad(t.rrn::text, 12, '0'), ''), f.kind, f.phase,
			f.debit_account, f.credit_account, f.currency, f.amount_minor
		FROM transfers f
		LEFT JOIN transactions t ON t.bucket = f.bucket AND t.business_date = f.business_date AND t.transaction_id = f.journal_id
		WHERE f.debit_account = $1 OR f.credit_account = $1
		ORDER BY f.business_date DESC, f.journal_id DESC, f.leg LIMIT $2`, int64(account), limit)
	if err != nil {
		return nil, fmt.Errorf("find transfers: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (accountTransfer, error) {
		var t accountTransfer
		var date time.Time
		var kind ledger.Kind
		var phase ledger.Phase
		var debit, credit ledger.AccountID
		err := row.Scan(&date, &t.JournalID, &t.Leg, &t.RRN, &kind, &phase, &debit, &credit, &t.Currency, &t.AmountMinor)
		t.BusinessDate, t.Kind, t.Phase = ledger.DateOf(date), kind.String(), phase.String()
		t.Debit, t.Credit = debit.String(), credit.String()
		return t, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("find transfers: %w", err)
	}
	return list, nil
}

// server is what doctor asks of a Postgres.
type server struct {
	versionNumber int // such as 150014
	version       string
	now           time.Time // its clock
}

func readServer(ctx context.Context, db ledger.Querier) (s server, err error) {
	err = db.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('server_version'), clock_timestamp()`).
		Scan(&s.versionNumber, &s.version, &s.now)
	if err != nil {
		return s, fmt.Errorf("ask the server: %w", err)
	}
	return s, nil
}

// excessPrivileges names what the service's role may do and must not: change or remove transfers, truncate anything, delete
// anything, or own a table, which would give it all of these. Partitions have privileges of their own.
func excessPrivileges(ctx context.Context, db ledger.Querier) ([]string, error) {
	return texts(ctx, db, "look at the service role's privileges", `
		WITH tables AS (
			SELECT c.oid, c.relname, c.relowner, c.oid IN (SELECT relid FROM pg_partition_tree('transfers')) AS is_transfers
			FROM pg_class c
			WHERE c.relkind IN ('r', 'p') AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'transfers'::regclass))
		SELECT p.privilege || ' on ' || t.relname
		FROM tables t, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p (privilege)
		WHERE has_table_privilege($1, t.oid, p.privilege)
			AND (p.privilege <> 'UPDATE' OR t.is_transfers)
		UNION
		SELECT 'UPDATE on a column of ' || t.relname FROM tables t
		WHERE t.is_transfers AND has_any_column_privilege($1, t.oid, 'UPDATE')
		UNION
		SELECT 'ownership of ' || t.relname FROM tables t WHERE pg_has_role($1, t.relowner, 'MEMBER')
		ORDER BY 1 LIMIT 100`, migrations.ServiceRole)
}

// missingPrivileges names what a host needs and its role may not do.
func missingPrivileges(ctx context.Context, db ledger.Querier) ([]string, error) {
	return texts(ctx, db, "look at the service role's privileges", `
		SELECT p.privilege || ' on ' || p.name
		FROM (VALUES ('SELECT', 'installation'), ('SELECT', 'merchants'), ('SELECT', 'terminals'), ('SELECT', 'transfers'),
			('INSERT', 'transfers'), ('INSERT', 'transactions'), ('INSERT', 'idempotency_keys'), ('INSERT', 'holds'),
			('INSERT', 'audit_log'), ('INSERT', 'paid_back')) p (privilege, name)
		WHERE NOT has_table_privilege($1, p.name, p.privilege) ORDER BY 1`, migrations.ServiceRole)
}

// mayServe tells whether the login may assume the service's role.
func mayServe(ctx context.Context, db ledger.Querier) (exists, may bool, err error) {
	err = db.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
			EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND pg_has_role(current_user, oid, 'MEMBER'))`, migrations.ServiceRole).
		Scan(&exists, &may)
	if err != nil {
		return false, false, fmt.Errorf("look for the service role: %w", err)
	}
	return exists, may, nil
}

// tooMighty says what lets a login do more than a host's may, such as change what was posted: assuming the service's role is
// then no bound, as it can be given back. It is empty for a host's login.
func tooMighty(ctx context.Context, db ledger.Querier) (why string, err error) {
	err = db.QueryRow(ctx, `
		SELECT CASE WHEN rolsuper THEN 'a superuser'
			WHEN EXISTS (SELECT FROM pg_class c WHERE c.oid = 'transfers'::regclass AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
				THEN 'the owner of the tables'
			ELSE '' END
		FROM pg_roles r WHERE rolname = session_user`).Scan(&why)
	if err != nil {
		return "", fmt.Errorf("look at the login: %w", err)
	}
	return why, nil
}

// texts runs a query of one text column.
func texts(ctx context.Context, db ledger.Querier, action, query string, arguments ...any) ([]string, error) {
	rows, err := db.Query(ctx, query, arguments...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	return list, nil
}

// unsafeSettings names the server's settings that let a crash lose what was approved.
func unsafeSettings(ctx context.Context, db ledger.Querier) ([]string, error) {
	return texts(ctx, db, "look at the server's settings", `
		SELECT name || ' is ' || setting FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting IN ('off', 'local') ORDER BY name`)
}

// locks are how many a statement takes that is planned over all transactions, and how many
// the server has room for (PostgreSQL, Lock Management, max_locks_per_transaction).
func locks(ctx context.Context, db ledger.Querier) (needed, room int, err error) {
	if err := db.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM pg_partition_tree('transactions') p)
			+ (SELECT count(*) FROM pg_partition_tree('transactions') p JOIN pg_index i ON i.indrelid = p.relid),
			current_setting('max_locks_per_transaction')::int
				* (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)`,
	).Scan(&needed, &room); err != nil {
		return 0, 0, fmt.Errorf("look at the server's room for locks: %w", err)
	}
	return needed, room, nil
}
