package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"meridian/internal/config"
)

// Outcomes of an examination.
const (
	statusOK   = "ok"
	statusWarn = "warn" // works, and will trouble somebody
	statusFail = "fail" // a host would not start, not work or not be trustworthy
)

// symptom is one thing that doctor looked at.
type symptom struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`

	code int // exit code of a failure
}

// examination gathers symptoms in the order in which they were looked at.
type examination struct {
	Symptoms []symptom `json:"checks"`
}

func (e *examination) okf(check, format string, values ...any) {
	e.Symptoms = append(e.Symptoms, symptom{Check: check, Status: statusOK, Detail: fmt.Sprintf(format, values...)})
}

func (e *examination) warnf(check, advice, format string, values ...any) {
	e.Symptoms = append(e.Symptoms, symptom{Check: check, Status: statusWarn, Detail: fmt.Sprintf(format, values...), Advice: advice})
}

func (e *examination) failf(code int, check, advice, format string, values ...any) {
	e.Symptoms = append(e.Symptoms, symptom{
		Check: check, Status: statusFail, Detail: fmt.Sprintf(format, values...), Advice: advice, code: code,
	})
}

// err is not nil when something failed. What is worse has the higher code: a violated invariant before a dependency that is
// away before the rest.
func (e *examination) err() error {
	failed, code := 0, exitFailure
	for _, s := range e.Symptoms {
		if s.Status == statusFail {
			failed++
			code = max(code, s.code)
		}
	}
	if failed == 0 {
		return nil
	}
	return withExit(code, fmt.Errorf("%d of %d checks failed", failed, len(e.Symptoms)))
}

func (e *examination) write(w io.Writer) {
	for _, s := range e.Symptoms {
		_, _ = fmt.Fprintf(w, "%-4s  %-15s  %s\n", s.Status, s.Check, s.Detail)
		if s.Advice != "" {
			_, _ = fmt.Fprintf(w, "      %-15s  -> %s\n", "", s.Advice)
		}
	}
}

// defaultVerifyTimeout is how long a person looks at a screen without news. Some million transactions are verified in it.
const defaultVerifyTimeout = 30 * time.Second

func newDoctorCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether everything that a host needs is as it should be",
		Long: `Looks whether everything that a host needs is as it should be: the database, its schema, its settings and the service's
privileges, the clocks, the limits of the machine, the keys, the ports and the ledger itself. It changes nothing and may run
beside working hosts.

It exits with 1 when something is wrong, with 4 when the database is not reachable, and with 5 when an invariant is violated.`,
		Args: noArguments,
	}
	database := newDatabaseFlags(command)
	verify := command.Flags().Duration("verify-timeout", defaultVerifyTimeout, "how long the ledger may be verified; 0 leaves it out")
	command.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := database.load(g)
		if err != nil {
			return err
		}
		e := &examination{}
		examine(c.Context(), e, loaded, *verify)
		if err := c.Context().Err(); err != nil {
			return err
		}
		if err := g.print(e, e.write); err != nil {
			return err
		}
		return e.err()
	}
	return command
}

// examine looks at everything.
func examine(ctx context.Context, e *examination, loaded *config.Loaded, verifyTimeout time.Duration) {
	e.okf("configuration", "%s", describe(loaded))
	sandbox := examineDatabase(ctx, e, loaded, verifyTimeout)
	examineOpenFiles(e, loaded.Config)
	if sandbox {
		return // its listeners and its key are its own
	}
	if err := loaded.CheckFiles(); err != nil {
		e.failf(exitFailure, "files", "mend the configuration, or put the files there", "%s", err)
	}
	examinePorts(ctx, e, loaded.Config)
}

// describe says what a configuration was read from.
func describe(loaded *config.Loaded) string {
	from := "no file"
	if loaded.File != "" {
		from = loaded.File
	}
	return fmt.Sprintf("%s, %d listeners, database from %s", from, len(loaded.Config.Listeners), loaded.Origin("database.url"))
}
