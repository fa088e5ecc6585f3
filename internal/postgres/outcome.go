package postgres

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Outcome is what an error says about the transaction that it ended.
type Outcome uint8

const (
	// NotCommitted: certainly nothing was written; trying again is safe.
	NotCommitted Outcome = iota + 1
	// Unknown: the commit may have happened. Run the same unit again: its keys
	// find the stored answers or they do not.
	Unknown
	// Permanent: nothing was written, and trying the same again fails the same way.
	Permanent
)

// String names the outcome for logs and metrics.
func (o Outcome) String() string {
	switch o {
	case NotCommitted:
		return "not_committed"
	case Unknown:
		return "unknown"
	case Permanent:
		return "permanent"
	default:
		return "none"
	}
}

// Classify says what err means. commitSent tells whether a COMMIT may have
// reached the server before err came back.
func Classify(err error, commitSent bool) Outcome {
	lost := NotCommitted
	if commitSent {
		lost = Unknown
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if severity := pgErr.SeverityUnlocalized; severity == "PANIC" || severity == "FATAL" && commitSent {
			// The backend dies, whatever of: with a log that could not be flushed (58030, 53100), the
			// record of the commit may have been written all the same, and recovery finds it.
			return lost
		}
		switch pgErr.Code {
		case "40001", // serialization failure
			"40P01", // deadlock detected
			"55P03", // lock not available
			"57014", // cancelled by statement_timeout or by us
			"23505", // another host took the key first: the next look finds it
			"53300", // too many connections
			"53400",
			"57P03", // starting up or recovering
			"25006": // a standby while a failover is going on
			return NotCommitted
		case "23514":
			// Without a constraint it is a partition that is missing for a date that
			// came up: windows are made before the next try. With one it is a row that
			// will never be taken.
			if pgErr.ConstraintName == "" {
				return NotCommitted
			}
		case "0A000":
			// A prepared statement whose columns a migration has given other types: the driver
			// prepares what it reads with anew, and what [Writes] sends has no columns of tables.
			// Postgres has no other word for it.
			if pgErr.Routine == "RevalidateCachedQuery" {
				return NotCommitted
			}
		case "57P01", "57P02", "57P05": // shut down, crashed, idle-terminated
			// The backend may die after its commit became durable and before it said so.
			return lost
		case "53100", "53200": // disk full, out of memory: it may pass
			return NotCommitted
		}
		return Permanent
	}
	// The driver says of a connection that broke while it waited for the answer the
	// same as of one that was closed before: that it was not used. After a COMMIT
	// that is not known.
	if pgconn.SafeToRetry(err) && !(commitSent && errors.Is(err, pgconn.ErrConnClosed)) {
		return NotCommitted
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return NotCommitted
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &netErr), pgconn.Timeout(err):
		return lost
	}
	// What is left comes from the driver itself. A closed connection is one of
	// its plain errors, so it must not be taken for a rejected value.
	if commitSent {
		return Unknown
	}
	return Permanent
}

// LockNotWon tells whether err is a lock that was not won within lock_timeout.
func LockNotWon(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "55P03"
}

// Backoff waits before try number attempt (from 0), up to limit, with jitter so
// that lanes do not come back in step. It returns early when ctx ends.
func Backoff(ctx context.Context, attempt int, limit time.Duration) error {
	d := min(limit, 5*time.Millisecond<<min(attempt, 10))
	d = d/2 + rand.N(d/2+1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
