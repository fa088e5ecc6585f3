package switching

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// auditQueue bounds what waits to be written: a flood of denied attempts
	// costs memory for no more.
	auditQueue = 1024
	// auditBatch rows share a commit.
	auditBatch = 128
	// auditTimeout is the longest that a denied attempt waits for its row.
	auditTimeout = 3 * time.Second
)

// AuditEntry is a denied attempt or a change by a person. It never holds a card
// number, a key or a PIN.
type AuditEntry struct {
	At      time.Time
	Kind    string // mac_failure, ...
	Subject string // terminal, merchant, person
	Detail  string
}

// Auditor writes the audit log, apart from the lanes.
type Auditor struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	queue chan auditJob
	lost  prometheus.Counter
	ended chan struct{}
}

type auditJob struct {
	entry AuditEntry
	done  func()
}

// NewAuditor starts an auditor that works until ctx ends; Wait returns when it
// has written what was there.
func NewAuditor(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, reg prometheus.Registerer) *Auditor {
	a := &Auditor{
		pool: pool, log: log, queue: make(chan auditJob, auditQueue), ended: make(chan struct{}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_audit_rows_lost_total",
			Help: "Denied attempts that could not be written to the audit log: the database was away or a flood filled the queue.",
		}),
	}
	if reg != nil {
		reg.MustRegister(a.lost)
	}
	go a.run(ctx)
	return a
}

// Record writes an entry and then calls done, also when it could not be written.
func (a *Auditor) Record(entry AuditEntry, done func()) {
	select {
	case a.queue <- auditJob{entry, done}:
	default:
		a.lost.Inc()
		a.log.Warn("audit log is full", "kind", entry.Kind, "subject", entry.Subject)
		done()
	}
}

// Wait until the auditor has ended.
func (a *Auditor) Wait() { <-a.ended }

func (a *Auditor) run(ctx context.Context) {
	defer close(a.ended)
	for {
		select {
		case <-ctx.Done():
			for {
				select {
				case j := <-a.queue:
					a.write(context.WithoutCancel(ctx), j)
				default:
					return
				}
			}
		case j := <-a.queue:
			a.write(context.WithoutCancel(ctx), j)
		}
	}
}

// write takes what else is waiting along.
func (a *Auditor) write(ctx context.Context, first auditJob) {
	jobs := []auditJob{first}
	for len(jobs) < auditBatch {
		select {
		case j := <-a.queue:
			jobs = append(jobs, j)
			continue
		default:
		}
		break
	}
	var at []time.Time
	var kinds, subjects, details []string
	for _, j := range jobs {
		at = append(at, j.entry.At)
		kinds, subjects, details = append(kinds, j.entry.Kind), append(subjects, j.entry.Subject), append(details, j.entry.Detail)
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	_, err := a.pool.Exec(ctx, `
		INSERT INTO audit_log (recorded_at, kind, subject, detail)
		SELECT u.recorded_at, u.kind, u.subject, u.detail
		FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[]) AS u(recorded_at, kind, subject, detail)`, at, kinds, subjects, details)
	if err != nil {
		a.lost.Add(float64(len(jobs)))
		a.log.Error("cannot write the audit log", "rows", len(jobs), "error", err)
	}
	for _, j := range jobs {
		j.done()
	}
}
