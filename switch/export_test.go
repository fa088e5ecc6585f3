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

// VerifyOnce is one verification of those that a switch does beside its work.
func (s *Switch) VerifyOnce(ctx context.Context, registry *prometheus.Registry) error {
	return s.verifyOnce(ctx, newLedgerWatch(registry))
}

// AllChecks of a verification.
var AllChecks = allChecks

// Spoil has the decision on a request that a lane has queued panic.
func (r *Request) Spoil() {
	m := *r.merchant
	m.zone = nil
	r.merchant = &m
}
