package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// overdueDays bounds how far back a close looks for reserves that are due. Every
// date is closed, so a reserve is due on the very date that is being closed; a
// merchant whose calendar changed meanwhile may be some dates behind. The
// verification tells what is later still.
const overdueDays = 60

// dueReserves gives back the reserves whose days are over by this date, and
// keeps that it did. The key of what it keeps lets nobody do so twice.
func (cl *closing) dueReserves(ctx context.Context) error {
	rows, err := cl.tx.Query(ctx, `
		WITH due AS MATERIALIZED (
			SELECT s.bucket, s.merchant_id, s.currency, s.business_date, s.reserve_minor
			FROM settlements s JOIN merchants c ON c.merchant_id = s.merchant_id AND c.calendar_id = $3
			WHERE s.bucket = $1 AND s.reserve_release_on BETWEEN $2::date - $4::integer AND $2 AND s.reserve_minor > 0
				AND NOT EXISTS (
					SELECT FROM reserve_releases r
					WHERE r.bucket = s.bucket AND r.merchant_id = s.merchant_id AND r.currency = s.currency AND r.business_date = s.business_date)),
		kept AS (
			INSERT INTO reserve_releases (bucket, merchant_id, currency, business_date, released_on)
			SELECT bucket, merchant_id, currency, business_date, $2 FROM due)
		SELECT merchant_id, currency, reserve_minor FROM due`,
		cl.window.bucket, cl.window.date.Time(), cl.window.calendarID, overdueDays)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by run
	}
	var k statementKey
	var minor int64
	_, err = pgx.ForEachRow(rows, []any{&k.merchantID, &k.currency, &minor}, func() error {
		return addTo(&cl.statement(k).ReserveReleasedMinor, minor)
	})
	return err //nolint:wrapcheck // wrapped by run
}

// reserveChecks prove that what is held back of a merchant is the reserves of
// its statements that were not given back, each given back once and in time.
func reserveChecks() []Check {
	return []Check{
		{"reserves held are those not released", `
			WITH held AS (
				SELECT s.bucket, s.merchant_id, s.currency, max(s.business_date) AS business_date,
					coalesce(sum(s.reserve_minor) FILTER (WHERE r.released_on IS NULL), 0) AS minor,
					(array_agg(s.closing_reserve_minor ORDER BY s.business_date DESC))[1] AS closing
				FROM settlements s LEFT JOIN reserve_releases r USING (bucket, merchant_id, currency, business_date)
				GROUP BY s.bucket, s.merchant_id, s.currency)
			SELECT ` + statementSQL + `, 'closes with a reserve of ' || closing || ', not released ' || minor
			FROM held WHERE closing <> minor OR closing < 0`},
		{"statements release what is kept as released", `
			WITH released AS (
				SELECT r.bucket, r.merchant_id, r.currency, r.released_on AS business_date,
					sum(s.reserve_minor) AS minor, bool_or(r.released_on < s.reserve_release_on OR s.reserve_release_on IS NULL) AS early
				FROM reserve_releases r JOIN settlements s USING (bucket, merchant_id, currency, business_date)
				GROUP BY 1, 2, 3, 4)
			SELECT ` + statementSQL + `, 'releases ' || coalesce(s.reserve_released_minor, 0) || ', kept as released ' || coalesce(r.minor, 0)
				|| CASE WHEN r.early THEN ', some of it early' ELSE '' END
			FROM (
				SELECT bucket, merchant_id, currency, business_date, reserve_released_minor
				FROM settlements WHERE reserve_released_minor <> 0) s
			FULL JOIN released r USING (bucket, merchant_id, currency, business_date)
			WHERE s.reserve_released_minor IS DISTINCT FROM r.minor OR r.early`},
		{"due reserves are released", `
			SELECT ` + statementSQL + `, 'its reserve of ' || s.reserve_minor || ' was due on ' || s.reserve_release_on || ' and is held'
			FROM settlements s LEFT JOIN reserve_releases r USING (bucket, merchant_id, currency, business_date)
			WHERE s.reserve_minor > 0 AND r.released_on IS NULL AND EXISTS (
				SELECT FROM settlements n
				WHERE n.bucket = s.bucket AND n.merchant_id = s.merchant_id AND n.currency = s.currency AND n.business_date >= s.reserve_release_on)`},
	}
}
