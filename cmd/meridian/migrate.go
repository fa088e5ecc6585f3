package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"meridian/migrations"
)

// migrated is what migrate did, as JSON.
type migrated struct {
	From int64 `json:"from_version"`
	To   int64 `json:"to_version"`
}

func newMigrateCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this binary's schema",
		Long: `Brings the database to this binary's schema and makes the role that running hosts assume.

The login must own the database and, the first time, be allowed to create roles. A host of the previous version keeps
working on the new schema, so hosts are upgraded after it, one at a time.`,
		Args: noArguments,
	}
	database := newDatabaseFlags(command)
	up := func(c *cobra.Command, _ []string) error {
		loaded, err := database.load(g)
		if err != nil {
			return err
		}
		url := loaded.Config.Database.URL.Reveal()
		before, err := migrations.List(c.Context(), url)
		if err != nil {
			return migrationError(err)
		}
		after, err := migrations.Up(c.Context(), url)
		if err != nil {
			return migrationError(err)
		}
		result := migrated{From: newestApplied(before), To: after}
		return g.print(result, func(w io.Writer) {
			if result.From == result.To {
				_, _ = fmt.Fprintf(w, "the schema is at version %d, nothing to do\n", result.To)
				return
			}
			_, _ = fmt.Fprintf(w, "the schema went from version %d to %d\n", result.From, result.To)
		})
	}
	command.RunE = up
	command.AddCommand(
		&cobra.Command{Use: "up", Short: "The same as migrate alone", Args: noArguments, RunE: up},
		newMigrateStatusCommand(g, database),
	)
	return command
}

// migrationError is databaseError for what only a migration meets.
func migrationError(err error) error {
	if errors.Is(err, migrations.ErrNewer) || errors.Is(err, migrations.ErrRights) {
		return withExit(exitConfiguration, err)
	}
	return databaseError(err)
}

// newestApplied is the schema version of a database, 0 for an empty one.
func newestApplied(list []migrations.Status) (version int64) {
	for _, m := range list {
		if !m.AppliedAt.IsZero() {
			version = max(version, m.Version)
		}
	}
	return version
}

func newMigrateStatusCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the migrations and when each was applied",
		Long:  `Lists the migrations and when each was applied, those of a newer version too. It changes nothing; the hosts' login may look.`,
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := database.load(g)
			if err != nil {
				return err
			}
			list, err := migrations.List(c.Context(), loaded.Config.Database.URL.Reveal())
			if err != nil {
				return migrationError(err)
			}
			return g.print(list, func(w io.Writer) {
				rows := make([][]string, 0, len(list))
				for _, m := range list {
					applied := "not yet"
					if !m.AppliedAt.IsZero() {
						applied = m.AppliedAt.UTC().Format(time.RFC3339)
					}
					rows = append(rows, []string{strconv.FormatInt(m.Version, 10), applied, m.Name})
				}
				table(w, []string{"VERSION", "APPLIED", "MIGRATION"}, rows)
			})
		},
	}
}
