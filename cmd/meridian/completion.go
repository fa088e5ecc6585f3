package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newCompletionCommand writes what a shell needs to complete command lines. cobra has one of its own, which also speaks
// of shells that nobody runs a host from.
func newCompletionCommand(g *globals) *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	names := slices.Sorted(maps.Keys(shells))
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script with which bash, zsh or fish complete command lines",
		Long: `Prints a script with which a shell completes commands, flags and what they take. A package puts it where the shell looks:

  bash  /usr/share/bash-completion/completions/meridian (needs the package bash-completion)
  zsh   /usr/share/zsh/site-functions/_meridian
  fish  /usr/share/fish/vendor_completions.d/meridian.fish`,
		Example: `  source <(meridian completion bash)
  meridian completion fish > ~/.config/fish/completions/meridian.fish`,
		Args: oneArgument(strings.Join(names, ", ")), ValidArgs: names,
		RunE: func(c *cobra.Command, arguments []string) error {
			write, ok := shells[arguments[0]]
			if !ok {
				return usagef("%q is no shell that scripts are written for: %s are", arguments[0], strings.Join(names, ", "))
			}
			var script strings.Builder
			if err := write(c.Root(), &script); err != nil {
				return fmt.Errorf("write the script: %w", err)
			}
			return g.print(map[string]string{"shell": arguments[0], "script": script.String()}, func(w io.Writer) {
				_, _ = io.WriteString(w, script.String())
			})
		},
	}
}

// completeFlags tells shells what the flags of all commands take.
func completeFlags(root *cobra.Command) {
	forms := cobra.FixedCompletions([]cobra.Completion{outputText, outputJSON}, cobra.ShellCompDirectiveNoFileComp)
	files := cobra.FixedCompletions([]cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	for flag, complete := range map[string]cobra.CompletionFunc{"output": forms, "config": files} {
		if err := root.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // a flag that register does not know
		}
	}
}
