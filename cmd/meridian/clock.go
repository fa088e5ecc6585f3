package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/config"
	"meridian/ledger"
	"meridian/sandbox"
)

func newClockCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "clock",
		Short: "Look at a sandbox's clock and move it",
		Long: `Looks at the business clock of a running sandbox and moves it. Before a change is answered, everything is done that time
going by would have done: business dates are cut, settled and closed, holds expire. A moved clock stays moved over restarts,
except in an ephemeral sandbox. Moves are in the audit log (meridian audit list --kind clock_moved).

Only a sandbox has such a clock: a production host refuses with exit code 3. With no sandbox running the code is 4.`,
		Example: `  meridian clock show
  meridian clock after-cutoff
  meridian clock advance 1d12h
  meridian clock advance -- -30m
  meridian clock set 2026-03-29T01:59:59+01:00`,
	}
	var f sandboxFlags
	flags := command.PersistentFlags()
	flags.StringVar(&f.dataDir, "data-dir", sandbox.DefaultDataDir, "directory of the running sandbox")
	flags.StringVar(&f.ops, "ops", "", "its ops address, as http://… (default from sandbox.json)")
	add := func(
		use, short string, args cobra.PositionalArgs, parse func(argument string) (sandbox.ClockChange, error),
	) *cobra.Command {
		child := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, arguments []string) error {
			argument := ""
			if len(arguments) > 0 {
				argument = arguments[0]
			}
			change, err := parse(argument)
			if err != nil {
				return err
			}
			return runClock(c.Context(), g, f, change)
		}}
		command.AddCommand(child)
		return child
	}
	plain := func(do string) func(string) (sandbox.ClockChange, error) {
		return func(string) (sandbox.ClockChange, error) { return sandbox.ClockChange{Do: do}, nil }
	}
	var mid string
	toCutoff := func(do string) func(string) (sandbox.ClockChange, error) {
		return func(string) (sandbox.ClockChange, error) { return sandbox.ClockChange{Do: do, MID: mid}, nil }
	}
	add("show", "Show what time it is in the sandbox", noArguments, plain(doNothing))
	add("advance DURATION", "Move it by a duration, such as 90s, 2h30m or 1d12h; back after --", oneArgument("DURATION"),
		func(argument string) (sandbox.ClockChange, error) {
			d, err := parseDays(argument)
			return sandbox.ClockChange{Do: "advance", Duration: d}, err
		})
	add("set RFC3339", "Move it to an instant, such as 2026-03-29T01:59:59+01:00", oneArgument("RFC3339"),
		func(argument string) (sandbox.ClockChange, error) {
			to, err := time.Parse(time.RFC3339, argument)
			if err != nil {
				err = usagef("%q is no instant with its offset from UTC, such as 2026-03-29T01:59:59+01:00 or 2026-03-29T00:59:59Z",
					argument)
			}
			return sandbox.ClockChange{Do: "set", Instant: to}, err
		})
	for _, c := range []*cobra.Command{
		add("before-cutoff", "Move it to a minute before a merchant's next cutoff", noArguments, toCutoff("before-cutoff")),
		add("after-cutoff", "Move it to a second after a merchant's next cutoff", noArguments, toCutoff("after-cutoff")),
	} {
		c.Flags().StringVar(&mid, "mid", "", "whose cutoff (default the sandbox's first merchant's)")
	}
	add("freeze", "Stop it where it is", noArguments, plain("freeze"))
	add("real", "Go back to the real time", noArguments, plain("real"))
	return command
}

var daysFirst = regexp.MustCompile(`^([+-]?)(?:([0-9]{1,4})d)?(.*)$`)

// parseDays reads a duration as Go writes it, with days of 24 hours before it.
func parseDays(text string) (time.Duration, error) {
	wrong := usagef("%q is no duration, such as 90s, 2h30m or 1d12h", text)
	parts := daysFirst.FindStringSubmatch(text)
	if parts == nil {
		return 0, wrong
	}
	sign, days, rest := parts[1], parts[2], parts[3]
	if days == "" && rest == "" {
		return 0, wrong
	}
	var total time.Duration
	if rest != "" {
		var err error
		if total, err = time.ParseDuration(rest); err != nil || total < 0 || rest[0] == '+' || rest[0] == '-' {
			return 0, wrong
		}
	}
	if days != "" {
		n, err := strconv.Atoi(days)
		if err != nil {
			return 0, wrong
		}
		total += time.Duration(n) * 24 * time.Hour
	}
	if total < 0 { // more than 292 years
		return 0, wrong
	}
	if sign == "-" {
		total = -total
	}
	return total, nil
}

