//go:build unix

package sandbox

import "github.com/jackc/pgx/v5/pgconn"

// This file is the package's SQL. Inserts leave a row alone that is there.

type commandTag = pgconn.CommandTag

const installedSQL = `SELECT to_regclass('installation') IS NOT NULL AND to_regclass('merchants') IS NOT NULL
	AND to_regclass('card_accounts') IS NOT NULL`

const inUseSQL = `
SELECT kind, EXISTS (SELECT FROM merchants) OR EXISTS (SELECT FROM card_accounts)
FROM installation`

// lockInstallation makes sandboxes that seed one database take turns.
const lockInstallation = ` FOR UPDATE`

const markSandboxSQL = `UPDATE installation SET kind = 'sandbox', directory_version = directory_version + 1`

const insertCalendarSQL = `
INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date, holiday_region, weekend_days)
VALUES ($1, $2, $3, $4::text::time, $5::text::date, $6, $7) ON CONFLICT DO NOTHING`

const insertHolidaySQL = `
INSERT INTO calendar_holidays (calendar_id, holiday, name)
VALUES ($1, $2::text::date, $3) ON CONFLICT DO NOTHING`

const operatorsSQL = `SELECT count(*) FROM operators WHERE merchant_id = ANY($1::int[]) AND operator_no = ANY($2::text[])`

const insertOperatorSQL = `
INSERT INTO operators (merchant_id, operator_no, supervisor, password_hash)
VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

const insertPolicySQL = `
INSERT INTO policies (policy_id, name, cancel_mode, max_amount_minor, max_cashback_minor)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`

const insertMerchantSQL = `
INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`

const insertTerminalSQL = `
INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, tpdu, mac_algorithm, key_scheme, tmk_wrapped, mak_wrapped, pik_wrapped)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`

const terminalKeysSQL = `
SELECT terminal_id, tmk_wrapped, mak_wrapped, pik_wrapped FROM terminals WHERE terminal_id = ANY($1::int[])`

const replaceKeysSQL = `
UPDATE terminals SET tmk_wrapped = $2, mak_wrapped = $3, pik_wrapped = $4 WHERE terminal_id = $1`

const insertRangeSQL = `
INSERT INTO bin_ranges (low, high, network, route)
VALUES ($1, $2, $3, 'onus') ON CONFLICT DO NOTHING`

const setPINSQL = `UPDATE card_accounts SET pin_reference = $3 WHERE card_id = $1 AND pan_token = $2 AND pin_reference IS NULL`

// Catalogues are filled while they are empty: what was changed by hand stays.
const (
	insertTerminalParameterSQL = `
INSERT INTO terminal_parameters (code, value)
SELECT $1, $2 FROM catalogues WHERE catalogue = 1 AND version = 0 ON CONFLICT DO NOTHING`
	insertPublicKeySQL = `
INSERT INTO public_keys (rid, key_index, expires_on, parameters)
SELECT $1, $2, $3::timestamptz::date, $4 FROM catalogues WHERE catalogue = 2 AND version = 0 ON CONFLICT DO NOTHING`
	insertChipApplicationSQL = `
INSERT INTO chip_applications (aid, parameters)
SELECT $1, $2 FROM catalogues WHERE catalogue = 3 AND version = 0 ON CONFLICT DO NOTHING`
	fillCatalogueSQL = `UPDATE catalogues SET version = 1 WHERE catalogue = $1 AND version = 0`
)

const countSeedsSQL = `
SELECT (SELECT count(*) FROM merchants WHERE merchant_id = $1 AND mid = $2)
	+ (SELECT count(*) FROM terminals t JOIN unnest($3::int[], $4::text[]) AS u(terminal_id, tid) USING (terminal_id, tid)
		WHERE t.merchant_id = $1)
	+ (SELECT count(*) FROM card_accounts JOIN unnest($5::bigint[], $6::bytea[]) AS u(card_id, pan_token) USING (card_id, pan_token))`

const availableSQL = `
SELECT card_id, balance_minor - held_minor FROM card_accounts WHERE card_id = ANY($1::bigint[])`

const batchesSQL = `
SELECT terminal_id, max(batch_no) FROM batches
WHERE bucket = $1 AND terminal_id = ANY($2::int[]) AND state < 5 GROUP BY terminal_id`
