package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"meridian/internal/card"
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
	root.SetGlobalNormalizationFunc(flagName)
	root.SetHelpCommand(newHelpCommand())
	// An RRN, a TID or a name stands where cobra would offer files; flags that take a file offer them.
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetIn(g.stdin)
	root.SetOut(g.stdout)
	root.SetErr(g.stderr)
	g.register(root)
	root.AddCommand(
		newAuditCommand(g),
		newBatchCommand(g),
		newBenchCommand(g),
		newCalendarCommand(g),
		newCardCommand(g),
		newCatalogueCommand(g),
		newCertifyCommand(g),
		newClockCommand(g),
		newCompletionCommand(g),
		newConfigCommand(g),
		newConsoleCommand(g),
		newCutoverCommand(g),
		newDecodeCommand(g),
		newDoctorCommand(g),
		newExceptionsCommand(g),
		newKeyCommand(g),
		newLedgerCommand(g),
		newManCommand(g),
		newMerchantCommand(g),
		newMigrateCommand(g),
		newOperatorCommand(g),
		newPolicyCommand(g),
		newRangeCommand(g),
		newReviewCommand(g),
		newSandboxCommand(g),
		newScenarioCommand(g),
		newServeCommand(g),
		newSettlementCommand(g),
		newTerminalCommand(g),
		newTriggerCommand(g),
		newTerminalsCommand(g),
		newTermsCommand(g),
		newTransactionCommand(g),
		newVersionCommand(g),
	)
	groups(root)
	g.mark(root)
	return root
}

// newHelpCommand is cobra's help, except that a command that does not exist is an error.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]...",
		Short: "Tell about a command",
		RunE: func(c *cobra.Command, arguments []string) error {
			found, rest, err := c.Root().Find(arguments)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q to tell about", strings.Join(arguments, " "))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
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

// flagName is what a flag is called now. MID and TID were told by other names in a few commands; scripts that use those go on.
func flagName(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "merchant":
		name = "mid"
	case "terminal":
		name = "tid"
	}
	return pflag.NormalizedName(name)
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
	command.Use += " COMMAND"
	command.DisableFlagsInUseLine = true
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if len(arguments) > 0 {
			return noSubcommand(c, arguments[0])
		}
		return usagef("name a command of %s: %s", c.CommandPath(), strings.Join(subcommands(c), ", "))
	}
}

// subcommands names what can stand behind a command.
func subcommands(c *cobra.Command) (names []string) {
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return names
}

// suggestionDistance is how many letters a misspelled command may be away from the one that was meant.
const suggestionDistance = 2

func noSubcommand(c *cobra.Command, name string) error {
	c.SuggestionsMinimumDistance = suggestionDistance
	meant := ""
	if near := c.SuggestionsFor(name); len(near) > 0 {
		meant = fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return usagef("%s has no command %q: there are %s%s", c.CommandPath(), card.MaskDigits(name), strings.Join(subcommands(c), ", "), meant)
}

// oneArgument wants the argument that a command is about.
func oneArgument(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if len(arguments) != 1 {
			return usagef("%s wants one argument, %s, and got %d", c.CommandPath(), name, len(arguments))
		}
		return nil
	}
}

// noArguments is cobra.NoArgs that says what is possible.
func noArguments(c *cobra.Command, arguments []string) error {
	switch {
	case len(arguments) == 0:
		return nil
	case c.HasSubCommands():
		return noSubcommand(c, arguments[0])
	}
	return usagef("%s takes no argument such as %q", c.CommandPath(), card.MaskDigits(arguments[0]))
}

// formsAnnotation of a command names a form of --output that it has beside the usual ones.
const formsAnnotation = "meridian_output_form"

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
		forms := []string{outputText, outputJSON}
		if own := c.Annotations[formsAnnotation]; own != "" {
			forms = append(forms, own)
		}
		if !slices.Contains(forms, g.output) {
			return fmt.Errorf("--output %q: it is %s", g.output, orList(forms))
		}
		g.started = true
		return run(c, arguments)
	}
}
