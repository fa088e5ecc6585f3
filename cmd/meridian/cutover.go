package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/postgres"
	"meridian/ledger"
)

func newCutoverCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "cutover",
		Short: "See business dates end, and close them",
		Long: `Business dates end at their calendar's cutoff: from that instant on, new work belongs to the next date. Every running host
then closes the date: it waits for what is in flight, settles and seals. These commands show where that is, do it where no
host runs, and show what comes.

Now is what the sandbox's clock shows, where the database is that of the sandbox on --data-dir, and the real time otherwise.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newCutoverStatusCommand(g, database),
		newCutoverRunCommand(g, database),
		newCutoverPreviewCommand(g, database),
	)
	return command
}

// cutoverStatus is where every calendar is.
type cutoverStatus struct {
	At      time.Time             `json:"at"`
	Clock   string                `json:"clock"` // sandbox or real
	Windows []ledger.CutoverState `json:"windows"`
}

func newCutoverStatusCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which date each calendar has open in every bucket, what is sealed, and what is behind",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			at, err := database.clockOf(c.Context(), pool)
			if err != nil {
				return err
			}
			states, err := ledger.CutoverStates(c.Context(), pool, at.now)
			if err != nil {
				return databaseError(err)
			}
			status := cutoverStatus{At: at.now.UTC(), Clock: at.clock, Windows: states}
			return g.print(status, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "at %s, by %s\n", status.At.Format(time.RFC3339), at.why)
				status.write(w)
			})
		},
	}
}

func (s *cutoverStatus) write(w io.Writer) {
	var rows [][]string
	for i := range s.Windows {
		state := &s.Windows[i]
		behind := "-"
		if state.Due > 0 {
			behind = fmt.Sprintf("%d, since %s", state.Due, state.Lag.Round(time.Second))
		}
		closes := "-"
		if state.ClosesAt != nil {
			closes = state.ClosesAt.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{
			state.Calendar, strconv.Itoa(int(state.Bucket)), dateOrDash(state.OpenDate), closes,
			dateOrDash(state.CuttingDate), dateOrDash(state.LastClosed), behind,
		})
	}
	table(w, []string{"CALENDAR", "BUCKET", "OPEN", "CLOSES", "CUTTING", "SEALED UP TO", "BEHIND"}, rows)
}

func dateOrDash(d *ledger.Date) string {
	if d == nil {
		return "-"
	}
	return d.String()
}

func newCutoverRunCommand(g *globals, database *databaseFlags) *cobra.Command {
	var atText string
	command := &cobra.Command{
		Use:   "run",
		Short: "Close the business dates whose cutoff has passed",
		Long: `Closes the business dates whose cutoff has passed: waits for what is in flight, settles and seals, date by date and bucket by
