package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// The forms of --output.
const (
	outputText = "text"
	outputJSON = "json"
)

// globals are what every command has: the streams, the environment, and the flags of the root.
type globals struct {
	output     string // outputText or outputJSON
	configFile string // --config, empty when not given
	stdin      io.Reader
	stdout     io.Writer
	stderr     io.Writer
	environ    []string // as os.Environ returns it

	// started is set when a command's own code begins: errors before that are the command line's.
	started bool
}

// register adds the flags of all commands.
func (g *globals) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&g.output, "output", "o", outputText, "form of results and errors: text or json")
	flags.StringVar(&g.configFile, "config", "", "configuration file (default $MERIDIAN_CONFIG)")
	completeFlags(root)
}

// orList names choices.
func orList(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// json tells whether results and errors are JSON.
func (g *globals) json() bool { return g.output == outputJSON }

// print writes a result: v as one JSON document, or what text writes.
func (g *globals) print(v any, text func(w io.Writer)) error {
	if !g.json() {
		w := &keepError{w: g.stdout}
		text(w)
		return w.err
	}
	encoder := json.NewEncoder(g.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// keepError keeps the first error of many writes, so that a text need not look at each.
type keepError struct {
	w   io.Writer
	err error
}

func (k *keepError) Write(p []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.w.Write(p)
	if err != nil {
		k.err = fmt.Errorf("write result: %w", err)
	}
	return n, k.err
}

// table writes rows in columns, the header first. Cells hold no tabs and no line ends.
func table(w io.Writer, header []string, rows [][]string) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(columns, strings.Join(header, "\t"))
	for _, row := range rows {
		_, _ = fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	_ = columns.Flush() // w keeps the error
}

// wantsJSON looks for --output json in a command line that could not be parsed to its end.
func wantsJSON(arguments []string) bool {
	for i, argument := range arguments {
		switch argument {
		case "--":
			return false
		case "--output=json", "-o=json", "-ojson":
			return true
		case "--output", "-o":
			if i+1 < len(arguments) && arguments[i+1] == outputJSON {
				return true
			}
		}
	}
	return false
}
