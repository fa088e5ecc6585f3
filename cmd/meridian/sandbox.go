package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"meridian/docs"
	"meridian/internal/card"
	"meridian/internal/config"
	"meridian/sandbox"
)

func newSandboxCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a host with everything it needs, for development and tests",
		Long: `Runs a whole host on this machine: a private Postgres, the schema, test merchants, terminals and cards, listeners for
terminals and the ops address. Nothing has to be prepared, and everything in it is public: production refuses it.

When it is ready it writes sandbox.json into the data directory: addresses, the database, terminals with their keys,
cards with what they do. The file is removed when the sandbox ends.

The first SIGINT or SIGTERM drains, stops Postgres in order and ends; the second ends at once. What was answered is kept
either way, and also when the sandbox or its Postgres is killed: the next start on the same data directory has it again.

--database-url takes a database in place of a private Postgres. A production database that has merchants is refused.
With --ephemeral nothing is left behind: the private Postgres is temporary, or a database is made beside the one that
--database-url names and dropped at the end.

Exit codes: 2 for an address that is none, 3 for an address that is taken and for a database that is not a sandbox's,
4 for a database that cannot be reached, 1 for a data directory that another sandbox uses and for anything else.`,
		Example: `  meridian sandbox
  meridian sandbox --ephemeral --nac 127.0.0.1:0 --ascii 127.0.0.1:0 --unionpay 127.0.0.1:0 --console 127.0.0.1:0 --ops 127.0.0.1:0
  meridian terminal sale --amount 12.34
  meridian terminal logon --dialect unionpay`,
		Args: noArguments,
	}
	var o sandbox.Options
	flags := command.Flags()
	flags.StringVar(&o.DataDir, "data-dir", sandbox.DefaultDataDir,
		"keeps the database and sandbox.json (with --ephemeral alone: a temporary directory)")
	flags.BoolVar(&o.Ephemeral, "ephemeral", false, "leave nothing behind")
	flags.StringVar(&o.DatabaseURL, "database-url", "", "use this database, as postgres://…, in place of a private Postgres")
	flags.StringVar(&o.NAC, "nac", sandbox.DefaultNAC, "address for NAC terminals; port 0 picks a free one, here and below")
	flags.StringVar(&o.ASCII, "ascii", sandbox.DefaultASCII, "address for ASCII terminals")
	flags.StringVar(&o.UnionPay, "unionpay", sandbox.DefaultUnionPay, "address for UnionPay terminals")
	flags.StringVar(&o.Console, "console", sandbox.DefaultConsole, "address of the console")
	flags.StringVar(&o.Ops, "ops", sandbox.DefaultOps, "address of metrics and health")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if o.Ephemeral && !flags.Changed("data-dir") {
			o.DataDir = ""
		}
		if reason := config.DatabaseURL(o.DatabaseURL).Wrong(); o.DatabaseURL != "" && reason != "" {
			return withExit(exitConfiguration, fmt.Errorf("--database-url %s", reason))
		}
		return runSandbox(c.Context(), g, o)
	}
	return command
}

func runSandbox(ctx context.Context, g *globals, o sandbox.Options) error {
	// Of the configuration only the log's part is taken: a database that is set for a host is not a sandbox's.
	loaded, err := g.load()
	if err != nil {
		return err
	}
	if o.Logger, err = newLogger(g.stderr, loaded.Config.Log); err != nil {
		return err
	}
	o.Version, o.Documents = version, docs.Files
	s, err := sandbox.Start(ctx, o)
	if err != nil {
		return sandboxError(err)
	}
	if err := g.print(readiness(s), func(w io.Writer) { banner(w, s, o) }); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Run(ctx)
}

// ready is what the command prints with --output json. Everything else is in the file.
type ready struct {
	Ready     bool              `json:"ready"`
	File      string            `json:"file"`
	DataDir   string            `json:"data_dir"`
	Addresses sandbox.Addresses `json:"addresses"`
}

func readiness(s *sandbox.Sandbox) ready {
	return ready{Ready: true, File: s.ManifestPath(), DataDir: s.DataDir(), Addresses: s.Manifest().Addresses}
}

// banner tells a person where everything is and what to try.
func banner(w io.Writer, s *sandbox.Sandbox, o sandbox.Options) {
	m := s.Manifest()
	_, _ = fmt.Fprintf(w, "\nThe sandbox is ready. Ctrl-C ends it.\n\n")
	_, _ = fmt.Fprintf(w, "  NAC terminals    %s\n", m.Addresses.NAC)
	_, _ = fmt.Fprintf(w, "  ASCII terminals  %s\n", m.Addresses.ASCII)
	_, _ = fmt.Fprintf(w, "  UnionPay         %s\n", m.Addresses.UnionPay)
	_, _ = fmt.Fprintf(w, "  Console          %s\n", m.Addresses.Console)
	_, _ = fmt.Fprintf(w, "  Metrics, health  %s\n", m.Addresses.Ops)
	_, _ = fmt.Fprintf(w, "  All the rest     %s\n", s.ManifestPath())
	if len(m.Merchants) > 0 && len(m.Merchants[0].Terminals) > 0 && len(m.Cards) > 0 {
		first := m.Merchants[0]
		_, _ = fmt.Fprintf(w, "\n  Terminal %s of %s (%s), card %s\n",
			first.Terminals[0].TID, first.Name, first.MID, card.MaskDigits(m.Cards[0].PAN))
	}
	where := ""
	if o.DataDir != sandbox.DefaultDataDir {
		where = " --data-dir " + s.DataDir()
	}
	_, _ = fmt.Fprintf(w, "\nTry, in another window:\n\n")
	for _, try := range []string{"terminal sale --amount 12.34", "terminal cancel", "trigger late-cancel", "terminal logon --dialect unionpay"} {
		_, _ = fmt.Fprintf(w, "  %s %s%s\n", calledAs(os.Args[0]), try, where)
	}
	_, _ = fmt.Fprintln(w)
}

// calledAs is the program as a person calls it: a checkout's is not on PATH.
func calledAs(argument string) string {
	if strings.ContainsRune(argument, filepath.Separator) {
		return filepath.Clean(argument)
	}
	return "meridian"
}

// sandboxError gives an error of a sandbox's start its exit code.
func sandboxError(err error) error {
	if address, ok := errors.AsType[*sandbox.AddressError](err); ok {
		if address.Malformed() {
			return withExit(exitUsage, err)
		}
		return withExit(exitConfiguration, err)
	}
	if errors.Is(err, sandbox.ErrProduction) || errors.Is(err, sandbox.ErrOtherRows) {
		return withExit(exitConfiguration, err)
	}
	return databaseError(err)
}
