package switching

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/postgres"
)

const (
	// auditQueue bounds what waits to be written: a flood of denied attempts
	// costs memory for no more.
	auditQueue = 1024
	// auditBatch rows share a commit.
	auditBatch = 128
	// auditTimeout is the longest that a denied attempt waits for its row.
	auditTimeout = 3 * time.Second
	// auditRetry is the longest pause between two tries inside auditTimeout.
	auditRetry = 200 * time.Millisecond
)

// Auditor writes the audit log, apart from the lanes.
type Auditor struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	queue chan auditJob
	lost  prometheus.Counter
	ended chan struct{}
	// dropped are attempts that found the queue full, since the last row that says so.
	dropped atomic.Int64
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
		a.dropped.Add(1)
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
	entries := make([]AuditEntry, 0, len(jobs)+1)
	for _, j := range jobs {
		entries = append(entries, j.entry)
	}
	if n := a.dropped.Swap(0); n > 0 {
		a.log.Warn("the audit log was full", "rows", n)
		entries = append(entries, AuditEntry{
			At: jobs[0].entry.At, Kind: "rows_lost", Subject: "audit log", Detail: fmt.Sprintf("a flood kept %d rows from being written", n),
		})
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	if err := a.store(ctx, entries); err != nil {
		a.lost.Add(float64(len(jobs)))
		a.log.Error("cannot write the audit log", "rows", len(jobs), "error", err)
	}
	for _, j := range jobs {
		j.done()
	}
}

// store appends entries once, however often it has to try.
func (a *Auditor) store(ctx context.Context, entries []AuditEntry) error {
	var doubt AuditHead // the end of the chain if the commit in doubt was done
	for attempt := 0; ; attempt++ {
		head, commitSent, err := a.append(ctx, entries, doubt)
		if err == nil {
			return nil
		}
		switch postgres.Classify(err, commitSent) {
		case postgres.Permanent:
			return err
		case postgres.Unknown:
			doubt = head
		case postgres.NotCommitted:
		}
		if postgres.Backoff(ctx, attempt, auditRetry) != nil {
			return err
		}
	}
}

// append is one try. A try whose outcome is not known has committed exactly if
// the chain has the row it would have ended with; while the end of the chain is
// locked, that try is over.
func (a *Auditor) append(ctx context.Context, entries []AuditEntry, doubt AuditHead) (head AuditHead, commitSent bool, err error) {
	tx, err := a.pool.Begin(ctx)
	if err != nil {
		return head, false, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing is left to undo after a commit
	if doubt.Sequence > 0 {
		if _, err := lockAuditHead(ctx, tx); err != nil {
			return head, false, err
		}
		var done bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM audit_log WHERE sequence = $1 AND hash = $2)`,
			doubt.Sequence, doubt.Hash[:]).Scan(&done); err != nil {
			return head, false, fmt.Errorf("look for rows in doubt: %w", err)
		}
		if done {
			return doubt, false, nil
		}
	}
	if head, err = appendAudit(ctx, tx, entries); err != nil {
		return head, false, err
	}
	if err := tx.Commit(ctx); err != nil {
		return head, true, fmt.Errorf("commit: %w", err)
	}
	return head, true, nil
}
