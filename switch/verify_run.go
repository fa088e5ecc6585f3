package switching

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/ledger"
)

// Verify recomputes everything that the ledger and the transactions promise, in
// one snapshot: it may run beside a working host. It takes one connection and,
// in the database, one processor.
func Verify(ctx context.Context, db ledger.TxBeginner) (*Verification, error) {
	return verifyOn(ctx, db, 1)
}

// VerifyOn does the same on up to so many connections at once, for those who
// wait for the result. All of them look at one snapshot.
func VerifyOn(ctx context.Context, pool *pgxpool.Pool, connections int) (*Verification, error) {
	// One that the pool does not have would be waited for until the others are done.
	return verifyOn(ctx, pool, max(1, min(connections, int(pool.Config().MaxConns))))
}

func verifyOn(ctx context.Context, db ledger.TxBeginner, connections int) (*Verification, error) {
	started := time.Now()
	v := &Verification{Findings: []ledger.Finding{}}
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		if err := prepareVerification(ctx, tx, connections); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM transfers)`).
			Scan(&v.Transactions, &v.Transfers); err != nil {
			return fmt.Errorf("count: %w", err)
		}
		r := verificationRun{checks: allChecks(), connections: connections}
		r.found = make([][]ledger.Finding, len(r.checks))
		if err := r.run(ctx, db, tx); err != nil {
			return err
		}
		v.Findings = append(v.Findings, slices.Concat(r.found...)...)
		return v.audit(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("verify ledger: %w", err)
	}
	v.Took = time.Since(started)
	return v, nil
}

// allChecks of a verification. Those that take longest are at the end.
func allChecks() []ledger.Check { return slices.Concat(ledger.Checks(), checks, batchChecks) }

// verifyMemoryMB is for sorts and hashes of all connections together: one pass
// over everything profits from memory.
const verifyMemoryMB = 256

// prepareVerification gives a connection its settings. Only a hash join keeps its
// time whatever the statistics say: the bucket alone joins every row with every
// other. Parallel workers would take processors that sales wait for, and sums of
// millions of journals gain nothing by them.
//
// The locks come before the first statement that takes the snapshot. Otherwise it could be
// of a moment before a month leaves ([RetireMonths]) and meet the tables as they are after it.
func prepareVerification(ctx context.Context, tx pgx.Tx, connections int) error {
	for _, setting := range []string{
		"LOCK TABLE ONLY transactions, ONLY transfers IN ACCESS SHARE MODE",
		fmt.Sprintf("SET LOCAL work_mem = '%dMB'", max(verifyMemoryMB/connections, 16)), "SET LOCAL plan_cache_mode = 'auto'",
		"SET LOCAL enable_nestloop = off", "SET LOCAL enable_mergejoin = off", "SET LOCAL max_parallel_workers_per_gather = 0",
	} {
		if _, err := tx.Exec(ctx, setting); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}

// verificationRun hands checks out to connections.
type verificationRun struct {
	checks      []ledger.Check
	found       [][]ledger.Finding // by check
	connections int
	taken       atomic.Int64
}

// run works on the snapshot's own transaction and on others that share it.
func (r *verificationRun) run(ctx context.Context, db ledger.TxBeginner, tx pgx.Tx) error {
	if r.connections == 1 {
		return r.work(ctx, tx)
	}
	var snapshot string
	if err := tx.QueryRow(ctx, `SELECT pg_export_snapshot()`).Scan(&snapshot); err != nil {
		return fmt.Errorf("share the snapshot: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, r.connections)
	var others sync.WaitGroup
	for i := range r.connections - 1 {
		others.Go(func() {
			if errs[i] = r.beside(ctx, db, snapshot); errs[i] != nil {
				cancel()
			}
		})
	}
	last := r.connections - 1
	if errs[last] = r.work(ctx, tx); errs[last] != nil {
		cancel()
	}
	others.Wait() // the snapshot is there for as long as its transaction
	return errors.Join(errs...)
}

func (r *verificationRun) beside(ctx context.Context, db ledger.TxBeginner, snapshot string) error {
	return inSnapshot(ctx, db, func(tx pgx.Tx) error {
		// The statement takes no parameters; the name is the server's own.
		if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+snapshot+"'"); err != nil {
			return fmt.Errorf("take the snapshot: %w", err)
		}
		if err := prepareVerification(ctx, tx, r.connections); err != nil {
			return err
		}
		return r.work(ctx, tx)
	})
}

// work takes checks, the last one first, until there are none: those over all
// transactions are at the end and take longest.
func (r *verificationRun) work(ctx context.Context, tx pgx.Tx) error {
	for {
		i := len(r.checks) - int(r.taken.Add(1))
		if i < 0 {
			return nil
		}
		found, err := ledger.RunChecks(ctx, tx, r.checks[i:i+1])
		if err != nil {
			return err
		}
		r.found[i] = found
	}
}
