//go:build unix

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
	"meridian/sandbox/story"
	"meridian/switch"
)

const (
	// catchUpTimeout bounds the work of one change: 400 dates of every calendar
	// take a minute or two.
	catchUpTimeout = 10 * time.Minute
	// catchUpPause lets a window go that somebody else holds.
	catchUpPause = 20 * time.Millisecond
)

// catchUp does what is due until nothing is. One turn is not enough when many
// dates have passed, or when the host's own turn holds a window just then.
func (s *Sandbox) catchUp(ctx context.Context, sw *switching.Switch) (err error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	conn, err := connect(ctx, s.database.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for {
		if err := sw.CatchUp(ctx); err != nil {
			return err
		}
		due, err := s.due(ctx, conn)
		if err != nil || due == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d business dates are past their cutoff and not closed: %w", due, ctx.Err())
		case <-time.After(catchUpPause):
		}
	}
}

// nextCutoff of a merchant; of the first one of sandbox.json where none is named.
func (s *Sandbox) nextCutoff(ctx context.Context, mid string) (time.Time, error) {
	pool, sw := s.books.Load(), s.switched.Load()
	if pool == nil || sw == nil {
		return time.Time{}, errors.New("the sandbox is still starting")
	}
	if mid == "" {
		mid = merchants()[0].mid
	}
	cutoff, err := story.NextCutoff(ctx, pool, sw.Directory(), mid, s.clock.Now())
	if err != nil {
		return time.Time{}, fmt.Errorf("find the cutoff: %w", err)
	}
	return cutoff, nil
}

// recordMove writes a move of the clock to the audit log, as the console writes its own.
func (s *Sandbox) recordMove(ctx context.Context, detail string) error {
	pool := s.books.Load()
	if pool == nil {
		return errors.New("the sandbox is still starting")
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return switching.AppendAudit(ctx, tx, switching.AuditEntry{At: s.clock.Now(), Kind: "clock_moved", Subject: "clock", Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("write to the audit log: %w", err)
	}
	return nil
}

// due counts the windows that are past their cutoff and not closed.
func (s *Sandbox) due(ctx context.Context, conn *pgx.Conn) (windows int, err error) {
	states, err := ledger.CutoverStates(ctx, conn, s.clock.Now())
	if err != nil {
		return 0, err
	}
	for i := range states {
		windows += states[i].Due
	}
	return windows, nil
}
