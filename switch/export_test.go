package switching

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/ledger"
)

// LookAtStanding is one look of the watch that a switch has beside its work.
func LookAtStanding(ctx context.Context, db ledger.Querier, now time.Time, registry *prometheus.Registry) error {
	return newStandingWatch(registry).look(ctx, db, now)
}

// VerifyOnce is one verification of those that a switch does beside its work, with rests
// of so many times as long as each part took, of which none may take longer than timeout.
func (s *Switch) VerifyOnce(ctx context.Context, registry *prometheus.Registry, rests int, timeout time.Duration) {
	w := newLedgerWatch(registry)
	w.rests, w.timeout = rests, timeout
	s.verifyOnce(ctx, w)
}

// AllChecks of a verification.
var AllChecks = allChecks

// Spoil has the decision on a request that a lane has queued panic.
func (r *Request) Spoil() {
	m := *r.merchant
	m.zone = nil
	r.merchant = &m
}

// StatementsOfAMonth are those of units of work whose text names a month, for that of a date.
func StatementsOfAMonth(d ledger.Date) map[string]string {
	list := map[string]string{
		"byRRNSQL": byRRNSQL, "lockRecordsSQL": lockRecordsSQL, "strangeSQL": strangeSQL, "strangeOriginalsSQL": strangeOriginalsSQL,
		"updateRecordsSQL": updateRecordsSQL, "withdrawRefundSQL": withdrawRefundSQL, "voidsTodaySQL": voidsTodaySQL,
	}
	for name, sql := range list {
		list[name] = monthOf(d).in(sql)
	}
	return list
}

// DateOfRRN is the day on which it was handed out.
var DateOfRRN = rrnDate

// OwedSQL is what a merchant (2) of a bucket (1) is owed in a currency (3) over its accounts (4).
const OwedSQL = owedSQL
