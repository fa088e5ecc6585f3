package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newAuditCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "audit",
		Short: "Look at denied attempts and at what people changed",
		Long: `Lists and verifies the audit log: denied attempts and what people changed. Its rows are a chain: each has its number, the
hash of the row before it, and a hash over both.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newAuditListCommand(g, database),
		newAuditVerifyCommand(g, database),
		newAuditAdoptCommand(g, database),
	)
	return command
}

func newAuditListCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List the audit log, the newest first",
		Example: "  meridian audit list --kind policy_changed --limit 10",
		Args:    noArguments,
	}
	kind := command.Flags().String("kind", "", "only one kind, such as mac_failure, policy_changed or review_decided")
	limit := command.Flags().Int("limit", defaultListed, fmt.Sprintf("at most so many, up to %d", switching.MaxListed))
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkLimit(*limit); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list, err := switching.AuditLog(c.Context(), pool, *kind, *limit)
		if err != nil {
			return databaseError(err)
		}
		if list == nil {
			list = []*switching.AuditRow{} // an empty list, not null
		}
		return g.print(list, func(w io.Writer) { writeAudit(w, list) })
	}
	return command
}

func writeAudit(w io.Writer, list []*switching.AuditRow) {
	rows := make([][]string, 0, len(list))
	for _, a := range list {
		rows = append(rows, []string{
			strconv.FormatInt(a.ID, 10), listTime(a.At), printable(a.Kind), printable(a.Subject), printable(a.Detail),
		})
	}
	table(w, []string{"ID", "RECORDED (UTC)", "KIND", "SUBJECT", "DETAIL"}, rows)
}

func newAuditVerifyCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "verify",
		Short: "Walk the audit log's chain; exit with 5 when a row was changed or is missing",
		Long: `Walks the audit log from its first row to its last, in one snapshot, and prints how many rows there are and the head: the last
row's number and hash. When a row was changed, is missing, out of order, or cut off at the end, it is named and the exit code is 5.

Who owns the database can write the whole chain anew, head included. Note a head elsewhere now and then (running hosts log one
after each verification) and give it to --expect-head: it must be in the chain still, at the end or before.`,
		Example: `  meridian audit verify
  meridian audit verify --expect-head 8c2574892063f995fdf756bce07f46c1a5193e54cd52837ed91e32008ccf41ac`,
		Args: noArguments,
	}
	expect := command.Flags().String("expect-head", "", "hash of a head that was noted before, 64 hex digits")
	command.RunE = func(c *cobra.Command, _ []string) error {
		var held *switching.AuditHash
		if c.Flags().Changed("expect-head") {
			held = &switching.AuditHash{}
			if err := held.UnmarshalText([]byte(strings.TrimSpace(*expect))); err != nil {
				return usagef("--expect-head: %w", err)
			}
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		v, err := switching.VerifyAudit(c.Context(), pool, held)
		if err != nil {
			return databaseError(err)
		}
		if err := g.print(v, func(w io.Writer) { writeAuditVerification(w, v) }); err != nil {
			return err
		}
		if v.Problem != nil {
			return withExit(exitInvariant, fmt.Errorf("the audit log does not hold: %s", v.Problem))
		}
		return nil
	}
	return command
}

func writeAuditVerification(w io.Writer, v *switching.AuditVerification) {
	_, _ = fmt.Fprintf(w, "%d rows checked\nhead %d %s\n", v.Rows, v.Head.Sequence, v.Head.Hash)
	if v.HeldAt != 0 {
		_, _ = fmt.Fprintf(w, "the expected head is row %d\n", v.HeldAt)
	}
	if v.Problem != nil {
		_, _ = fmt.Fprintln(w, v.Problem)
	}
}

func newAuditAdoptCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "adopt --by NAME --reason TEXT",
		Short: "Take rows into the chain that hosts of an earlier version wrote past it",
		Long: `Takes rows that stand outside of the chain into it, in the order they were written: a host of a version before the chain wrote
them, during an upgrade. Look at them first (audit list --output json: sequence 0). What was taken in is in the audit log.

It needs the login that owns the schema.`,
		Example: `  meridian audit adopt --by "Ann Lee" --reason "rolling upgrade"`,
		Args:    noArguments,
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := why.check(); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		total := 0
		for {
			n, err := switching.AdoptAudit(c.Context(), pool, why.by, why.reason)
			if err != nil {
				return changeError(err, "")
			}
			if total += n; n == 0 {
				break
			}
		}
		result := adopted{Rows: total, By: why.by, Reason: why.reason}
		return g.print(&result, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%d rows taken into the chain\n", total) })
	}
	return command
}

// adopted is what an adoption has done.
type adopted struct {
	Rows   int    `json:"rows"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}
