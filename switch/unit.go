package switching

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// unit is one unit of work: load, decide, store, as one database transaction
// for one bucket.
type unit struct {
	sw     *Switch
	bucket int16
	jobs   []*job
	rrns   *rrnSource
	// doubt: an earlier run of these jobs may have been committed.
	doubt bool
	// commitSent tells that COMMIT may have reached the database.
	commitSent bool
	// reversed counts what the host undoes in this unit.
	reversed int
	// lockCards while they are read, because others are changing them, too.
	lockCards bool
	// presumes and shelf are what it need not read, of other things than cards and of
	// cards; with nil it reads them.
	presumes *presumption
	shelf    *ledger.CardShelf
	// learns from what was committed, and forgets what turned out wrong.
	learns *presumption
}

// run does the unit once. After an error, outcome says whether anything may
// have been written; without one, every job has its response.
func (u *unit) run(ctx context.Context) (outcome postgres.Outcome, err error) {
	u.commitSent, u.reversed = false, 0
	conn, err := u.sw.opts.LanePool.Acquire(ctx)
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
	facts := newFacts(u.bucket, now, u.sw.directory.Load(), len(u.jobs))
	defer func() {
		u.learns.forget(facts, err)
	}()
	started := time.Now()
	l := loader{conn: conn.Conn(), facts: facts, jobs: u.jobs, lockCards: u.lockCards, presumes: u.presumes, shelf: u.shelf}
	if err := l.load(ctx); err != nil {
		return 0, err
	}
	loaded := time.Now()
	facts.rollOver(l.due)
	u.checkPINs(ctx, facts)
	if err := u.decide(facts); err != nil {
		return 0, err
	}
	facts.proveCards()
	facts.proveRecords()
	decided := time.Now()
	// Once COMMIT is on its way, waiting for its answer beats not knowing it.
	until := answerInTime(decided.Add(u.sw.opts.AnswerTimeout), decided, u.jobs)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	if err := u.store(ctx, conn.Conn(), facts); err != nil {
		return 0, err
	}
	u.learns.learn(facts)
	u.sw.metrics.worked(u, facts, started, loaded, decided, time.Now())
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
	if errors.Is(err, errNoWindow) {
		outcome = postgres.NotCommitted // days are made before the next try
	}
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		// Bounded, because the server may be the reason for the error.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, rollbackErr := conn.Exec(ctx, "ROLLBACK"); rollbackErr != nil {
			_ = conn.Conn().Close(ctx)
		}
	}
	conn.Release()
	return outcome
}

// errPanicked ends a unit in which a decision panicked: what it had applied
// cannot be trusted. The unit's requests are then run one by one.
var errPanicked = errors.New("decision panicked")

// decide gives every job its response.
func (u *unit) decide(facts *Facts) error {
	for _, j := range u.jobs {
		j.response, j.tried = Response{}, uuid.Nil
		if err := u.decideOne(facts, j); err != nil {
			return err
		}
	}
	return nil
}

