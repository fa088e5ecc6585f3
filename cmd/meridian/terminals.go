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

	"meridian/switch"
)

func newTerminalsCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "terminals",
		Short: "Add terminals, look at those that may connect, and lock them out or let them in",
		Long: `Adds terminals to merchants and lists them, suspends and activates them, and unlocks those that wrong MACs have locked. (meridian
terminal, without an s, is a test terminal.)

Changes are in the audit log, and running hosts take them up within a second or two. All but unlock need the login that owns the
schema.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newTerminalsListCommand(g, database),
		newTerminalsShowCommand(g, database),
		newTerminalsAddCommand(g, database),
		newTerminalsSetCommand(g, database),
		newTerminalsUnlockCommand(g, database),
		newTerminalsActiveCommand(g, database, false),
		newTerminalsActiveCommand(g, database, true),
	)
	return command
}

func newTerminalsListCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List terminals: who is active, suspended or locked, and how they authenticate",
		Example: "  meridian terminals list --locked",
		Args:    noArguments,
	}
	mid := command.Flags().String("mid", "", "only those of a merchant (F42)")
	locked := command.Flags().Bool("locked", false, "only those that are locked now")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		at, err := database.clockOf(c.Context(), pool)
		if err != nil {
			return err
		}
		filter := switching.TerminalFilter{MID: *mid}
		if *locked {
			filter.LockedAt = &at.now
		}
		list := []terminalView{} // an empty list, not null
		for more := true; more; {
			some, err := switching.TerminalStates(c.Context(), pool, filter)
			if errors.Is(err, switching.ErrNoMerchant) {
				return noMerchant(*mid)
			}
			if err != nil {
				return databaseError(err)
			}
			for _, t := range some {
				list = append(list, viewOf(t, at.now))
				filter.After = t.TID
			}
			more = len(some) == switching.TerminalsListed
		}
		return g.print(list, func(w io.Writer) { writeTerminals(w, list) })
	}
	return command
}

// terminalView is a terminal with its state at the time of looking.
type terminalView struct {
	State string `json:"state"` // active, suspended, locked

	*switching.TerminalState
}

func viewOf(t *switching.TerminalState, now time.Time) terminalView {
	v := terminalView{State: "active", TerminalState: t}
	switch {
	case !t.Active:
		v.State = "suspended"
	case t.Locked(now):
		v.State = "locked"
	}
	return v
}

// stateText says for how long, too.
func (v *terminalView) stateText() string {
	if v.State == "locked" {
		return "locked until " + listTime(v.Lock.Until) + " UTC"
	}
	return v.State
}

func writeTerminals(w io.Writer, list []terminalView) {
	rows := make([][]string, 0, len(list))
	for _, t := range list {
		certificate := "-"
		if t.Certificate != "" {
			certificate = "bound"
		}
		rows = append(rows, []string{t.TID, t.MID, t.Dialect, t.stateText(), t.MAC, string(t.KeyScheme), keysText(t.Keys), certificate})
	}
	table(w, []string{"TERMINAL", "MERCHANT", "DIALECT", "STATE", "MAC", "KEYS", "HELD", "CERTIFICATE"}, rows)
}

func keysText(keys []switching.HeldKey) string {
	text := make([]string, len(keys))
	for i, k := range keys {
		text[i] = k.Use + " " + k.Algorithm
	}
	return orDash(strings.Join(text, ", "))
}

func newTerminalsShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "show TID",
		Short:   "Show a terminal: its state, its keys by use and algorithm, its last lock",
		Example: "  meridian terminals show 10000002",
		Args:    oneArgument("TID"),
		RunE: func(c *cobra.Command, arguments []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			at, err := database.clockOf(c.Context(), pool)
			if err != nil {
				return err
			}
			t, err := switching.FindTerminal(c.Context(), pool, arguments[0])
			if errors.Is(err, switching.ErrNoTerminal) {
				return noTerminal(arguments[0])
			}
			if err != nil {
				return databaseError(err)
			}
			v := viewOf(t, at.now)
			return g.print(&v, func(w io.Writer) { writeTerminal(w, &v) })
		},
	}
}

// knownParties refuses a merchant or a terminal that is not there, where nothing was found of them: an empty list would
// say that they had done nothing. Empty names are nobody's.
func knownParties(ctx context.Context, pool *pgxpool.Pool, mid, tid string) error {
	if mid != "" {
		_, err := switching.FindMerchant(ctx, pool, mid)
		if errors.Is(err, switching.ErrNoMerchant) {
			return noMerchant(mid)
		}
		if err != nil {
			return databaseError(err)
		}
	}
	if tid != "" {
		_, err := switching.FindTerminal(ctx, pool, tid)
		if errors.Is(err, switching.ErrNoTerminal) {
			return noTerminal(tid)
		}
		if err != nil {
			return databaseError(err)
		}
	}
	return nil
}

func noTerminal(tid string) error {
	return fmt.Errorf("there is no terminal %q (meridian terminals list shows them)", tid)
}

func writeTerminal(w io.Writer, t *terminalView) {
	line := func(name, value string) { _, _ = fmt.Fprintf(w, "  %-12s %s\n", name, value) }
	_, _ = fmt.Fprintf(w, "terminal %s of merchant %s\n", t.TID, t.MID)
	line("state", t.stateText())
	line("dialect", t.Dialect)
	if t.TPDU != "" {
		line("TPDU", t.TPDU)
	}
	line("MAC", t.MAC)
	line("PIN format", t.PINFormat)
	line("key scheme", string(t.KeyScheme))
	if t.BaseKey != "" {
		line("base key", fmt.Sprintf("%s, initial key serial number %s", t.BaseKey, t.InitialKSN))
	}
	line("keys", keysText(t.Keys))
	for _, k := range t.Generations {
		state := "not used yet"
		switch {
		case k.EndedAt != nil:
			state = "ended " + listTime(*k.EndedAt)
		case k.FirstUsed != nil:
			state = "in use since " + listTime(*k.FirstUsed)
		}
		line("generation", strconv.Itoa(int(k.Number))+": "+keysText(k.Keys)+", issued "+listTime(k.IssuedAt)+", "+state)
	}
	line("certificate", orDash(t.Certificate))
	line("void", allowedText(t.AllowVoid))
	line("refund", allowedText(t.AllowRefund))
	if l := t.Lock; l != nil {
		ended := "until " + listTime(l.Until)
		if l.UnlockedAt != nil {
			ended = "unlocked " + listTime(*l.UnlockedAt)
		}
		line("last lock", fmt.Sprintf("%s after %d wrong MACs, %s", listTime(l.At), l.Failures, ended))
	}
}

func allowedText(allowed bool) string {
	if allowed {
		return "as the policy says"
	}
	return "suspended"
}

func newTerminalsUnlockCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "unlock TID --by NAME --reason TEXT",
		Short: "Let a terminal in again that wrong MACs have locked",
		Long: `Ends the lock of a terminal before its time. Look first where the wrong MACs came from (audit list --kind mac_failure): a
