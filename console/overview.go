package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// overviewBody is the first page: how it goes, and what needs somebody.
type overviewBody struct {
	Live      liveBody
	Cutoffs   []nextCutoff
	Recent    []*switching.FoundTransaction
	Exception []*switching.RaisedException
}

// liveBody is the part of the overview that changes by itself.
type liveBody struct {
	Attention []attention
	Figures   []figure
	Charts    []chart
	Mix       []mixRow
	MixTotal  int64
	Codes     []codeShare
}

// attention is something that a person has to see to.
type attention struct {
	Severity string // bad or warn
	Text     string
	Path     string // where to look
}

// figure is a number with its name.
type figure struct{ Name, Value, Unit, Note string }

// mixRow is what became of one kind of request.
type mixRow struct {
	Kind                                          string
	Total                                         int64
	Approved, Declined, Refused, Rejected, Failed int64
}

type codeShare struct {
	Code  string
	Count int64
}

// nextCutoff is the open business date of a calendar.
type nextCutoff struct {
	Calendar string
	Date     ledger.Date
	ClosesAt time.Time
	Local    time.Time
	Zone     string
	In       string
	Due      int
}

const (
	recentShown = 10
	// lateAfter its cutoff a date is late: the job closes it within seconds.
	lateAfter = time.Minute
)

func (c *Console) overview(r *http.Request) (*view, error) {
	ctx := r.Context()
	body := overviewBody{Live: c.live()}
	page, err := switching.SearchTransactions(ctx, c.o.Pool, switching.TransactionSearch{Limit: recentShown})
	if err != nil {
		return nil, err
	}
	body.Recent = page.Found
	if body.Cutoffs, err = c.nextCutoffs(ctx); err != nil {
		return nil, err
	}
	if body.Exception, err = switching.Exceptions(ctx, c.o.Pool, 5); err != nil {
		return nil, err
	}
	return &view{template: "overview.html", title: "Overview", section: "overview", body: &body}, nil
}

// nextCutoffs shows one line for each calendar: buckets close one after the other,
// and the one that is furthest behind counts.
func (c *Console) nextCutoffs(ctx context.Context) ([]nextCutoff, error) {
	now := c.o.Now()
	states, err := ledger.CutoverStates(ctx, c.o.Pool, now)
	if err != nil {
		return nil, err
	}
	var list []nextCutoff
	for i := range states {
		s := &states[i]
		if n := len(list); n > 0 && list[n-1].Calendar == s.Calendar {
			list[n-1].Due = max(list[n-1].Due, s.Due)
			continue
		}
		one := nextCutoff{Calendar: s.Calendar, Due: s.Due}
		if s.OpenDate != nil && s.ClosesAt != nil {
			one.Date, one.ClosesAt = *s.OpenDate, s.ClosesAt.UTC()
			one.In = span(s.ClosesAt.Sub(now))
			if zone := c.zoneOf(s.CalendarID); zone != nil {
				one.Local, one.Zone = s.ClosesAt.In(zone), zone.String()
			}
		}
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b nextCutoff) int { return a.ClosesAt.Compare(b.ClosesAt) })
	return list, nil
}

// zoneOf a calendar; nil if the host does not know it.
func (c *Console) zoneOf(calendar int16) *time.Location {
	for _, one := range c.o.Directory().Calendars() {
		if one.ID == calendar {
			return one.Zone
		}
	}
	return nil
}

// live is what the meter saw in the last minutes.
func (c *Console) live() liveBody {
	samples := c.meter.kept()
	if len(samples) == 0 {
		return liveBody{}
	}
	first, last := &samples[0], &samples[len(samples)-1]
	body := liveBody{Attention: attentions(first, last)}
	minute := &samples[max(0, len(samples)-1-int(time.Minute/sampleEvery))]
	body.Figures = figures(minute, last)
	body.Charts = charts(samples)
	body.Mix, body.MixTotal = mix(first, last)
	body.Codes = codes(first, last)
	return body
}

func attentions(first, last *sample) []attention {
	var list []attention
	bad := func(when bool, path, format string, args ...any) {
		if when {
			list = append(list, attention{"bad", fmt.Sprintf(format, args...), path})
		}
	}
	warn := func(when bool, path, format string, args ...any) {
		if when {
			list = append(list, attention{"warn", fmt.Sprintf(format, args...), path})
		}
	}
	g := &last.gauges
	bad(g.Imbalances > 0, "/ledger", "The ledger is out of balance in %s.", plural(g.Imbalances, "currency", "currencies"))
	bad(g.Findings > 0, "/ledger", "The last verification of the ledger found %s to be off.", plural(g.Findings, "row", "rows"))
	bad(g.AuditBroken > 0, "/audit", "The audit log's chain is broken: a row was changed or taken out.")
	bad(g.CutoverLagSeconds > lateAfter.Seconds(), "/cutover", "A business date is %s past its cutoff and not settled.",
		span(time.Duration(g.CutoverLagSeconds)*time.Second))
	warn(g.UnbalancedBatches > 0, "/batches?differing=1", "%s out of balance with what the terminal says.",
		capital(plural(g.UnbalancedBatches, "batch is", "batches are")))
	warn(g.LockedTerminals > 0, "/terminals?locked=1", "%s locked after wrong MACs.", capital(plural(g.LockedTerminals, "terminal is", "terminals are")))
	warn(g.Reviews > 0, "/reviews", "%s for a person, the oldest for %s.", capital(plural(g.Reviews, "refund waits", "refunds wait")),
		span(time.Duration(g.OldestReviewSeconds)*time.Second))
	macs := g.MACFailures - first.gauges.MACFailures
	warn(macs > 0, "/audit?kind=mac_failure", "%s a missing or wrong MAC in the last minutes.", capital(plural(macs, "message had", "messages had")))
	parse := g.ParseErrors - first.gauges.ParseErrors
	warn(parse > 0, "", "%s could not be read in the last minutes; the log has field and offset.", capital(plural(parse, "message", "messages")))
	return list
}

