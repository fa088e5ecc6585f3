package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/ledger"
)

// standingWatch shows what stands in the database and somebody may have to see
// to: business dates, batches, reviews. It looks for itself, apart from the jobs
// that work on them: one that stands still shows.
type standingWatch struct {
	windows     *prometheus.GaugeVec
	lag         *prometheus.GaugeVec
	next        *prometheus.GaugeVec
	batches     *prometheus.GaugeVec
	unbalanced  prometheus.Gauge
	differences *prometheus.GaugeVec
	reviews     prometheus.Gauge
	oldest      prometheus.Gauge
	looked      prometheus.Gauge

	calendars map[string]*calendarStanding // as last shown
}

const (
	// standingEvery is about how often a Prometheus looks.
	standingEvery = 10 * time.Second
	// standingTimeout bounds one look, so that a hung database holds no connection.
	standingTimeout = 30 * time.Second
	// standingDay is how long a closed batch's differences are shown.
	standingDay = 24 * time.Hour
	// maxCalendarsShown bounds the label: calendars are rows that people make. What
	// is more than that is shown together.
	maxCalendarsShown = 64
	otherCalendars    = "other"
)

// What a bucket's window may be in, in metrics.
const (
	windowsOpen    = "open"
	windowsDue     = "due"
	windowsCutting = "cutting"
)

// differenceKinds are those that batch_differences may have.
var differenceKinds = []string{
	"amount_differs", "card_differs", "kind_differs", "rrn_differs", "not_standing", "unknown_to_host", "missing_from_terminal",
}

func newStandingWatch(reg prometheus.Registerer) *standingWatch {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	w := &standingWatch{
		windows: gauges("meridian_cutover_windows",
			"Windows (bucket, calendar, business date) by state: open takes requests, due is past its cutoff and not begun, "+
				"cutting waits for its close. Closed ones are not shown.", "calendar", "state"),
		lag: gauges("meridian_cutover_lag_seconds",
			"How long the calendar's oldest window that is not closed is past its cutoff, by the business clock. Minutes: "+
				"nothing of that date is settled.", "calendar"),
		next: gauges("meridian_cutover_next_timestamp_seconds",
			"When the calendar's open business date ends, in Unix time of the business clock.", "calendar"),
		batches: gauges("meridian_batches",
			"Terminals' current batches by state.", "state"),
		unbalanced: gauge("meridian_batches_out_of_balance",
			"Batches whose totals differ from their terminal's: between totals and trailer or in upload now, or closed with "+
				"differences within the last day. meridian batch list --differing names them."),
		differences: gauges("meridian_batch_differences",
			"What terminals' uploads and this host's records disagreed about within the last day, by kind.", "kind"),
		reviews: gauge("meridian_reviews_open",
			"Refunds that wait for a person: meridian review list."),
		oldest: gauge("meridian_reviews_oldest_seconds",
			"How long the oldest open review has waited, by the business clock. 0 without one."),
		looked: gauge("meridian_standing_timestamp_seconds",
			"When business dates, batches and reviews were last looked at, in Unix time. Old: what is shown of them is not true any more."),
	}
	for _, state := range []BatchState{BatchOpen, BatchSettling, BatchBalanced, BatchUploading} {
		w.batches.WithLabelValues(state.String())
	}
	for _, kind := range differenceKinds {
		w.differences.WithLabelValues(kind)
	}
	if reg != nil {
		reg.MustRegister(w.windows, w.lag, w.next, w.batches, w.unbalanced, w.differences, w.reviews, w.oldest, w.looked)
	}
	return w
}