bucket. Running hosts do the same by themselves; several at once do nothing twice. What cannot be closed is told, and does
not keep the other buckets.`,
		Args: noArguments,
	}
	command.Flags().StringVar(&atText, "at", "", "close as of this instant (RFC 3339); not in production")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		now, err := database.cutoverTime(c.Context(), pool, atText)
		if err != nil {
			return err
		}
		run, err := runCutover(c.Context(), pool, now)
		if printErr := g.print(run, func(w io.Writer) { writeCutoverRun(w, &run) }); printErr != nil {
			return printErr
		}
		if postgres.LockNotWon(err) {
			return fmt.Errorf("requests in flight hold a window; run it again: %w", err)
		}
		return databaseError(err)
	}
	return command
}

// cutoverTime is the instant that --at names, or now.
func (d *databaseFlags) cutoverTime(ctx context.Context, pool *pgxpool.Pool, text string) (time.Time, error) {
	if text == "" {
		at, err := d.clockOf(ctx, pool)
		if err != nil {
			return time.Time{}, err
		}
		return at.now, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, usagef("--at %q is no instant such as 2026-03-10T23:00:00+08:00", text)
	}
	kind, err := installationKind(ctx, pool)
	if err != nil {
		return time.Time{}, databaseError(err)
	}
	if kind != kindSandbox {
		return time.Time{}, usagef("--at is for sandboxes: in production a date closes when its time has come")
	}
	return at, nil
}

// otherHostPatience is how long a run waits for windows that another host is
// closing at the same time; a day of many transactions takes seconds.
const otherHostPatience = 30 * time.Second

// runCutover makes the days up to now and closes what is due, however much that
// is. What a host beside it is closing is waited for, because later dates can
// only close after it.
func runCutover(ctx context.Context, pool *pgxpool.Pool, now time.Time) (ledger.CutoverRun, error) {
	all := ledger.CutoverRun{Closed: []ledger.ClosedWindow{}}
	calendars, err := ledger.Calendars(ctx, pool)
	if err != nil {
		return all, fmt.Errorf("close business dates: %w", err)
	}
	if err := ledger.EnsureWindows(ctx, pool, calendars, now); err != nil {
		return all, fmt.Errorf("close business dates: %w", err)
	}
	idleSince := time.Now()
	for attempt := 0; ; attempt++ {
		run, err := ledger.RunCutover(ctx, pool, now)
		all.Closed = append(all.Closed, run.Closed...)
		all.Waiting, all.More = run.Waiting, run.More
		if len(run.Closed) > 0 {
			idleSince, attempt = time.Now(), 0
		}
		if err != nil || run.Waiting == 0 && !run.More || time.Since(idleSince) > otherHostPatience {
			return all, err // it names the window
		}
		if err := postgres.Backoff(ctx, attempt, time.Second); err != nil {
			return all, fmt.Errorf("close business dates: %w", err)
		}
	}
}

func writeCutoverRun(w io.Writer, run *ledger.CutoverRun) {
	if len(run.Closed) > 0 {
		var rows [][]string
		for i := range run.Closed {
			c := &run.Closed[i]
			rows = append(rows, []string{
				c.BusinessDate.String(), c.Calendar, strconv.Itoa(int(c.Bucket)), strconv.Itoa(c.Statements),
				strconv.Itoa(c.Transfers), c.Cut.Round(time.Millisecond).String(), c.Close.Round(time.Millisecond).String(),
			})
		}
		table(w, []string{"DATE", "CALENDAR", "BUCKET", "STATEMENTS", "POSTED", "WAITED", "TOOK"}, rows)
	}
	_, _ = fmt.Fprintf(w, "%d windows closed, %d waiting\n", len(run.Closed), run.Waiting)
}

func newCutoverPreviewCommand(g *globals, database *databaseFlags) *cobra.Command {
	var calendar string
	var count int
	command := &cobra.Command{
		Use:   "preview",
		Short: "Show the next cutoffs, how long each date is, and when its money is due",
		Long: `Shows the next cutoffs of every calendar, in its own time and in UTC, the length of each business date (23 or 25 hours where
clocks change), the value date, and the days without banks before it. Dates that are made already (ten days ahead) are kept
whatever changes; those marked "as of today" follow the zone data and holidays of this binary.`,
		Example: "  meridian cutover preview --calendar berlin --count 30",
		Args:    noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&calendar, "calendar", "", "only this calendar")
	flags.IntVar(&count, "count", 7, fmt.Sprintf("how many cutoffs of each, up to %d", ledger.CutoffsMax))
	command.RunE = func(c *cobra.Command, _ []string) error {
		if count < 1 || count > ledger.CutoffsMax {
			return usagef("--count %d: it is 1 to %d", count, ledger.CutoffsMax)
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
		calendars, err := chosenCalendars(c.Context(), pool, calendar)
		if err != nil {
			return err
		}
		list := []ledger.Cutoff{}
		for _, one := range calendars {
			next, err := ledger.NextCutoffs(c.Context(), pool, one, at.now, count)
			if err != nil {
				return databaseError(err)
			}
			list = append(list, next...)
		}
		return g.print(list, func(w io.Writer) { writeCutoffs(w, list) })
	}
	return command
}

// chosenCalendars are all of them, or the one that is named.
func chosenCalendars(ctx context.Context, pool *pgxpool.Pool, name string) ([]*ledger.Calendar, error) {
	all, err := ledger.Calendars(ctx, pool)
	if err != nil {
		return nil, databaseError(err)
	}
	if name == "" {
		return all, nil
	}
	var names []string
	for _, c := range all {
		if c.Name == name {
			return []*ledger.Calendar{c}, nil
		}
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return nil, errors.New("there is no calendar")
	}
	return nil, usagef("there is no calendar %q: there are %s", name, strings.Join(names, ", "))
}

func writeCutoffs(w io.Writer, list []ledger.Cutoff) {
	var rows [][]string
	for i := range list {
		c := &list[i]
		var why []string
		for _, closure := range c.Closures {
			why = append(why, closure.Name)
		}
		made := "made"
		if !c.Made {
			made = "as of today"
		}
		rows = append(rows, []string{
			c.Calendar, c.BusinessDate.String(), c.ClosesLocal.Format("2006-01-02 15:04:05 -07:00"), c.ClosesAt.Format(time.RFC3339),
			hours(c.Length()), c.ValueDate.String(), strings.Join(why, ", "), made,
		})
	}
	table(w, []string{"CALENDAR", "DATE", "CLOSES", "UTC", "LENGTH", "VALUE", "NO BANKS", ""}, rows)
}

// hours writes a date's length: 23 h, 24 h, or 23 h 30 m where clocks move by half an hour.
func hours(d time.Duration) string {
	text := fmt.Sprintf("%d h", d/time.Hour)
	if minutes := d % time.Hour / time.Minute; minutes != 0 {
		text += fmt.Sprintf(" %d m", minutes)
	}
	return text
}
