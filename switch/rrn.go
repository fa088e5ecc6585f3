package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// rrnBlock is how many RRNs a lane takes at a time: enough that the extra
	// commit does not show, few enough that restarts do not eat a day's hundred
	// million.
	rrnBlock = 1000
	// rrnPerDay is what eight digits hold.
	rrnPerDay = 100_000_000
)

var errRRNsExhausted = errors.New("the day's RRNs are used up")

// rrnSource hands out RRNs: the last digit of the year, the day of the year and
// eight digits of sequence, unique per acquirer and day over all hosts. A
// lane has one of its own.
type rrnSource struct {
	day, year  int
	next, last int64 // sequence numbers left in the block: [next, last)
}

// rrnDay is the UTC day that an RRN is counted in.
func rrnDay(now time.Time) (day, year int) {
	now = now.UTC()
	return now.Year()%10*1000 + now.YearDay(), now.Year()
}

// reserve makes sure that n RRNs of now's day are at hand.
func (s *rrnSource) reserve(ctx context.Context, conn *pgx.Conn, now time.Time, n int64) error {
	day, year := rrnDay(now)
	if s.day == day && s.year == year && s.last-s.next >= n {
		return nil
	}
	size := max(n, rrnBlock)
	var first int64
	if err := conn.QueryRow(ctx, rrnBlockSQL, day, year, size).Scan(&first); err != nil {
		// The table takes no number that eight digits do not hold.
		if refused, is := errors.AsType[*pgconn.PgError](err); is && refused.Code == "23514" {
			return fmt.Errorf("%w: %w", errRRNsExhausted, err)
		}
		return fmt.Errorf("reserve RRNs: %w", err)
	}
	s.day, s.year, s.next, s.last = day, year, first, first+size
	return nil
}

// take returns the next RRN; reserve has made sure that there is one.
func (s *rrnSource) take() int64 {
	s.next++
	return int64(s.day)*rrnPerDay + s.next - 1
}
