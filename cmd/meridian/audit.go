package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newAuditCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "audit",
		Short: "Look at denied attempts and at what people changed",
	}
	database := newDatabaseFlags(command)
	command.AddCommand(newAuditListCommand(g, database))
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
