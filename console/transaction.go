package console

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"meridian/host"
	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// transactionBody is everything about one transaction.
type transactionBody struct {
	*switching.Inspection

	Zone     string
	Local    time.Time // accepted, on the merchant's clock
	Timeline []event
	Decision *decision
	// RawDecision is one that another version stored in its own way.
	RawDecision string
	Preview     *preview
	// CanBuild: there is a message builder, with the transaction's terminal in it.
	CanBuild bool
	// Messages of it that passed while somebody looked, the newest first.
	Messages []messageRow
	// Others have the same RRN: a decade has passed, or the sandbox's clock was turned back.
	Others []*switching.FoundTransaction
}

// event is a point on a transaction's way.
type event struct {
	At      time.Time
	Text    string
	RRN     string // of another transaction
	Why     string // the rule that decided another transaction, in words
	Class   string // done, bad or ahead
	Here    bool   // this transaction's own
	Planned bool   // it has not come yet
}

// preview is what a cancel would become now.
type preview struct {
	*switching.CancelPreview

	Passed []tracedRule
	Trace  []tracedRule
	Local  time.Time // VoidableUntil on the merchant's clock
	Left   string
	// Problem says why nothing can be said.
	Problem string
}

func (c *Console) transaction(r *http.Request) (*view, error) {
	text := r.PathValue("rrn")
	rrn, is := parseRRN(text)
	if !is {
		return nil, notFound("“" + truncate(text) + "” is no RRN: it has twelve digits.")
	}
	ctx := r.Context()
	found, err := switching.FindByRRN(ctx, c.o.Pool, rrn)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("No transaction has the RRN " + text + ".")
	}
	body := &transactionBody{Inspection: found[0], CanBuild: c.o.TestTerminals != ""}
	if id := r.URL.Query().Get("id"); id != "" {
		for _, one := range found {
			if one.ID.String() == id {
				body.Inspection = one
			}
		}
	}
	if m := c.o.Directory().Merchant(body.MID); m != nil {
		body.Zone, body.Local = m.Zone().String(), body.AcceptedAt.In(m.Zone())
	}
	body.explain()
	if body.Timeline, err = c.timeline(ctx, body.Inspection); err != nil {
		return nil, err
	}
	if cancellable(body.Inspection) && len(found) == 1 {
		if body.Preview, err = c.preview(ctx, rrn, c.o.Now()); err != nil {
			return nil, err
		}
	}
	if c.o.Tap != nil {
		for _, p := range c.o.Tap.Latest(listed, func(p *host.Passed) bool { return p.RRN == rrn }) {
			body.Messages = append(body.Messages, newMessageRow(p))
		}
	}
	if len(found) > 1 {
		page, err := switching.SearchTransactions(ctx, c.o.Pool, switching.TransactionSearch{RRN: rrn})
		if err != nil {
			return nil, err
		}
		body.Others = page.Found
	}
	return &view{template: "transaction.html", title: "Transaction " + text, section: "transactions", body: body}, nil
}

