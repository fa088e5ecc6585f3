package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/ledger"
)

// verificationPart is one look at everything, in a snapshot of its own: each check is
// about one moment by itself.
type verificationPart struct {
	name string
	do   func(ctx context.Context, tx pgx.Tx) ([]ledger.Finding, error)
}

func (s *Switch) verificationParts(w *ledgerWatch) []verificationPart {
	var parts []verificationPart
	for _, c := range allChecks() {
		parts = append(parts, verificationPart{c.Name, func(ctx context.Context, tx pgx.Tx) ([]ledger.Finding, error) {
			return ledger.RunChecks(ctx, tx, []ledger.Check{c})
		}})
	}
	return append(parts,
		verificationPart{auditCheck, func(ctx context.Context, tx pgx.Tx) ([]ledger.Finding, error) { return s.watchAudit(ctx, w, tx) }},
		verificationPart{"imbalances", func(ctx context.Context, tx pgx.Tx) ([]ledger.Finding, error) { return nil, w.sum(ctx, tx) }},
	)
}

// errTooLong: a part of a verification has used up its time.
var errTooLong = errors.New("took too long")

// verifyOnce goes through all parts of a verification, with rests between them, and shows
// what they find as soon as they do. A part that the database does not end, or that takes too long,
// does not keep the others from being looked at; without a database there is nothing to look at. It
// returns how long the parts took, and whether all were looked at.
func (s *Switch) verifyOnce(ctx context.Context, w *ledgerWatch) (took time.Duration, whole bool) {
	whole = true
	for _, part := range s.verificationParts(w) {
		began := time.Now()
		findings, err := s.verifyPart(ctx, w, part)
		spent := time.Since(began)
		took += spent
		switch {
		case ctx.Err() != nil:
			return took, false
		case err != nil:
			whole = false
			w.failures.Inc()
			s.log.Warn("cannot verify the ledger; trying again later", "part", part.name, "error", err)
			if _, told := errors.AsType[*pgconn.PgError](err); !told && !errors.Is(err, errTooLong) {
				return took, false
			}
		default:
			w.show(part.name, len(findings))
		}
		for _, f := range findings {
			s.log.Error("the ledger is off", "check", f.Check, "subject", f.Subject, "detail", f.Detail)
		}
		if rest(ctx, time.Duration(w.rests)*spent) != nil {
			return took, false
		}
	}
	if whole {
		w.took.Set(took.Seconds())
		w.verified.Set(float64(time.Now().UnixMilli()) / 1000)
	}
	return took, whole
}

// show how many rows a part has found.
func (w *ledgerWatch) show(part string, findings int) {
	w.found[part] = findings
	sum := 0
	for _, n := range w.found {
		sum += n
	}
	w.findings.Set(float64(sum))
}

func (s *Switch) verifyPart(ctx context.Context, w *ledgerWatch, part verificationPart) (findings []ledger.Finding, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	err = inSnapshot(ctx, s.pool, func(tx pgx.Tx) error {
		if err := prepareVerification(ctx, tx, 1); err != nil {
			return err
		}
		findings, err = part.do(ctx, tx)
		return err
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", errTooLong, err)
	}
	return findings, err
}

// watchAudit walks the audit log, and shows how far it is whole.
func (s *Switch) watchAudit(ctx context.Context, w *ledgerWatch, tx pgx.Tx) ([]ledger.Finding, error) {
	v := &Verification{}
	if err := v.audit(ctx, tx); err != nil {
		return nil, err
	}
	w.auditRows.Set(float64(v.AuditRows))
	if !v.OK() {
		w.broken.Set(1)
		return v.Findings, nil
	}
	w.broken.Set(0)
	// Logs leave the machine: held against a head that was told there, a log that
	// was written anew by the database's owner shows too.
	s.log.Info("audit log verified", "rows", v.AuditRows, "sequence", v.AuditHead.Sequence, "head", v.AuditHead.Hash.String())
	return nil, nil
}

// sum shows what every currency comes to.
func (w *ledgerWatch) sum(ctx context.Context, tx pgx.Tx) error {
	imbalances, err := ledger.Imbalances(ctx, tx)
	if err != nil {
		return err
	}
	for _, i := range imbalances {
		w.imbalance.WithLabelValues(i.Currency.Alpha()).Set(float64(i.Minor))
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
