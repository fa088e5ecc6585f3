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
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/postgres"
)

var errNotKept = errors.New("an answered approval was not kept")

// killed ends host and Postgres with SIGKILL, both at once and in the middle of a closed
// loop of sales, starts both again, and has the terminals that were left without an
// approval ask again. What was approved, before or after, must be stored, and nothing
// besides. What the operating system had been given is not lost this way: it is not about
// a loss of power.
func (r *run) killed(ctx context.Context) (*Killed, error) {
	k, err := r.killedUnderLoad(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", nameKilled, err)
	}
	return k, err
}

func (r *run) killedUnderLoad(ctx context.Context) (*Killed, error) {
	// The log to be replayed is this load's.
	if _, err := r.pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	before, err := storedSales(ctx, r.pool)
	if err != nil {
		return nil, err
	}
	told, err := r.sellUntilKilled(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.again(ctx); err != nil {
		return nil, err
	}
	k := &Killed{}
	for i := range told {
		k.Answered += len(told[i].approvals)
	}
	between, err := storedSales(ctx, r.pool)
	if err != nil {
		return nil, err
	}
	k.Unheard = between - before - k.Answered
	if k.Repeated, err = r.repeatUnanswered(ctx, told); err != nil {
		return k, err
	}
	if k.Lost, k.Twice, err = kept(ctx, r.pool, before, told); err != nil {
		return k, err
	}
	r.o.sayf("  %s", k)
	switch {
	case k.Answered == 0:
		err = errors.New("nothing was approved before it")
	case k.Lost != 0 || k.Twice != 0 || k.Unheard < 0:
		err = fmt.Errorf("%w: %s", errNotKept, k)
	}
	return k, err
}

// sellUntilKilled plays a closed loop of sales on many lines, and then kills everything:
// when its time is over, and something was approved.
func (r *run) sellUntilKilled(ctx context.Context) ([]tellings, error) {
	lines, err := r.world.connect(ctx, r.host.nac, stage{connections: r.o.many()})
	defer lines.close()
	if err != nil {
		return nil, err
	}
	var (
		selling sync.WaitGroup
		ending  atomic.Bool
		heard   atomic.Int64
		told    = make([]tellings, len(lines))
	)
	for i, l := range lines {
		_ = l.conn.SetDeadline(time.Now().Add(r.o.Each + patience))
		selling.Go(func() { told[i].sell(l, rand.New(rand.NewPCG(uint64(i), 9)), r.world.numbers, &heard, &ending) })
	}
	until := time.Now().Add(r.o.Each)
	for ctx.Err() == nil && (time.Now().Before(until) || heard.Load() == 0 && time.Since(until) < patience) {
		time.Sleep(10 * time.Millisecond)
	}
	r.pool.Close()
	ending.Store(true)
	var (
		killing sync.WaitGroup
		errs    [2]error
	)
	killing.Go(func() { errs[0] = r.host.kill() })
	killing.Go(func() { errs[1] = r.server.Kill() })
	killing.Wait()
	r.pool, r.host = nil, nil
	selling.Wait()
	for i := range told {
		errs[0] = errors.Join(errs[0], told[i].err)
	}
	return told, errors.Join(errs[:]...)
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

// repeatUnanswered has each terminal without an approval ask again, as a terminal does.
func (r *run) repeatUnanswered(ctx context.Context, told []tellings) (repeated int, err error) {
	lines, err := r.world.connect(ctx, r.host.nac, stage{connections: len(told)})
	defer lines.close()
	if err != nil {
		return 0, err
	}
	for i, l := range lines {
		_ = l.conn.SetDeadline(time.Now().Add(patience))
		answer, err := l.approved(told[i].frame)
		if err == nil {
			err = told[i].note(answer)
		}
		if err != nil {
			return repeated, fmt.Errorf("repeat: %w", err)
		}
		repeated++
	}
	return repeated, nil
}

// Approved sales are of kind 2 and in state 2 (package switching).
const (
	lostSQL = `
SELECT count(*) FROM unnest($1::bigint[], $2::integer[], $3::integer[]) AS u(rrn, terminal_id, stan)
WHERE NOT EXISTS (
	SELECT FROM buckets b CROSS JOIN LATERAL (
		SELECT FROM transactions t
		WHERE t.bucket = b.bucket AND t.rrn = u.rrn AND t.terminal_id = u.terminal_id AND t.stan = u.stan AND t.kind = 2 AND t.state = 2
		OFFSET 0) s)`

	storedSalesSQL = `SELECT count(*) FROM transactions WHERE kind = 2 AND state = 2`
)

// kept counts approvals that are not stored, and sales that are stored and were not
// approved, where so many had been stored before.
func kept(ctx context.Context, pool *pgxpool.Pool, before int, told []tellings) (lost, twice int, err error) {
	var rrns []int64
	var terminals, stans []int32
	for i := range told {
		for _, a := range told[i].approvals {
			rrns, terminals, stans = append(rrns, a.rrn), append(terminals, told[i].terminalID), append(stans, a.stan)
		}
	}
	if err := pool.QueryRow(ctx, lostSQL, rrns, terminals, stans).Scan(&lost); err != nil {
		return 0, 0, fmt.Errorf("look for approvals: %w", err)
	}
	stored, err := storedSales(ctx, pool)
	return lost, stored - before - (len(rrns) - lost), err
}

func storedSales(ctx context.Context, pool *pgxpool.Pool) (n int, err error) {
	if err := pool.QueryRow(ctx, storedSalesSQL).Scan(&n); err != nil {
		return 0, fmt.Errorf("count sales: %w", err)
	}
	return n, nil
}

// tellings are what a terminal was told, and its last request, which had no approval.
type tellings struct {
	terminalID int32
	approvals  []approval
	stan       int32
	frame      []byte
	err        error
}

// approval of a request.
type approval struct {
	stan int32
	rrn  int64
}

// sell until everything ends. Nothing but approvals may come before that.
func (t *tellings) sell(l *line, r *rand.Rand, cards []string, heard *atomic.Int64, ending *atomic.Bool) {
	t.terminalID = l.terminal.id
	for {
		t.stan = l.terminal.nextSTAN()
		frame := l.sale.fill(t.stan, cards[r.IntN(len(cards))], amountMinor, nil, l.mac)
		answer, err := l.approved(frame)
		if err == nil {
			err = t.note(answer)
		}
		if err != nil {
			if t.frame = bytes.Clone(frame); !ending.Load() {
				t.err = err
			}
			return
		}
		heard.Add(1)
	}
}

func (t *tellings) note(answer reply) error {
	rrn, err := strconv.ParseInt(string(answer.rrn[:]), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: RRN: %w", errReply, err)
	}
	t.approvals = append(t.approvals, approval{t.stan, rrn})
	return nil
}