func (u *unit) decideOne(facts *Facts, j *job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			u.sw.metrics.panics.Inc()
			u.sw.lines.write(slog.LevelError, "decision panicked",
				"panic", fmt.Sprintf("%T", p), "kind", j.request.Kind.String(), "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	late := j.answered || !time.Now().Before(j.storeBy)
	key := facts.keyOf(j.request)
	entry := facts.keys[key]
	if entry == nil && u.doubt {
		entry = facts.repeatedAcrossRollover(j.request, key.Class)
	}
	switch {
	case !late, u.doubt && j.request.Kind == KindReversal:
		// A reversal is never too late: it takes nothing, and its terminal repeats it.
		id := u.identity()
		verdict := Decide(facts, j.request, id)
		facts.restsOnUnpaid(j.request, &verdict)
		u.answer(facts, j, verdict, id.ID)
		if !facts.proves(j.request, key) {
			return errPresumed
		}
	case !u.doubt:
		j.response = Response{Reason: StoreUnavailable, Became: j.request.Kind}
	case j.answered:
		// What another request under the same key had stored was answered to that one, and stands.
		if !u.makeRight(facts, j) && (entry == nil || entry.tombstone) {
			u.refuseLate(facts, j)
		}
	case entry != nil && !entry.tombstone:
		u.answer(facts, j, repeat(entry.record, j.request), u.identity().ID)
	default:
		u.refuseLate(facts, j)
	}
	return nil
}

// answer makes a verdict the job's: what it stores, or the place among those
// who tell what is stored.
func (u *unit) answer(f *Facts, j *job, v Verdict, id uuid.UUID) {
	f.apply(&v)
	f.countSerial(j.request)
	j.response = v.Response
	if v.Record != nil {
		j.marks = append(j.marks, markOf(v.Record, v.Record.ID))
		j.tried = v.Record.ID
	}
	if v.Repeated != nil {
		j.tried = v.Repeated.ID
		f.claim(j, v.Repeated, id)
	}
}

// refuseLate takes the key of a request that was not found to be committed but
// may still be, by a backend that we lost sight of: one of the two inserts wins
// the key, and if it is this one, the other commits nothing.
func (u *unit) refuseLate(facts *Facts, j *job) {
	reason := StoreUnavailable
	if j.answered {
		reason = SystemMalfunction
	}
	var d decision
	d.begin(facts, j.request, u.identity(), facts.keyOf(j.request))
	verdict := d.decline(reason)
	facts.apply(&verdict)
	j.response, j.tried = verdict.Response, verdict.Record.ID
}

// makeRight deals with a request whose commit was unknown when its terminal had
// to be told of a failure. If it is among those who told an approval, it takes
// itself out; as the last of them it has the host reverse the record. It tells
// whether the request had stored or repeated anything.
func (u *unit) makeRight(f *Facts, j *job) (found bool) {
	for _, m := range j.marks {
		stored := f.records[m.record.id]
		if stored == nil {
			continue // that try was not committed
		}
		found = true
		// What shows or settles a batch moved nothing, and a reversal is never taken
		// back. What the terminal went on with is not, either.
		if !stored.canBeTakenBack() || f.actedOn[stored.ID] ||
			!slices.Contains(stored.tellers(), m.teller) {
			continue
		}
		if !f.release(stored, m.teller) {
			u.sw.log.Warn("left a transaction whose terminal had been told of a failure: another request was answered from it",
				"rrn", stored.RRN, "kind", stored.Kind.String())
			continue
		}
		if f.keys[Key{stored.MerchantID, stored.TerminalID, stored.BatchNo, stored.STAN, ClassHostReversal}] != nil {
			continue // tried before, and it could not be undone
		}
		verdict := hostReversal(f, stored, j.request, u.identity())
		f.apply(&verdict)
		if verdict.Record != nil {
			u.reversed++
		}
		u.sw.log.Warn("reversed a transaction that was committed after its terminal had been told of a failure",
			"rrn", stored.RRN, "kind", stored.Kind.String())
	}
	return found
}

func (u *unit) identity() Identity {
	id := uuid.Must(uuid.NewV7())
	return Identity{ID: id, RRN: u.rrns.take(), AuthCode: authCode(id)}
}

// authCode is six digits out of the random part of a transaction's id.
func authCode(id uuid.UUID) string {
	code := binary.BigEndian.Uint32(id[12:]) % 1_000_000
	var text [6]byte
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = '0' + byte(code%10)
		code /= 10
	}
	return string(text[:])
}

// store writes what the verdicts changed and commits, in one pipeline.
func (u *unit) store(ctx context.Context, conn *pgx.Conn, f *Facts) error {
	c := &f.changes
	b := &pgx.Batch{}
	if f.unread {
		if len(c.records) == 0 && len(c.dirty) == 0 {
			return nil // expired requests only
		}
		b.Queue("BEGIN")
		queueProofs(b, u.bucket, f)
	}
	queueStore(b, u.bucket, f)
	b.Queue("COMMIT")
	if b.Len() == 1 {
		// Nothing to write: repeats and expired requests only.
		if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
			return fmt.Errorf("end unit: %w", err)
		}
		return nil
	}
	writes, err := postgres.Prepare(ctx, conn, b)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	u.commitSent = true
	if err := writes.Send(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
