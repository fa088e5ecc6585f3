package switching

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/postgres"
)

// unit is one unit of work: load, decide, store, as one database transaction
// for one bucket.
type unit struct {
	sw     *Switch
	bucket int16
	jobs   []*job
	rrns   *rrnSource
	// commitSent tells that COMMIT may have reached the database.
	commitSent bool
}

// run does the unit once. After an error, outcome says whether anything may
// have been written; without one, every job has its response.
func (u *unit) run(ctx context.Context) (outcome postgres.Outcome, err error) {
	u.commitSent = false
	conn, err := u.sw.pool.Acquire(ctx)
	if err != nil {
		return postgres.NotCommitted, fmt.Errorf("acquire connection: %w", err)
	}
	defer func() {
		outcome = u.finish(conn, err)
	}()
	now := u.sw.now()
	if err := u.rrns.reserve(ctx, conn.Conn(), now, int64(len(u.jobs))); err != nil {
		return 0, err
	}
	facts := newFacts(u.bucket, now, u.sw.directory.Load())
	started := time.Now()
	l := loader{conn: conn.Conn(), facts: facts, jobs: u.jobs}
	if err := l.load(ctx); err != nil {
		return 0, err
	}
	loaded := time.Now()
	u.decide(facts)
	decided := time.Now()
	if err := u.store(ctx, conn.Conn(), facts); err != nil {
		return 0, err
	}
	m := u.sw.metrics
	m.phase(phaseLoad, loaded.Sub(started))
	m.phase(phaseDecide, decided.Sub(loaded))
	m.phase(phaseStore, time.Since(decided))
	m.batchSize.Observe(float64(len(u.jobs)))
	return 0, nil
}

// finish gives the connection back, or closes it when it is in the middle of
// something, and says what the error means.
func (u *unit) finish(conn *pgxpool.Conn, err error) postgres.Outcome {
	if err == nil {
		conn.Release()
		return 0
	}
	outcome := postgres.Classify(err, u.commitSent)
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		// Bounded, because the server may be the reason for the error.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, rollbackErr := conn.Exec(ctx, "ROLLBACK"); rollbackErr != nil {
			_ = conn.Conn().Close(ctx) //nolint:errcheck // it is being thrown away
		}
	}
	conn.Release()
	return outcome
}

// decide gives every job its response. A request whose decision fails is
// answered so; its neighbours do not notice.
func (u *unit) decide(facts *Facts) {
	for _, j := range u.jobs {
		j.response, j.keep = Response{}, false
		u.decideOne(facts, j)
	}
}

func (u *unit) decideOne(facts *Facts, j *job) {
	defer func() {
		if p := recover(); p != nil {
			u.sw.metrics.panics.Inc()
			u.sw.log.Error("decision panicked", "panic", fmt.Sprintf("%T", p), "kind", j.request.Kind.String(), "stack", string(debug.Stack()))
			j.response = Response{Reason: SystemMalfunction, Became: j.request.Kind}
		}
	}()
	if j.answered {
		u.makeRight(facts, j)
		return
	}
	if !time.Now().Before(j.storeBy) {
		j.response = Response{Reason: StoreUnavailable, Became: j.request.Kind}
		return
	}
	verdict := Decide(facts, j.request, u.identity())
	facts.apply(&verdict)
	j.response, j.keep = verdict.Response, verdict.Record != nil
}

// makeRight deals with a request whose commit was unknown when its terminal
// had to be answered: if it was committed and approved after all, the host
// reverses it.
func (u *unit) makeRight(facts *Facts, j *job) {
	entry := facts.keys[facts.keyOf(j.request)]
	if entry == nil || entry.tombstone || entry.record.State != StateApproved || entry.record.Kind == KindReversal {
		return
	}
	stored := entry.record
	if facts.keys[Key{stored.MerchantID, stored.TerminalID, stored.BatchNo, stored.STAN, ClassHostReversal}] != nil {
		return
	}
	verdict := hostReversal(facts, stored, j.request, u.identity())
	facts.apply(&verdict)
	u.sw.log.Warn("reversed a transaction that was committed after its terminal had been told of a failure",
		"rrn", stored.RRN, "kind", stored.Kind.String())
}

func (u *unit) identity() Identity {
	id := uuid.Must(uuid.NewV7())
	// Six digits out of the id's random part.
	code := (uint32(id[12])<<24 | uint32(id[13])<<16 | uint32(id[14])<<8 | uint32(id[15])) % 1_000_000
	return Identity{ID: id, RRN: u.rrns.take(), AuthCode: fmt.Sprintf("%06d", code)}
}

// store writes what the verdicts changed and commits, in one pipeline.
func (u *unit) store(ctx context.Context, conn *pgx.Conn, f *Facts) error {
	c := &f.changes
	b := &pgx.Batch{}
	// Keys first: a key that another host took ends the unit before the rest.
	queueKeyChanges(b, u.bucket, c.keys)
	queueStore(b, u.bucket, f)
	b.Queue("COMMIT")
	if b.Len() == 1 {
		// Nothing to write: repeats and expired requests only.
		if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
			return fmt.Errorf("end unit: %w", err)
		}
		return nil
	}
	u.commitSent = true
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
