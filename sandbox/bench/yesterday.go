//go:build unix

package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/card"
	"meridian/switch"
)

// settledEach terminal knows so many sales of the day before: what its refunds
// speak of.
const settledEach = 10

// original is a settled sale. Its terminal alone refers to it.
type original struct {
	rrn  [12]byte
	card string
}

// yesterday sells at the same time of the day before. The host that is started
// after it closes that day, as one does that was down over a cutoff.
func (w *world) yesterday(ctx context.Context, url string, now time.Time, stored int) (err error) {
	path, err := startLedgerPath(ctx, url, func() time.Time { return now })
	if err != nil {
		return err
	}
	var mu sync.Mutex
	stored = max(stored, settledEach*len(w.terminals))
	_, err = path.sell(w, func(sent int) bool { return sent < stored },
		func(place int, pan card.PAN, answer switching.Response) {
			o := original{card: pan.Reveal()}
			copy(o.rrn[:], fmt.Sprintf("%012d", answer.RRN))
			mu.Lock()
			defer mu.Unlock()
			if t := w.terminals[place]; len(t.settled) < settledEach {
				t.settled = append(t.settled, o)
			}
		})
	if stopped := path.stop(ctx); err == nil {
		err = stopped
	}
	if err != nil {
		return fmt.Errorf("sell on the day before: %w", err)
	}
	return nil
}

const openDaysSQL = `
SELECT count(*) FROM windows w JOIN business_days d USING (calendar_id, business_date)
WHERE w.state < 3 AND d.closes_at <= now()`

// closed waits until the host has closed the days that are over.
func closed(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var open int
		if err := pool.QueryRow(ctx, openDaysSQL).Scan(&open); err != nil {
			return fmt.Errorf("wait for the cutover: %w", err)
		}
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the cutover: %d windows are open: %w", open, ctx.Err())
		case <-tick.C:
		}
	}
}

// closePatience is many times what closing a day of this size takes.
const closePatience = 2 * time.Minute