// shownClock is a reading with what it means for the sandbox's merchants.
type shownClock struct {
	sandbox.ClockReading

	Zones []zoneReading `json:"zones,omitempty"`
	// Cutoffs that the change went past, in their order.
	Cutoffs []ledger.PassedCutoff `json:"cutoffs,omitempty"`
}

// zoneReading is the wall clock where merchants are.
type zoneReading struct {
	TimeZone string    `json:"time_zone"`
	Local    time.Time `json:"local"`
	MIDs     []string  `json:"mids"`
}

// doNothing is the change that only reads.
const doNothing = ""

// runClock reads a clock, or changes it and tells what came of it.
func runClock(ctx context.Context, g *globals, f sandboxFlags, change sandbox.ClockChange) error {
	running, err := f.find()
	if err != nil {
		return err
	}
	reading, err := askClock(ctx, running.Addresses.Ops, change)
	if err != nil {
		return err
	}
	shown := &shownClock{ClockReading: *reading, Zones: zonesOf(running.Merchants, reading.Now)}
	var told error
	if !reading.Was.IsZero() && running.DatabaseURL != "" && reading.Now.After(reading.Was) {
		shown.Cutoffs, told = cutoffsPassed(ctx, g, running.DatabaseURL, reading.Was, reading.Now)
	}
	// The clock was moved, whatever is known about the cutoffs.
	return errors.Join(g.print(shown, shown.write), told)
}

// cutoffsPassed asks the sandbox's database what became of the business dates that ended.
func cutoffsPassed(ctx context.Context, g *globals, url string, after, until time.Time) ([]ledger.PassedCutoff, error) {
	pool, err := sandboxBooks(ctx, g, url)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	passed, err := ledger.PassedCutoffs(ctx, pool, after, until)
	return passed, databaseError(err)
}

// sandboxBooks connects to the database of a running sandbox.
func sandboxBooks(ctx context.Context, g *globals, url string) (*pgxpool.Pool, error) {
	loaded, err := g.load(config.Flag{Name: "--data-dir", Key: "database.url", Value: url})
	if err != nil {
		return nil, err
	}
	return connect(ctx, loaded.Config.Database, commandConnections)
}

// zonesOf returns the wall clocks of merchants, each zone once.
func zonesOf(merchants []sandbox.Merchant, now time.Time) []zoneReading {
	var list []zoneReading
	for _, m := range merchants {
		i := slices.IndexFunc(list, func(z zoneReading) bool { return z.TimeZone == m.TimeZone })
		if i < 0 {
			zone, err := time.LoadLocation(m.TimeZone)
			if err != nil {
				continue // a zone that this machine does not know is the sandbox's business
			}
			i = len(list)
			list = append(list, zoneReading{TimeZone: m.TimeZone, Local: now.In(zone)})
		}
		list[i].MIDs = append(list[i].MIDs, m.MID)
	}
	return list
}

const wallClock = "2006-01-02 15:04:05 MST"

func (s *shownClock) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s  %s\n", instant(s.Now), s.against())
	for _, z := range s.Zones {
		_, _ = fmt.Fprintf(w, "  %-25s %s\n", z.Local.Format(wallClock), z.TimeZone)
	}
	if !s.Was.IsZero() {
		_, _ = fmt.Fprintf(w, "before: %s\n", instant(s.Was))
	}
	for _, c := range s.Cutoffs {
		state := "closed and settled"
		if !c.Closed {
			state = "past its cutoff, not closed yet"
		}
		_, _ = fmt.Fprintf(w, "business date %s of %s: %s (cutoff %s)\n", c.BusinessDate, printable(c.Calendar), state, instant(c.ClosesAt))
	}
}

// against says how the clock stands to the real one.
func (s *shownClock) against() string {
	switch {
	case s.Frozen:
		return "frozen; the real time is " + instant(s.Real)
	case s.Now.Equal(s.Real):
		return "the real time"
	case s.Now.After(s.Real):
		return "ahead of the real time by " + s.Offset
	default:
		return "behind the real time by " + s.Offset[1:] // without its sign
	}
}
