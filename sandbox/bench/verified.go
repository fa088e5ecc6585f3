//go:build unix

package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	// smoke is a run of which nobody reads the figures: it does not wait.
	smoke = 2 * time.Second
	// verifyPatience is for some ten million sales.
	verifyPatience = 30 * time.Minute
	// verifiedMetric is when a host last verified the ledger; 0 until it has.
	verifiedMetric = "meridian_ledger_verified_timestamp_seconds"
)

// verified waits until the host has verified the ledger once. It begins soon after
// its start and then leaves nineteen times as long between: what is measured is the
// long time between, not a processor that verifies.
func (r *run) verified(ctx context.Context) error {
	r.o.sayf("waiting until the ledger is verified for the first time")
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		served, err := r.host.metric(ctx, verifiedMetric)
		if err != nil {
			return err
		}
		if served > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ledger is not verified: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
