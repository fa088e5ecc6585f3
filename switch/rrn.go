package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/ledger"
)

const (
	// rrnBlock is how many RRNs a lane takes at a time, at least and at first: few enough
	// that restarts do not eat a day's hundred million.
	rrnBlock = 1000
	// rrnBlockMost a busy lane takes, of which a block is to last for rrnBlockFor: taking
	// one is a commit of its own, which a unit of work waits for.
	rrnBlockMost = 64 * rrnBlock
	rrnBlockFor  = 10 * time.Second
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
	size       int64 // of the block
	took       time.Time
}

// rrnDay is the UTC day that an RRN is counted in.
func rrnDay(now time.Time) (day, year int) {
	now = now.UTC()
	return now.Year()%10*1000 + now.YearDay(), now.Year()
}

// rrnDate is the latest day, up to tomorrow because hosts' clocks differ, whose RRNs have
// these digits.
func rrnDate(rrn int64, now time.Time) (ledger.Date, bool) {
	day := int(rrn / rrnPerDay)
	digit, ofYear := day/1000, day%1000
	if digit > 9 || ofYear < 1 || ofYear > 366 {
		return 0, false
	}
	tomorrow := ledger.DateOf(now.UTC()).AddDays(1)
	year := tomorrow.Time().Year()
	year -= ((year-digit)%10 + 10) % 10
	date := ledger.MakeDate(year, time.January, ofYear)
	if date > tomorrow {
		date = ledger.MakeDate(year-10, time.January, ofYear)
	}
	return date, true
}

// reserve makes sure that n RRNs of now's day are at hand.
func (s *rrnSource) reserve(ctx context.Context, conn *pgx.Conn, now time.Time, n int64) error {
	day, year := rrnDay(now)
	if s.day == day && s.year == year && s.last-s.next >= n {
		return nil
	}
	size := max(n, s.nextSize(day, time.Now()))
	var first int64
	err := conn.QueryRow(ctx, rrnBlockSQL, day, year, size).Scan(&first)
	if least := max(n, rrnBlock); refusesRRNs(err) && size > least {
		size = least // there may be as many yet
		err = conn.QueryRow(ctx, rrnBlockSQL, day, year, size).Scan(&first)
	}
	switch {
	case refusesRRNs(err):
		return fmt.Errorf("%w: %w", errRRNsExhausted, err)
	case err != nil:
		return fmt.Errorf("reserve RRNs: %w", err)
	}
	*s = rrnSource{day, year, first, first + size, size, time.Now()}
	return nil
}

// nextSize is twice that of a block that did not last long, and half that of one that
// lasted very long.
func (s *rrnSource) nextSize(day int, now time.Time) int64 {
	lasted := now.Sub(s.took)
	switch {
	case s.took.IsZero(), s.day != day: // a sandbox's clock may go back and forth
		return rrnBlock
	case lasted < rrnBlockFor:
		return min(2*s.size, rrnBlockMost)
	case lasted > 4*rrnBlockFor:
		return max(s.size/2, rrnBlock)
	default:
		return s.size
	}
}

// refusesRRNs tells whether the table does not take a number that eight digits do not hold.
func refusesRRNs(err error) bool {
	refused, is := errors.AsType[*pgconn.PgError](err)
	return is && refused.Code == "23514"
}

// take returns the next RRN; reserve has made sure that there is one.
func (s *rrnSource) take() int64 {
	s.next++
	return int64(s.day)*rrnPerDay + s.next - 1
}
