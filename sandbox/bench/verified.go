//go:build unix

package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	// muchStored is what takes a host longer than a moment to verify.
	muchStored = 100_000
	// verifyPatience is for some ten million sales.
	verifyPatience = 30 * time.Minute
	// verifiedMetric is when a host last verified the ledger; 0 until it has.
	verifiedMetric = "meridian_ledger_verified_timestamp_seconds"
)

// verified waits until both hosts have verified the ledger once. They begin soon
// after their start and then leave nineteen times as long between: what is measured
// is the long time between, not a processor that verifies.
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
		inProcess, err := r.path.metric(verifiedMetric)
		if err != nil {
			return err
		}
		if served > 0 && inProcess > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ledger is not verified: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// metric of the switch in this process, which has one value.
func (p *ledgerPath) metric(name string) (float64, error) {
	families, err := p.metrics.Gather()
	if err != nil {
		return 0, fmt.Errorf("ledger path: %w", err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue(), nil
		}
	}
	return 0, fmt.Errorf("ledger path: there is no metric %s", name)
}
