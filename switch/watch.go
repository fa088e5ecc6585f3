package switching

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ledgerWatch verifies the ledger from time to time and shows what it found.
type ledgerWatch struct {
	imbalance *prometheus.GaugeVec
	findings  prometheus.Gauge
	failures  prometheus.Counter
	verified  prometheus.Gauge
	took      prometheus.Gauge
	auditRows prometheus.Gauge
	broken    prometheus.Gauge

	// timeout of a part.
	timeout time.Duration
	// rests is how many times as long as a part took nothing is verified after it. The first
	// whole round has none: a restore that lost something shows at once.
	rests int
	// found at the last look of each part.
	found map[string]int
}

const (
	// verifyFirst after the start: soon enough that a restore shows, late enough
	// not to be in the way of terminals that reconnect.
	verifyFirst = 15 * time.Second
	// verifyTimeout bounds each part of a verification, so that a hung database does not hold
	// a connection for ever, nor a snapshot what vacuum could clear away.
	verifyTimeout = 10 * time.Minute
	// verifyShare is the part of the time that verifications may take: one in
	// twenty leaves a large ledger's database to its terminals.
	verifyShare = 20
)

func newLedgerWatch(reg prometheus.Registerer) *ledgerWatch {
	w := &ledgerWatch{
		timeout: verifyTimeout, found: map[string]int{},
		imbalance: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meridian_ledger_imbalance_minor_units",
			Help: "Debits less credits over all accounts, by currency, at the last verification: cards as their balances are kept, " +
				"all others as transfers add up. Anything but 0 is money that was made up or lost.",
		}, []string{"currency"}),
		findings: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_ledger_findings",
			Help: "Rows that were found to be off when each check last looked: run meridian ledger verify for their names.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_ledger_verification_failures_total",
			Help: "Parts of verifications that could not be ended: nothing is known of what they look at until the next verification.",
		}),
		verified: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_ledger_verified_timestamp_seconds",
			Help: "When the last verification ended, in Unix time. 0 until the first has.",
		}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_ledger_verification_duration_seconds",
			Help: "How long the parts of the last verification took together. All but a host's first are spread over twenty times as long.",
		}),
		auditRows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_audit_rows",
			Help: "Rows of the audit log that fit its chain, at the last verification. It never goes down.",
		}),
		broken: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_audit_chain_broken",
			Help: "1 when a row of the audit log was changed, taken out or put in between: meridian audit verify names it.",
		}),
	}
	if reg != nil {
		reg.MustRegister(w.imbalance, w.findings, w.failures, w.verified, w.took, w.auditRows, w.broken)
	}
	return w
}

// watchLedger verifies the ledger beside the traffic until ctx ends.
func (s *Switch) watchLedger(ctx context.Context, w *ledgerWatch) {
	if s.opts.VerifyEvery < 0 {
		return
	}
	timer := time.NewTimer(min(verifyFirst, s.opts.VerifyEvery))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		took, whole := s.verifyOnce(ctx, w)
		pause := s.opts.VerifyEvery
		if w.rests == 0 {
			pause = max(pause, (verifyShare-1)*took)
		}
		if whole {
			w.rests = verifyShare - 1
		}
		timer.Reset(pause)
	}
}