func figures(before, now *sample) []figure {
	seconds := now.at.Sub(before.at).Seconds()
	var all, approved, asked float64
	for key, n := range now.answers {
		grown := n - before.answers[key]
		all += grown
		if key.kind == "unknown" || key.kind == "echo" || key.kind == "logon" {
			continue
		}
		asked += grown
		if key.class == switching.ResponseApproved.String() {
			approved += grown
		}
	}
	rate, share := "0", "–"
	if seconds > 0 {
		rate = compact(all / seconds)
	}
	if asked > 0 {
		share = fmt.Sprintf("%.1f", 100*approved/asked)
	}
	latency := func(q float64) string {
		s := quantile(q, before.latency, now.latency)
		if s == 0 {
			return "–"
		}
		return compact(s * 1000)
	}
	return []figure{
		{"Messages", rate, "/s", "over the last minute"},
		{"Approved", share, "%", "of transactions, over the last minute"},
		{"Latency, median", latency(0.5), "ms", "inside this host"},
		{"Latency, 95 of 100", latency(0.95), "ms", "inside this host"},
		{"Connections", compact(now.gauges.Connections), "", "of " + compact(now.gauges.ConnectionsLimit)},
		{"In flight", compact(now.gauges.InFlight), "", "of " + compact(now.gauges.InFlightLimit)},
	}
}

func charts(samples []sample) []chart {
	var all, other, latency []float64
	highest, slowest := 0.0, 0.0
	for i := 1; i < len(samples); i++ {
		a, b := &samples[i-1], &samples[i]
		seconds := b.at.Sub(a.at).Seconds()
		var total, rest float64
		for key, n := range b.answers {
			grown := n - a.answers[key]
			total += grown
			if key.class != switching.ResponseApproved.String() {
				rest += grown
			}
		}
		if seconds <= 0 {
			continue
		}
		all, other = append(all, total/seconds), append(other, rest/seconds)
		highest = max(highest, total/seconds)
		ms := quantile(0.95, a.latency, b.latency) * 1000
		if ms == 0 {
			ms = math.NaN()
		} else {
			slowest = max(slowest, ms)
		}
		latency = append(latency, ms)
	}
	rate := chart{Title: "Messages per second", Top: compact(roundUp(highest))}
	rate.Summary = fmt.Sprintf("Messages per second over the last five minutes, at most %s.", compact(highest))
	rate.add("all answers", "line-1", all, roundUp(highest))
	rate.add("not approved", "line-2", other, roundUp(highest))
	slow := chart{Title: "Latency, 95 of 100, ms", Top: compact(roundUp(slowest))}
	slow.Summary = fmt.Sprintf("Milliseconds that 95 of 100 answers took inside this host over the last five minutes, at most %s.", compact(slowest))
	slow.add("inside this host", "line-3", latency, roundUp(slowest))
	return []chart{rate, slow}
}

func (c *chart) add(name, class string, values []float64, top float64) {
	line, area := drawLine(values, samplesKept-1, top)
	c.Lines = append(c.Lines, chartLine{Name: name, Class: class, Path: line, Area: area})
}

func mix(first, last *sample) (rows []mixRow, total int64) {
	byKind := map[string]*mixRow{}
	for key, n := range last.answers {
		grown := int64(n - first.answers[key])
		if grown <= 0 {
			continue
		}
		row := byKind[key.kind]
		if row == nil {
			row = &mixRow{Kind: key.kind}
			byKind[key.kind] = row
		}
		row.Total += grown
		total += grown
		switch key.class {
		case switching.ResponseApproved.String():
			row.Approved += grown
		case switching.ResponseDeclined.String():
			row.Declined += grown
		case switching.ResponseRefused.String():
			row.Refused += grown
		case switching.ResponseRejected.String():
			row.Rejected += grown
		default:
			row.Failed += grown
		}
	}
	for _, row := range byKind {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b mixRow) int {
		if a.Total != b.Total {
			return int(min(max(b.Total-a.Total, -1), 1))
		}
		return strings.Compare(a.Kind, b.Kind)
	})
	return rows, total
}

func codes(first, last *sample) []codeShare {
	var list []codeShare
	for code, n := range last.codes {
		if grown := int64(n - first.codes[code]); grown > 0 {
			list = append(list, codeShare{code, grown})
		}
	}
	slices.SortFunc(list, func(a, b codeShare) int {
		if a.Count != b.Count {
			return int(min(max(b.Count-a.Count, -1), 1))
		}
		return strings.Compare(a.Code, b.Code)
	})
	const shown = 8
	return list[:min(len(list), shown)]
}
