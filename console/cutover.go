package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"meridian/internal/money"
	"meridian/internal/postgres"
	"meridian/ledger"
	"meridian/switch"
)

// cutoverBody is the calendar of cutoffs, and what a cancel would be around them.
type cutoverBody struct {
	Ended     []endedRow
	Calendars []calendarBody
	RRN       string
	Bands     *bandsBody
	Problem   string // why there are no bands
}

// calendarBody is one calendar.
type calendarBody struct {
	Name, Zone, Cutoff string
	States             []ledger.CutoverState
	Next               []cutoffRow
	Late               bool
}

// endedRow is a business date whose cutoff has come.
type endedRow struct {
	ledger.EndedDate

	Local time.Time // ClosesAt in the calendar's zone
	Zone  string
	Late  bool   // for longer than its close takes
	Since string // how long ago it ended
}

// cutoffRow is one business date.
type cutoffRow struct {
	ledger.Cutoff

	// Odd is the length of a short or long day, such as 23 h; empty for 24 hours.
	Odd string
	In  string
}

// bandsBody is what a cancel of a transaction would become as time goes by.
type bandsBody struct {
	*switching.CancelPreview

	Amount   string
	Zone     string
	From, To time.Time
	Bands    []band
	// Minutes between From and To: the slider's length.
	Minutes int
}

// band is a time in which the answer is the same.
type band struct {
	From, Until time.Time
	Local       time.Time // From on the merchant's clock
	Verdict     string
	Rule        switching.Rule
	Why         string
	X, Width    int // of the slider's length, in thousandths
}

const (
	cutoffsShown = 7
	// endedShown of each calendar: last night's, and the one to compare it with.
	endedShown = 2
	// bandCutoffs are looked at for bands: the original's own, and two more to show
	// that nothing changes any more.
	bandCutoffs = 3
)

func (c *Console) cutover(r *http.Request) (*view, error) {
	ctx := r.Context()
	now := c.o.Now()
	body := &cutoverBody{RRN: param(r, "rrn")}
	states, err := ledger.CutoverStates(ctx, c.o.Pool, now)
	if err != nil {
		return nil, err
	}
	if body.Ended, err = c.ended(ctx, now); err != nil {
		return nil, err
	}
	for _, calendar := range c.o.Directory().Calendars() {
		one := calendarBody{Name: calendar.Name, Zone: calendar.Zone.String(), Cutoff: calendar.Cutoff.String()}
		for i := range states {
			if states[i].CalendarID == calendar.ID {
				one.States = append(one.States, states[i])
				one.Late = one.Late || states[i].Due > 0
			}
		}
		next, err := ledger.NextCutoffs(ctx, c.o.Pool, calendar, now, cutoffsShown)
		if err != nil {
			return nil, err
		}
		for _, cutoff := range next {
			row := cutoffRow{Cutoff: cutoff, In: span(cutoff.ClosesAt.Sub(now))}
			if cutoff.Length() != 24*time.Hour {
				row.Odd = hours(cutoff.Length())
			}
			one.Next = append(one.Next, row)
		}
		body.Calendars = append(body.Calendars, one)
	}
	if body.RRN != "" {
		if body.Bands, body.Problem, err = c.bands(ctx, body.RRN, now); err != nil {
			return nil, err
		}
	}
	return &view{template: "cutover.html", title: "Cutover", section: "cutover", body: body}, nil
}

// ended tells what became of the last business dates.
func (c *Console) ended(ctx context.Context, now time.Time) ([]endedRow, error) {
	list, err := ledger.EndedDates(ctx, c.o.Pool, now, endedShown)
	if err != nil {
		return nil, err
	}
	rows := make([]endedRow, len(list))
	for i := range list {
		since := now.Sub(list[i].ClosesAt)
		rows[i] = endedRow{EndedDate: list[i], Since: span(since), Late: list[i].Late() && since > lateAfter}
		if zone := c.zoneOf(list[i].CalendarID); zone != nil {
			rows[i].Local, rows[i].Zone = list[i].ClosesAt.In(zone), zone.String()
		}
	}
	return rows, nil
}