terminal with an old key locks itself again.`,
		Example: `  meridian terminals unlock 10000002 --by "Ann Lee" --reason "its key was loaded anew"`,
		Args:    oneArgument("TID"),
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
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
		err = switching.UnlockTerminal(c.Context(), pool, at.now, arguments[0], why.by, why.reason)
		if errors.Is(err, switching.ErrNotLocked) {
			return fmt.Errorf("terminal %q is not locked, or there is none (meridian terminals list --locked shows them)", arguments[0])
		}
		if err != nil {
			return changeError(err, "")
		}
		return g.done(fmt.Sprintf("terminal %s is unlocked", arguments[0]), why)
	}
	return command
}

func newTerminalsActiveCommand(g *globals, database *databaseFlags, active bool) *cobra.Command {
	verb, short, is := "suspend", "Keep a terminal out until activate: everything it asks is answered 58", "suspended"
	if active {
		verb, short, is = "activate", "Let a terminal in again that suspend keeps out", "active"
	}
	var why change
	command := &cobra.Command{
		Use:     verb + " TID --by NAME --reason TEXT",
		Short:   short,
		Example: `  meridian terminals ` + verb + ` 10000002 --by "Ann Lee" --reason "stolen, and found"`,
		Args:    oneArgument("TID"),
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if err := why.check(); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.SetTerminalActive(c.Context(), pool, arguments[0], active, why.by, why.reason); err != nil {
			return changeError(err, fmt.Sprintf("terminal %q is %s already, or there is none", arguments[0], is))
		}
		return g.done(fmt.Sprintf("terminal %s is %s", arguments[0], is), why)
	}
	return command
}
