package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Database is a pool or a connection.
type Database interface {
	TxBeginner
	Querier
}

// The job of the cutoff. Of every bucket's window whose instant has passed:
//
//	OPEN ──cut──▶ CUTTING ──settle, seal──▶ CLOSED
//	 a short transaction       another one
//
// Cut changes the window's state, and so waits for the units of work that hold
// the window's row: they post into the date, nothing after them does. It waits
// for nothing else, and new work is in the next date's window by then, because
// its instant has passed.
//
// The close sums up what can no longer change, posts, stores the statements and
// the seal and changes the state, all at once: a crash leaves the window OPEN or
// CUTTING, and the next run goes on from there. It locks the cutover's own row,
// not the window's, which a host with a slow clock may still be looking at.
// Another host at the same window skips it.
//
// A bucket's dates close strictly in their order: a window is not cut before
// the one before it is closed.

// ClosedWindow is what one close came to.
type ClosedWindow struct {
	Bucket       int16         `json:"bucket"`
	CalendarID   int16         `json:"calendar_id"`
	Calendar     string        `json:"calendar"`
	BusinessDate Date          `json:"business_date"`
	Statements   int           `json:"statements"`
	Transfers    int           `json:"transfers"` // posted by the close itself
	Cut          time.Duration `json:"cut_ns"`    // waiting for requests in flight
	Close        time.Duration `json:"close_ns"`
}

// CutoverRun is what one run of the job did.
type CutoverRun struct {
	Closed []ClosedWindow `json:"closed"`
	// Waiting windows were due and this run did not close them: another host is
	// at them or was faster, a date before them is not closed, or it failed.
	Waiting int `json:"waiting"`
	// More windows are due than one run takes.
	More bool `json:"more"`
}

const (
	// dueMax bounds a run: a year of one calendar in five buckets. The next run
	// takes what is left.
	dueMax = 2000
	// inFlightPatience is longer than units of work take, but for those that wait for a
	// database that hangs. A window that is still held after it is tried at the next run.
	inFlightPatience = 10 * time.Second
)

// RunCutover closes what is due at the instant now, in order, and returns what
// it did together with the errors of the windows that it could not close: one
// bucket's trouble does not keep the others. Where requests in flight held a
// window for longer than the job waits, the error is one of [postgres.LockNotWon].
// Any number of hosts may run it.
func RunCutover(ctx context.Context, db Database, now time.Time) (CutoverRun, error) {
	return (&cutover{db: db, now: now, patience: inFlightPatience}).run(ctx)
}

type cutover struct {
	db       Database
	now      time.Time
	patience time.Duration // with requests in flight
	// at, in tests, is called before every step; its error ends the close there.
	at func(step string) error
}

func (c *cutover) step(name string) error {
	if c.at == nil {
		return nil
	}
	return c.at(name)
}

// dueWindow is a window whose instant has passed and which is not closed.
type dueWindow struct {
	bucket     int16
	calendarID int16
	calendar   string
	date       Date
	state      WindowState
	closesAt   time.Time
	value      *time.Time
}

type lineOfDates struct{ bucket, calendarID int16 }

func (c *cutover) run(ctx context.Context) (CutoverRun, error) {
	run := CutoverRun{Closed: []ClosedWindow{}}
	due, err := c.due(ctx)
	if err != nil {
		return run, err
	}
	if len(due) > dueMax {
		due, run.More = due[:dueMax], true
	}
	var failed []error
	held := map[lineOfDates]bool{}
	for _, w := range due {
		line := lineOfDates{w.bucket, w.calendarID}
		if held[line] {
			run.Waiting++
			continue
		}
		closed, err := c.window(ctx, w)
		if err != nil {
			failed = append(failed, fmt.Errorf("close %s of calendar %s in bucket %d: %w", w.date, w.calendar, w.bucket, err))
		}
		if closed == nil {
			held[line] = true
			run.Waiting++
			continue
		}
		run.Closed = append(run.Closed, *closed)
		if ctx.Err() != nil {
			break
		}
	}
	return run, errors.Join(failed...)
}

// Day by day, and in each the buckets one after the other.
const dueWindowsSQL = `
SELECT w.bucket, w.calendar_id, c.name, w.business_date, w.state, d.closes_at, d.value_date
FROM windows w
JOIN business_days d USING (calendar_id, business_date)
JOIN calendars c USING (calendar_id)
WHERE w.state < 3 AND d.closes_at <= $1
ORDER BY w.calendar_id, w.business_date, w.bucket
LIMIT $2`

func (c *cutover) due(ctx context.Context) ([]dueWindow, error) {
	rows, err := c.db.Query(ctx, dueWindowsSQL, c.now, dueMax+1)
	if err != nil {
		return nil, fmt.Errorf("find windows to close: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (dueWindow, error) {
		var w dueWindow
		var date time.Time
		err := row.Scan(&w.bucket, &w.calendarID, &w.calendar, &date, &w.state, &w.closesAt, &w.value)
		w.date = DateOf(date)
		return w, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("find windows to close: %w", err)
	}
	return list, nil
}

// window brings one window to its close, if nobody else is at it; nil means
// that it is not closed, or was by another host.
func (c *cutover) window(ctx context.Context, w dueWindow) (*ClosedWindow, error) {
	started := time.Now() //nolint:forbidigo // how long it takes, on whatever date
	if w.state == WindowOpen {
		if err := c.step("cut"); err != nil {
			return nil, err
		}
		if err := c.cut(ctx, w); err != nil {
			return nil, err
		}
	}
	cut := time.Now() //nolint:forbidigo // as above
	closed := &ClosedWindow{
		Bucket: w.bucket, CalendarID: w.calendarID, Calendar: w.calendar, BusinessDate: w.date, Cut: cut.Sub(started),
	}
	mine := false
	err := pgx.BeginFunc(ctx, c.db, func(tx pgx.Tx) error {
		cl := closing{cutover: c, tx: tx, window: w, closed: closed}
		var err error
		mine, err = cl.run(ctx)
		return err
	})
	if err != nil || !mine {
		return nil, err //nolint:wrapcheck // wrapped by run
	}
	closed.Close = time.Since(cut) //nolint:forbidigo // as above
	return closed, c.step("closed")
}

// The update waits for every unit of work that holds the row FOR SHARE. Units
// look for state 1 under that lock, so that after it none posts into the date.
const cutWindowSQL = `
UPDATE windows w SET state = 2
WHERE w.bucket = $1 AND w.calendar_id = $2 AND w.business_date = $3 AND w.state = 1 AND NOT EXISTS (
	SELECT FROM windows e
	WHERE e.bucket = w.bucket AND e.calendar_id = w.calendar_id AND e.business_date < w.business_date AND e.state < 3)`

func (c *cutover) cut(ctx context.Context, w dueWindow) error {
	err := pgx.BeginFunc(ctx, c.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", c.patience.Milliseconds())); err != nil {
			return fmt.Errorf("bound the wait: %w", err)
		}
		tag, err := tx.Exec(ctx, cutWindowSQL, w.bucket, w.calendarID, w.date.Time())
		if err != nil {
			return fmt.Errorf("wait for requests in flight: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil // another host cut it, or the date before it is not closed
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO cutovers (bucket, calendar_id, business_date, cut_at)
			SELECT b.bucket, $2, $3, $4 FROM buckets b WHERE b.bucket = $1`,
			w.bucket, w.calendarID, w.date.Time(), c.now)
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cut: %w", err)
	}
	return nil
}
