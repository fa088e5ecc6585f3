package main

import "github.com/spf13/cobra"

// newScenarioCommand returns what there is to do with scenarios.
func newScenarioCommand(g *globals) *cobra.Command {
	command := &cobra.Command{Use: "scenario", Short: "Play scenario files at a running sandbox"}
	command.AddCommand(newScenarioRun(g))
	return command
}
