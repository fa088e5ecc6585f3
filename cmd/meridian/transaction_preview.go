package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

func newTransactionPreviewCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "preview-cancel RRN",
		Short: "Say what a cancel of a transaction would become now, until when, and why",
		Long: `Says what a full cancel ("you decide") of a transaction from its own terminal would become now: a void, a refund, a review
or a decline, by which rule, and until when it can be voided. The decision is the one that a terminal's message would meet;
nothing is done.

Now is what the sandbox's clock shows, where the database is that of the sandbox on --data-dir, and the real time otherwise.`,
		Example: "  meridian transaction preview-cancel 632518000042",
		Args:    oneArgument("RRN"),
		RunE: func(c *cobra.Command, arguments []string) error {
			rrn, err := parseRRN(arguments[0])
			if err != nil {
				return err
			}
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			at, err := database.clockOf(c.Context(), pool)
			if err != nil {
				return err
			}
			preview, err := switching.PreviewCancel(c.Context(), pool, at.now, rrn)
			if errors.Is(err, switching.ErrNoTransaction) {
				return fmt.Errorf("no transaction has RRN %0*d", rrnDigits, rrn)
			}
			if err != nil {
				return databaseError(err)
			}
			shown := newShownPreview(preview, at)
			return g.print(shown, shown.write)
		},
	}
}

// shownPreview is a preview with the clock that it was made by and the sentences of its rules.
type shownPreview struct {
	*switching.CancelPreview

	Clock string       `json:"clock"` // sandbox or real
	Trace []tracedRule `json:"trace"`

	clock string // for people
}

func newShownPreview(p *switching.CancelPreview, at *businessTime) *shownPreview {
	s := &shownPreview{CancelPreview: p, Clock: at.clock, Trace: []tracedRule{}, clock: at.why}
	for _, rule := range p.Rules {
		s.Trace = append(s.Trace, tracedRule{Rule: rule, Sentence: rule.Sentence()})
	}
	return s
}

func (s *shownPreview) write(w io.Writer) {
	line := func(name, format string, values ...any) {
		_, _ = fmt.Fprintf(w, "  %-15s %s\n", name, fmt.Sprintf(format, values...))
	}
	verdict := s.Verdict
	if s.Rule != 0 {
		verdict += " " + s.Rule.String()
	}
	_, _ = fmt.Fprintf(w, "RRN %s  a cancel would now be %s\n", s.RRN, verdict)
	line("now", "%s, by %s", s.both(s.At), s.clock)
	line("merchant", "%s, terminal %s", s.MID, s.TID)
	line("amount", "%s", money.Amount{Minor: s.AmountMinor, Currency: s.Currency})
	if s.Verdict == "DECLINE" {
		line("reason", "%s", s.Reason)
	}
	for _, r := range s.Trace {
		_, _ = fmt.Fprintf(w, "    %-4s  %s\n", r.Rule, r.Sentence)
	}
	if s.VoidableUntil != nil {
		line("voidable until", "%s", s.both(*s.VoidableUntil))
	}
	if s.Counterfactual != "" {
		line("otherwise", "%s", s.Counterfactual)
	}
}

// both is an instant in UTC and on the merchant's wall clock.
func (s *shownPreview) both(t time.Time) string {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return instant(t)
	}
	return fmt.Sprintf("%s (%s %s)", instant(t), t.In(zone).Format(wallClock), s.TimeZone)
}
