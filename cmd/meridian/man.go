package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manSection is that of programs.
const manSection = "1"

// newManCommand is for those who build packages: people have them in /usr/share/man.
func newManCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "man",
		Short: "Write the manual pages",
		Long: `Writes a manual page for each command into a directory, for packages and images:

  meridian man --directory /usr/local/share/man/man1`,
		Hidden: true,
		Args:   noArguments,
	}
	directory := command.Flags().String("directory", "man", "where to write them; it is made")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pages, err := writeManual(c.Root(), *directory)
		if err != nil {
			return fmt.Errorf("write manual pages: %w", err)
		}
		return g.print(map[string]any{"directory": *directory, "pages": pages}, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "%d manual pages in %s\n", pages, *directory)
		})
	}
	return command
}

// writeManual writes a page for each command that people see, and returns how many.
func writeManual(root *cobra.Command, directory string) (pages int, err error) {
	if err := os.MkdirAll(directory, 0o755); err != nil { //nolint:gosec // manual pages are for everybody
		return 0, err
	}
	// No date of its own: the same program writes the same pages.
	header := &doc.GenManHeader{Section: manSection, Source: "Meridian " + version, Manual: "Meridian", Date: new(time.Time)}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, header, directory); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	list, err := filepath.Glob(filepath.Join(directory, "meridian*."+manSection))
	return len(list), err
}