// truncate keeps a damaged address from filling the page.
func truncate(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// cancellable tells whether it is worth asking what a cancel would become.
func cancellable(i *switching.Inspection) bool {
	switch i.Kind {
	case switching.KindSale, switching.KindAuthorization, switching.KindCompletion, switching.KindAdvice:
		return i.State != switching.StateDeclined && i.State != switching.StateAbandoned
	default:
		return false
	}
}

// preview asks the decision itself.
func (c *Console) preview(ctx context.Context, rrn int64, at time.Time) (*preview, error) {
	list, err := switching.PreviewCancels(ctx, c.o.Pool, c.o.Directory(), rrn, at)
	if err != nil {
		problem, err := previewProblem(err)
		return &preview{Problem: problem}, err
	}
	p := list[0]
	shown := &preview{CancelPreview: p, Trace: traced(p.Rules), Passed: passed(p.Rules)}
	if until := p.VoidableUntil; until != nil {
		shown.Left = span(until.Sub(at))
		if zone, err := time.LoadLocation(p.TimeZone); err == nil {
			shown.Local = until.In(zone)
		}
	}
	return shown, nil
}

// explain takes a stored decision apart.
func (b *transactionBody) explain() {
	if len(b.Inspection.Decision) == 0 {
		return
	}
	var e *switching.Evidence
	if json.Unmarshal(b.Inspection.Decision, &e) != nil || e == nil {
		b.RawDecision = string(b.Inspection.Decision)
		return
	}
	b.Decision = newDecision(b.Inspection, e)
}

// timeline tells the life of a transaction and of those that it belongs to.
func (c *Console) timeline(ctx context.Context, i *switching.Inspection) ([]event, error) {
	var events []event
	add := func(one *switching.Inspection) {
		e := event{At: one.AcceptedAt, Text: told(one), RRN: one.RRN, Class: classOf(one), Here: one.ID == i.ID}
		if !e.Here && one.RuleSentence != "" {
			e.Why = "By rule " + one.Rule.String() + ": " + one.RuleSentence + "."
		}
		events = append(events, e)
	}
	add(i)
	related := slices.Clone(i.ReferredToByRRNs)
	if i.OriginalRRN != "" {
		related = append(related, i.OriginalRRN)
	}
	const most = 40 // an original has 20 refunds by default
	for _, text := range related[:min(len(related), most)] {
		rrn, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue
		}
		found, err := switching.FindByRRN(ctx, c.o.Pool, rrn)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			if one.OriginalID == i.ID || one.ID == i.OriginalID {
				add(one)
			}
		}
	}
	if v := i.Review; v != nil && v.DecidedAt != nil {
		class := map[string]string{"approved": "done", "rejected": "bad"}[v.State]
		events = append(events, event{At: *v.DecidedAt, Text: capital(v.State) + " by " + v.DecidedBy + ": " + v.Why, Class: class})
	}
	day, err := ledger.BusinessDayOf(ctx, c.o.Pool, i.MID, cmp.Or(i.PostedDate, i.BusinessDate))
	if err != nil {
		return nil, err
	}
	if day != nil {
		events = append(events, c.cutoffEvents(day)...)
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.At.Compare(b.At) })
	return events, nil
}

func (c *Console) cutoffEvents(day *ledger.SettledDay) []event {
	ahead := day.ClosesAt.After(c.o.Now())
	text := "Cutoff: business date " + day.Date.String() + " ended"
	class := "done"
	if ahead {
		text, class = "Cutoff: business date "+day.Date.String()+" ends", "ahead"
	}
	events := []event{{At: day.ClosesAt, Text: text, Class: class, Planned: ahead}}
	if day.ClosedAt != nil {
		events = append(events, event{At: *day.ClosedAt, Text: "Settled and sealed", Class: "done"})
	}
	return events
}

// Refunds says how much of a transaction was paid back; empty for nothing.
func (b *transactionBody) Refunds() string {
	switch {
	case b.RefundedMinor == 0:
		return ""
	case b.RefundedMinor < b.CapturedMinor:
		return "refunded in part"
	default:
		return "refunded"
	}
}

// told is one transaction in a line.
func told(i *switching.Inspection) string {
	what := capital(human(i.Asked))
	if becameAnother(i.Asked, i.Kind, i.Reason) {
		what += ", became " + human(i.Kind)
	}
	if i.AmountMinor != 0 {
		what += " of " + money.Amount{Minor: i.AmountMinor, Currency: i.Currency}.String()
	}
	if i.Review != nil && i.Review.DecidedAt != nil {
		return what + ": waited for a person, " + i.Review.State
	}
	switch i.State {
	case switching.StateDeclined:
		return what + ": declined, " + human(i.Reason)
	case switching.StateUnderReview:
		return what + ": waits for a person"
	case switching.StateAbandoned:
		return what + ": taken back by the host, whose answer had come too late"
	default:
		return what + ": approved"
	}
}

// becameAnother tells whether what was asked for became something else. What a person
// rejected became nothing.
func becameAnother(asked, kind switching.Kind, reason switching.Reason) bool {
	return asked != kind && reason != switching.ReviewRejected
}

func classOf(i *switching.Inspection) string {
	if i.State == switching.StateDeclined || i.State == switching.StateAbandoned {
		return "bad"
	}
	return "done"
}
