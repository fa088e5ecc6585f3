package main

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// exampleConfig names every key with its default; a test holds it to the configuration's own.
//
//go:embed example.yaml
var exampleConfig string

func newConfigCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration in force and where each value came from",
		Long: `Shows the configuration in force and where each value came from: a flag, a MERIDIAN_* variable, the configuration file
or the default. Passwords are hidden.`,
		Args: noArguments,
	}
	command.RunE = func(*cobra.Command, []string) error {
		loaded, err := g.load()
		if err != nil {
			return err
		}
		settings := loaded.Settings()
		return g.print(settings, func(w io.Writer) {
			rows := make([][]string, 0, len(settings))
			for _, s := range settings {
				rows = append(rows, []string{s.Key, s.Value, s.Origin})
			}
			table(w, []string{"KEY", "VALUE", "FROM"}, rows)
		})
	}
	command.AddCommand(newConfigCheckCommand(g), newConfigExampleCommand(g))
	return command
}

// checkedConfig is the result of config check as JSON.
type checkedConfig struct {
	File      string   `json:"file,omitempty"`
	Valid     bool     `json:"valid"`
	Listeners []string `json:"listeners"`
}

func newConfigCheckCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check whether a host could start with a configuration",
		Long: `Checks whether a host could start with a configuration: every key, every value, every file that it names. The MERIDIAN_*
variables count as they would for serve. Nothing is connected to.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) == 1 {
				g.configFile = arguments[0]
			}
			loaded, err := g.load()
			if err != nil {
				return err
			}
			if err := checkServe(loaded); err != nil {
				return err
			}
			result := checkedConfig{File: loaded.File, Valid: true, Listeners: []string{}}
			for _, l := range loaded.Config.Listeners {
				result.Listeners = append(result.Listeners, l.Name)
			}
			return g.print(result, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s: a host could start with it, on %d listeners\n", orNoFile(result.File), len(result.Listeners))
			})
		},
	}
}

func orNoFile(file string) string {
	if file == "" {
		return "no file"
	}
	return file
}

func newConfigExampleCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "Print a commented configuration file with every key and its default",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			return g.print(map[string]string{"yaml": exampleConfig}, func(w io.Writer) { _, _ = io.WriteString(w, exampleConfig) })
		},
	}
}
