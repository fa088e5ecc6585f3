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

func newReviewCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "review",
		Short: "Decide the refunds that wait for a person",
		Long: `Lists and decides the refunds that wait for a person: over the policy's threshold, of a flagged merchant, without an
original, or to a card out of use. Nothing is posted until then, and the terminal was answered 01. An approved refund is
posted in the window that takes work now; the terminal's repeat then gets the final answer.

Approving and rejecting need the service's role or the owner's login. Now is what the sandbox's clock shows, where the
database is that of the sandbox on --data-dir.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newReviewListCommand(g, database),
		newReviewDecisionCommand(g, database, true),
		newReviewDecisionCommand(g, database, false),
	)
	return command
}

func newReviewListCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "List the refunds under review, the oldest first",
		Args:  noArguments,
	}
	all := command.Flags().Bool("all", false, "also those that were decided")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list, err := switching.Reviews(c.Context(), pool, *all)
		if err != nil {
			return databaseError(err)
		}
		if list == nil {
			list = []*switching.Review{} // an empty list, not null
		}
		return g.print(list, func(w io.Writer) { writeReviews(w, list) })
	}
	return command
}

func writeReviews(w io.Writer, list []*switching.Review) {
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		decided := "-"
		if r.DecidedAt != nil {
			decided = printable(fmt.Sprintf("%s by %s: %s", listTime(*r.DecidedAt), r.DecidedBy, r.Why))
		}
		amount := money.Amount{Minor: r.Amount, Currency: r.Currency}.String()
		if r.RRN == "" { // its month was retired
			amount = ""
		}
		rows = append(rows, []string{
			orDash(r.RRN), listTime(r.RaisedAt), r.MID, orDash(r.TID), orDash(amount), orDash(r.Card),
			orDash(r.OriginalRRN), r.State, decided, printable(r.Cause),
		})
	}
	table(w, []string{"RRN", "RAISED (UTC)", "MERCHANT", "TERMINAL", "AMOUNT", "CARD", "ORIGINAL", "STATE", "DECIDED (UTC)", "CAUSE"}, rows)
}

// listTime is an instant in a column.
func listTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// decidedReview is what became of a review.
type decidedReview struct {
	RRN       string    `json:"rrn"`
	State     string    `json:"state"` // approved or rejected
	DecidedAt time.Time `json:"decided_at"`
	Clock     string    `json:"clock"` // sandbox or real

	clock string // for people
}

func newReviewDecisionCommand(g *globals, database *databaseFlags, approve bool) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:     "reject RRN --by NAME --reason TEXT",
		Short:   "Reject a refund: nothing is posted, and the terminal's repeat is declined",
		Example: `  meridian review reject 632518000042 --by "Ann Lee" --reason "no receipt"`,
		Args:    oneArgument("RRN"),
	}
	if approve {
		command.Use = "approve RRN --by NAME --reason TEXT"
		command.Short = "Approve a refund: it is posted now, and the terminal's repeat is approved"
		command.Example = `  meridian review approve 632518000042 --by "Ann Lee" --reason "receipt seen"`
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		rrn, err := parseRRN(arguments[0])
		if err != nil {
			return err
		}
		if err := why.check(); err != nil {
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
		decision := switching.ReviewDecision{RRN: rrn, Approve: approve, Who: why.by, Why: why.reason}
		err = switching.DecideReview(c.Context(), pool, at.now, decision)
		if errors.Is(err, switching.ErrNoReview) {
			return fmt.Errorf("no refund with RRN %s waits for a review (meridian review list --all tells who decided)", arguments[0])
		}
		if err != nil {
			return databaseError(err)
		}
		decided := &decidedReview{RRN: arguments[0], State: "rejected", DecidedAt: at.now.UTC(), Clock: at.clock, clock: at.why}
		if approve {
			decided.State = "approved"
		}
		return g.print(decided, decided.write)
	}
	return command
}

func (d *decidedReview) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "RRN %s %s at %s, by %s; the terminal's next repeat gets the final answer\n",
		d.RRN, d.State, instant(d.DecidedAt), d.clock)
}
