package switching

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/ledger"
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
}

const (
	// verifyFirst after the start: soon enough that a restore shows, late enough
	// not to be in the way of terminals that reconnect.
	verifyFirst = 15 * time.Second
	// verifyTimeout is far above what a verification takes, and keeps a hung
	// database from holding a connection for ever.
	verifyTimeout = 10 * time.Minute
	// verifyShare is the part of the time that verifications may take: one in
	// twenty leaves a large ledger's database to its terminals.
	verifyShare = 20
)

func newLedgerWatch(reg prometheus.Registerer) *ledgerWatch {
	w := &ledgerWatch{
		imbalance: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meridian_ledger_imbalance_minor_units",
			Help: "Debits less credits over all accounts, by currency, at the last verification: cards as their balances are kept, " +
				"all others as transfers add up. Anything but 0 is money that was made up or lost.",
		}, []string{"currency"}),
		findings: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_ledger_findings",
			Help: "Rows that the last verification found to be off: run meridian ledger verify for their names.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_ledger_verification_failures_total",
			Help: "Verifications that could not be ended: nothing is known of the ledger until the next one.",
		}),
		verified: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_ledger_verified_timestamp_seconds",
			Help: "When the last verification ended, in Unix time. 0 until the first has.",
		}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_ledger_verification_duration_seconds",
			Help: "How long the last verification took. The next one comes after twenty times as long, or later.",
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
		started := time.Now()
		if err := s.verifyOnce(ctx, w); err != nil && ctx.Err() == nil {
			w.failures.Inc()
			s.log.Warn("cannot verify the ledger; trying again later", "error", err)
		}
		timer.Reset(max(s.opts.VerifyEvery, (verifyShare-1)*time.Since(started)))
	}
}

func (s *Switch) verifyOnce(ctx context.Context, w *ledgerWatch) error {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	v, err := Verify(ctx, s.pool)
	if err != nil {
		return err
	}
	imbalances, err := ledger.Imbalances(ctx, s.pool)
	if err != nil {
		return err
	}
	for _, i := range imbalances {
		w.imbalance.WithLabelValues(i.Currency.Alpha()).Set(float64(i.Minor))
	}
	w.findings.Set(float64(len(v.Findings)))
	w.took.Set(v.Took.Seconds())
	w.verified.Set(float64(time.Now().UnixMilli()) / 1000)
	w.auditRows.Set(float64(v.AuditRows))
	w.broken.Set(0)
	if slices.ContainsFunc(v.Findings, func(f ledger.Finding) bool { return f.Check == auditCheck }) {
		w.broken.Set(1)
	} else {
		// Logs leave the machine: held against a head that was told there, a log that
		// was written anew by the database's owner shows too.
		s.log.Info("audit log verified", "rows", v.AuditRows, "sequence", v.AuditHead.Sequence, "head", v.AuditHead.Hash.String())
	}
	for _, f := range v.Findings {
		s.log.Error("the ledger is off", "check", f.Check, "subject", f.Subject, "detail", f.Detail)
	}
	return nil
}
