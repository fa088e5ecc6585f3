//go:build unix

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"meridian/internal/postgres"
)

var errNotKept = errors.New("an answered approval was not kept")

// killed ends host and Postgres with SIGKILL in the middle of a closed loop of sales,
// starts both again, and has the terminals that were left without an answer repeat what
// they had asked for. What was approved, before or after, must be stored, and nothing
// besides. The host goes first, so that what it has sent to Postgres is under way there
// with nobody to hear of it.
func (r *run) killed(ctx context.Context) (*Killed, error) {
	// The log to be replayed is this load's.
	if _, err := r.pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, fmt.Errorf("%s: %w", nameKilled, err)
	}
	before, err := r.storedSales(ctx)
	if err != nil {
		return nil, err
	}
	terminals := stage{connections: r.o.many()}
	lines, err := r.world.connect(ctx, r.host.nac, terminals)
	defer lines.close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameKilled, err)
	}
	var selling sync.WaitGroup
	told := make([]tellings, len(lines))
	for i, l := range lines {
		selling.Go(func() { told[i].sell(l, rand.New(rand.NewPCG(uint64(i), 9)), r.world.numbers) })
	}
	select {
	case <-time.After(r.o.Each):
	case <-ctx.Done():
	}
	r.pool.Close()
	err = errors.Join(r.host.kill(), r.server.Kill())
	r.pool, r.host = nil, nil
	selling.Wait()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameKilled, err)
	}
	if err := r.again(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", nameKilled, err)
	}
	k := &Killed{}
	for i := range told {
		k.Answered += len(told[i].rrns)
	}
	after, err := r.world.connect(ctx, r.host.nac, terminals)
	defer after.close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameKilled, err)
	}
	var rrns []int64
	for i := range told {
		t := &told[i]
		if t.err != nil {
			return nil, fmt.Errorf("%s: %w", nameKilled, t.err)
		}
		if err := t.repeat(after[i]); err != nil {
			return nil, fmt.Errorf("%s: repeat: %w", nameKilled, err)
		}
		rrns = append(rrns, t.rrns...)
	}
	k.Repeated = len(rrns) - k.Answered
	if err := r.pool.QueryRow(ctx, lostSQL, rrns, amountMinor).Scan(&k.Lost); err != nil {
		return nil, fmt.Errorf("%s: look for approvals: %w", nameKilled, err)
	}
	stored, err := r.storedSales(ctx)
	if err != nil {
		return nil, err
	}
	k.Twice = stored - before - (len(rrns) - k.Lost)
	r.o.sayf("  %s: %d approvals answered, %d requests repeated, %d lost, %d stored twice", nameKilled, k.Answered, k.Repeated, k.Lost, k.Twice)
	if k.Lost != 0 || k.Twice != 0 {
		err = fmt.Errorf("%s: %w: %d lost, %d twice", nameKilled, errNotKept, k.Lost, k.Twice)
	}
	return k, err
}

// Approved sales are of kind 2 and in state 2 (package switching).
const (
	lostSQL = `
SELECT count(*) FROM unnest($1::bigint[]) AS u(rrn)
WHERE NOT EXISTS (
	SELECT FROM buckets b CROSS JOIN LATERAL (
		SELECT FROM transactions t
		WHERE t.bucket = b.bucket AND t.rrn = u.rrn AND t.kind = 2 AND t.state = 2 AND t.amount_minor = $2 OFFSET 0) s)`

	storedSalesSQL = `SELECT count(*) FROM transactions WHERE kind = 2 AND state = 2`
)

func (r *run) storedSales(ctx context.Context) (n int, err error) {
	if err := r.pool.QueryRow(ctx, storedSalesSQL).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: count sales: %w", nameKilled, err)
	}
	return n, nil
}

// again starts everything after it was killed.
func (r *run) again(ctx context.Context) (err error) {
	if err := r.server.Restart(ctx); err != nil {
		return err
	}
	if r.pool, err = postgres.Open(ctx, r.server.URL(), postgres.Options{MaxConnections: 2, ApplicationName: "meridian bench"}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	host, err := serve(ctx, r.o, r.server.URL(), r.master)
	if err == nil {
		r.host = host
	}
	return err
}

// tellings are what a terminal was told: the RRNs of its approvals, and what it has no
// answer to.
type tellings struct {
	rrns       []int64
	unanswered []byte
	err        error
}

// sell until the line breaks. An answer that is no approval ends it, too, with an error.
func (t *tellings) sell(l *line, r *rand.Rand, cards []string) {
	for {
		frame := l.sale.fill(l.terminal.nextSTAN(), cards[r.IntN(len(cards))], amountMinor, nil, l.mac)
		answer, err := l.approved(frame)
		switch {
		case errors.Is(err, errDeclined), errors.Is(err, errReply):
			t.err = err
			return
		case err != nil:
			t.unanswered = bytes.Clone(frame)
			return
		}
		t.note(answer)
	}
}

// repeat what had no answer.
func (t *tellings) repeat(l *line) error {
	answer, err := l.approved(t.unanswered)
	if err == nil {
		t.note(answer)
	}
	return err
}

func (t *tellings) note(answer reply) {
	rrn, err := strconv.ParseInt(string(answer.rrn[:]), 10, 64)
	if err != nil {
		t.err = fmt.Errorf("%w: RRN: %w", errReply, err)
	}
	t.rrns = append(t.rrns, rrn)
}
