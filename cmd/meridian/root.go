package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRootCommand returns the tree of commands.
func newRootCommand(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:           "meridian",
		Short:         "Acquirer-side ISO 8583 switch and host",
		Long:          "Meridian takes ISO 8583 messages from terminals, decides them, and keeps the money in a double-entry ledger.",
		SilenceErrors: true, // execute tells errors, in the form that was asked for
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(g.stdin)
	root.SetOut(g.stdout)
	root.SetErr(g.stderr)
	g.register(root)
	root.AddCommand(
		newVersionCommand(g),
	)
	groups(root)
	g.mark(root)
	return root
}

// execute runs the command that the arguments name and returns the exit code.
func execute(ctx context.Context, g *globals, root *cobra.Command, arguments []string) int {
	root.SetArgs(arguments)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if !g.started {
		err = withExit(exitUsage, err)
		if wantsJSON(arguments) {
			g.output = outputJSON
		}
	}
	err = interrupted(ctx, err)
	g.fail(ran, err)
	return exitCode(err)
}

// flagError adds to pflag's error which flags there are.
func flagError(c *cobra.Command, err error) error {
	if _, ok := errors.AsType[*pflag.NotExistError](err); !ok {
		return fmt.Errorf("%s: %w", c.CommandPath(), err)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return fmt.Errorf("%s: %w; there are: %s", c.CommandPath(), err, strings.Join(names, ", "))
}

// groups gives every command that only holds others an answer of its own: cobra would print help and succeed, also for
// a subcommand that does not exist.
func groups(command *cobra.Command) {
	for _, child := range command.Commands() {
		groups(child)
	}
	if command.Runnable() || !command.HasSubCommands() {
		return
	}
	command.Args = cobra.ArbitraryArgs
	command.RunE = func(c *cobra.Command, arguments []string) error {
		var names []string
		for _, child := range c.Commands() {
			if child.IsAvailableCommand() {
				names = append(names, child.Name())
			}
		}
		possible := strings.Join(names, ", ")
		if len(arguments) == 0 {
			return usagef("%s needs a command: %s", c.CommandPath(), possible)
		}
		if near := c.SuggestionsFor(arguments[0]); len(near) > 0 {
			return usagef("%s has no command %q, did you mean %s? There are: %s",
				c.CommandPath(), arguments[0], strings.Join(near, " or "), possible)
		}
		return usagef("%s has no command %q; there are: %s", c.CommandPath(), arguments[0], possible)
	}
	if command.SuggestionsMinimumDistance == 0 {
		command.SuggestionsMinimumDistance = 2
	}
}

// mark makes every command check --output and note that its own code begins.
func (g *globals) mark(command *cobra.Command) {
	for _, child := range command.Commands() {
		g.mark(child)
	}
	run := command.RunE
	if run == nil {
		return
	}
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if forms := []string{outputText, outputJSON}; !slices.Contains(forms, g.output) {
			return fmt.Errorf("--output %q: it is %s", g.output, strings.Join(forms, " or "))
		}
		g.started = true
		return run(c, arguments)
	}
}