// bands asks the decision on both sides of every instant at which it may change.
func (c *Console) bands(ctx context.Context, text string, now time.Time) (bands *bandsBody, problem string, err error) {
	rrn, is := parseRRN(text)
	if !is {
		return nil, "“" + truncate(text) + "” is no RRN: it has twelve digits.", nil
	}
	directory := c.o.Directory()
	first, err := switching.PreviewCancels(ctx, c.o.Pool, directory, rrn, now)
	if err != nil {
		problem, err = previewProblem(err)
		return nil, problem, err
	}
	p := first[0]
	edges, err := c.edges(ctx, directory, p, now)
	if err != nil {
		return nil, "", err
	}
	at := []time.Time{now}
	for _, edge := range edges {
		at = append(at, edge.Add(-time.Second), edge)
	}
	previews, err := switching.PreviewCancels(ctx, c.o.Pool, directory, rrn, at...)
	if err != nil {
		problem, err = previewProblem(err)
		return nil, problem, err
	}
	zone, err := time.LoadLocation(p.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	b := &bandsBody{
		CancelPreview: p, Amount: money.Amount{Minor: p.AmountMinor, Currency: p.Currency}.String(), Zone: p.TimeZone,
		From: now.UTC(), To: previews[len(previews)-1].At.Add(time.Hour).UTC(),
	}
	for _, one := range previews {
		if n := len(b.Bands); n > 0 && b.Bands[n-1].Verdict == one.Verdict && b.Bands[n-1].Rule == one.Rule {
			continue
		}
		b.Bands = append(b.Bands, band{From: one.At.UTC(), Local: one.At.In(zone), Verdict: one.Verdict, Rule: one.Rule, Why: one.Why})
	}
	b.Minutes = int(b.To.Sub(b.From) / time.Minute)
	for i := range b.Bands {
		one := &b.Bands[i]
		if one.Until = b.To; i+1 < len(b.Bands) {
			one.Until = b.Bands[i+1].From
		}
		one.X = int(1000 * one.From.Sub(b.From) / b.To.Sub(b.From))
		one.Width = int(1000*one.Until.Sub(b.From)/b.To.Sub(b.From)) - one.X
	}
	return b, "", nil
}

// edges are the instants after now at which a cancel may become something else, in
// their order: the next cutoffs, and the end of being voidable.
func (c *Console) edges(ctx context.Context, directory *switching.Directory, p *switching.CancelPreview, now time.Time) ([]time.Time, error) {
	var edges []time.Time
	merchant := directory.Merchant(p.MID)
	for _, calendar := range directory.Calendars() {
		if merchant == nil || calendar.ID != merchant.CalendarID {
			continue
		}
		next, err := ledger.NextCutoffs(ctx, c.o.Pool, calendar, now, bandCutoffs)
		if err != nil {
			return nil, err
		}
		for _, cutoff := range next {
			edges = append(edges, cutoff.ClosesAt)
		}
	}
	if until := p.VoidableUntil; until != nil && until.After(now) && len(edges) > 0 && until.Before(edges[len(edges)-1]) {
		edges = append(edges, *until)
	}
	slices.SortFunc(edges, time.Time.Compare)
	return slices.CompactFunc(edges, time.Time.Equal), nil
}

// previewProblem says what a person can understand; other errors stay errors.
func previewProblem(err error) (string, error) {
	switch {
	case errors.Is(err, switching.ErrNoTransaction):
		return "No transaction has this RRN.", nil
	case errors.Is(err, switching.ErrNoWindowYet):
		return "No business date is open now, so nothing can be decided.", nil
	case postgres.LockNotWon(err):
		return "Somebody is changing this transaction at this moment. Load the page again.", nil
	default:
		return "", err
	}
}