// watchStanding looks again and again until ctx ends.
func (s *Switch) watchStanding(ctx context.Context, w *standingWatch) {
	tick := time.NewTicker(standingEvery)
	defer tick.Stop()
	for {
		if err := w.look(ctx, s.pool, s.now()); err != nil && ctx.Err() == nil {
			s.log.Warn("cannot look at business dates, batches and reviews; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look shows everything; what one part's failure hides, the others' still show.
func (w *standingWatch) look(ctx context.Context, db ledger.Querier, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	if err := errors.Join(w.lookAtDates(ctx, db, now), w.lookAtBatches(ctx, db, now), w.lookAtReviews(ctx, db, now)); err != nil {
		return err
	}
	w.looked.Set(float64(time.Now().UnixMilli()) / 1000)
	return nil
}

// calendarStanding is one calendar over all buckets.
type calendarStanding struct {
	open, due, cutting int
	lag                time.Duration
	next               time.Time
}

func (w *standingWatch) lookAtDates(ctx context.Context, db ledger.Querier, now time.Time) error {
	states, err := ledger.CutoverStates(ctx, db, now)
	if err != nil {
		return err
	}
	shown := map[string]*calendarStanding{}
	for i := range states {
		s := &states[i]
		name := s.Calendar
		if shown[name] == nil && len(shown) >= maxCalendarsShown {
			name = otherCalendars
		}
		c := shown[name]
		if c == nil {
			c = &calendarStanding{}
			shown[name] = c
		}
		c.add(s)
	}
	for name := range w.calendars {
		if shown[name] == nil { // a calendar that is gone is not shown any more
			w.windows.DeletePartialMatch(prometheus.Labels{"calendar": name})
			w.lag.DeleteLabelValues(name)
			w.next.DeleteLabelValues(name)
		}
	}
	w.calendars = shown
	for name, c := range shown {
		w.windows.WithLabelValues(name, windowsOpen).Set(float64(c.open))
		w.windows.WithLabelValues(name, windowsDue).Set(float64(c.due))
		w.windows.WithLabelValues(name, windowsCutting).Set(float64(c.cutting))
		w.lag.WithLabelValues(name).Set(c.lag.Seconds())
		if !c.next.IsZero() {
			w.next.WithLabelValues(name).Set(float64(c.next.Unix()))
		}
	}
	return nil
}

func (c *calendarStanding) add(s *ledger.CutoverState) {
	if s.OpenDate != nil {
		c.open++
	}
	due := s.Due
	if s.CuttingDate != nil {
		c.cutting++
		due--
	}
	c.due += max(due, 0)
	c.lag = max(c.lag, s.Lag)
	if s.ClosesAt != nil && (c.next.IsZero() || s.ClosesAt.Before(c.next)) {
		c.next = *s.ClosesAt
	}
}

func (w *standingWatch) lookAtBatches(ctx context.Context, db ledger.Querier, now time.Time) error {
	counts, err := countBy[int16](ctx, db, `SELECT state, count(*) FROM batches WHERE state < 5 GROUP BY state`)
	if err != nil {
		return fmt.Errorf("count batches: %w", err)
	}
	for _, state := range []BatchState{BatchOpen, BatchSettling, BatchBalanced, BatchUploading} {
		w.batches.WithLabelValues(state.String()).Set(counts[int16(state)])
	}
	since := now.Add(-standingDay)
	kinds, err := countBy[string](ctx, db, `SELECT kind, count(*) FROM batch_differences WHERE raised_at > $1 GROUP BY kind`, since)
	if err != nil {
		return fmt.Errorf("count differences: %w", err)
	}
	for _, kind := range differenceKinds {
		w.differences.WithLabelValues(kind).Set(kinds[kind])
	}
	var unbalanced int64
	if err := db.QueryRow(ctx, `
		SELECT count(*) FROM (
			SELECT bucket, terminal_id, batch_no FROM batches WHERE state IN (2, 4)
			UNION SELECT bucket, terminal_id, batch_no FROM batch_differences WHERE raised_at > $1) b`, since).Scan(&unbalanced); err != nil {
		return fmt.Errorf("count batches out of balance: %w", err)
	}
	w.unbalanced.Set(float64(unbalanced))
	return nil
}

func countBy[K comparable](ctx context.Context, db ledger.Querier, sql string, args ...any) (map[K]float64, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	counts := map[K]float64{}
	var key K
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		counts[key] = float64(n)
		return nil
	})
	return counts, err //nolint:wrapcheck // wrapped by the caller
}

func (w *standingWatch) lookAtReviews(ctx context.Context, db ledger.Querier, now time.Time) error {
	var open int64
	var oldest *time.Time
	if err := db.QueryRow(ctx, `SELECT count(*), min(raised_at) FROM reviews WHERE state = 1`).Scan(&open, &oldest); err != nil {
		return fmt.Errorf("count reviews: %w", err)
	}
	w.reviews.Set(float64(open))
	waited := time.Duration(0)
	if oldest != nil {
		waited = max(0, now.Sub(*oldest))
	}
	w.oldest.Set(waited.Seconds())
	return nil
}
