package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"meridian/sandbox"
	"meridian/sandbox/scenario"
	"meridian/switch"
)

func newScenarioCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "scenario",
		Short: "Have a sandbox say no, or lose, delay and spoil its answers",
		Long: `Has a running sandbox play scenarios with a terminal's requests: a response code of one's choice, or an answer that comes
late, never, twice, torn, with a wrong MAC or STAN, or over a connection that breaks. A transaction is decided, booked and
stored before its answer goes astray, so that repeats and reversals work as they do in production.

Without any rule the published cards and amounts do the same: meridian scenario list --published.

Only a sandbox has scenarios: a production host refuses with exit code 3. With no sandbox running the code is 4. Rules are
in the sandbox's memory: one that starts anew has none.`,
		Example: `  meridian scenario set no-answer --tid 10000001 --count 1
  meridian scenario set code --code 91 --tid 10000001 --probability 0.2
  meridian scenario set past-timeout --tid 10000001 --delay 20s --kind sale
  meridian scenario list
  meridian scenario clear --all`,
	}
	var f sandboxFlags
	flags := command.PersistentFlags()
	flags.StringVar(&f.dataDir, "data-dir", sandbox.DefaultDataDir, "directory of the running sandbox")
	flags.StringVar(&f.ops, "ops", "", "its ops address, as http://… (default from sandbox.json)")
	command.AddCommand(newScenarioSetCommand(g, &f), newScenarioClearCommand(g, &f), newScenarioListCommand(g, &f), newScenarioRun(g))
	return command
}

func newScenarioSetCommand(g *globals, f *sandboxFlags) *cobra.Command {
	var names []string
	for _, b := range scenario.Behaviours() {
		names = append(names, string(b))
	}
	command := &cobra.Command{
		Use:   "set BEHAVIOUR",
		Short: "Add a rule for a terminal",
		Long: fmt.Sprintf(`Adds a rule for a terminal's requests. BEHAVIOUR is %s, which --code goes with, or one of
%s.

Of a terminal's rules the first that fits a request is played, and what is told again from the record is never played with.
Without --kind a rule is for purchases and cancels; only with it is it for reversals, settlements and the rest.`,
			scenario.Code, strings.Join(names, ", ")),
		Args: oneArgument("BEHAVIOUR"),
	}
	var r scenario.Rule
	var kinds []string
	flags := command.Flags()
	flags.StringVar(&r.TID, "tid", "", "whose requests (F41)")
	flags.StringVar(&r.Code, "code", "", "the response code (F39) to answer with: two digits or capital letters")
	flags.DurationVar(&r.Delay, "delay", 0, fmt.Sprintf("how late, for %s and %s (default %s and %s)",
		scenario.Delay, scenario.PastTimeout, scenario.DefaultDelay, scenario.DefaultPastTimeout))
	flags.StringSliceVar(&kinds, "kind", nil, "kinds of requests, such as sale,reversal (default purchases and cancels)")
	flags.Float64Var(&r.Probability, "probability", 1, "how likely it is that a request is played with, over 0 to 1")
	flags.IntVar(&r.Count, "count", 0, "with how many requests; 0 is all until it is cleared")
	command.RunE = func(c *cobra.Command, arguments []string) error {
		r.Do = scenario.Behaviour(arguments[0])
		if !(r.Probability > 0 && r.Probability <= 1) { // 0 of a rule is the default
			return usagef("--probability %v: it is over 0 and not over 1", r.Probability)
		}
		for _, name := range kinds {
			var kind switching.Kind
			if err := kind.UnmarshalText([]byte(name)); err != nil {
				return usagef("--kind %q: it is one of %s", name, strings.Join(switching.KindNames(), ", "))
			}
			r.Kinds = append(r.Kinds, kind)
		}
		return runScenario(c.Context(), g, f, &sandbox.ScenarioChange{Do: "set", Rule: &r})
	}
	return command
}

func newScenarioClearCommand(g *globals, f *sandboxFlags) *cobra.Command {
	command := &cobra.Command{Use: "clear", Short: "Remove a rule, a terminal's rules, or all", Args: noArguments}
	change := &sandbox.ScenarioChange{Do: "clear"}
	flags := command.Flags()
	flags.IntVar(&change.ID, "rule", 0, "the rule's number, as list shows it")
	flags.StringVar(&change.TID, "tid", "", "the terminal whose rules go (F41)")
	all := flags.Bool("all", false, "remove every rule")
	command.MarkFlagsMutuallyExclusive("rule", "tid", "all")
	command.MarkFlagsOneRequired("rule", "tid", "all")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if !*all && change.ID == 0 && change.TID == "" {
			return usagef("%s: what is to be removed is empty", c.CommandPath())
		}
		return runScenario(c.Context(), g, f, change)
	}
	return command
}

func newScenarioListCommand(g *globals, f *sandboxFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "List the rules, or the published cards and amounts",
		Long: `Lists the rules of a running sandbox in the order that they are tried in.

With --published it lists what the sandbox does without rules, and asks no sandbox: amounts on the cards with the behaviour
"scenario", by their last three digits in minor units, and cards with a scenario's name whatever the amount. sandbox.json has
the cards.`,
		Args: noArguments,
	}
	published := command.Flags().Bool("published", false, "list the published cards and amounts")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if !*published {
			return runScenario(c.Context(), g, f, nil)
		}
		list := scenario.Table()
		return g.print(map[string]any{"scenarios": list}, func(w io.Writer) { writePublished(w, list) })
	}
	return command
}

// runScenario reads the rules, or changes them, and tells what there is.
func runScenario(ctx context.Context, g *globals, f *sandboxFlags, change *sandbox.ScenarioChange) error {
	running, err := f.find()
	if err != nil {
		return err
	}
	rules := control{sandbox.ScenarioPath, "the scenarios", "this host plays no scenarios: only a sandbox does"}
	var asked any
	if change != nil {
		asked = change
	}
	var state sandbox.ScenarioState
	if err := rules.ask(ctx, running.Addresses.Ops, asked, &state); err != nil {
		return err
	}
	return g.print(&state, func(w io.Writer) { writeScenarios(w, change, &state) })
}

func writeScenarios(w io.Writer, change *sandbox.ScenarioChange, state *sandbox.ScenarioState) {
	switch {
	case state.Set != nil:
		_, _ = fmt.Fprintf(w, "rule %d is set\n", state.Set.ID)
	case change != nil:
		_, _ = fmt.Fprintf(w, "%d removed\n", state.Cleared)
	}
	if len(state.Rules) == 0 {
		_, _ = fmt.Fprintln(w, "there are no rules")
		return
	}
	var rows [][]string
	for i := range state.Rules {
		rows = append(rows, ruleRow(&state.Rules[i]))
	}
	table(w, []string{"RULE", "TERMINAL", "DOES", "KINDS", "PROBABILITY", "LEFT", "PLAYED"}, rows)
}

func ruleRow(r *scenario.Rule) []string {
	kinds := "purchases, cancels"
	if len(r.Kinds) > 0 {
		var names []string
		for _, k := range r.Kinds {
			names = append(names, k.String())
		}
		kinds = strings.Join(names, ", ")
	}
	left := "all"
	if r.Count > 0 {
		left = strconv.Itoa(r.Left)
	}
	return []string{
		strconv.Itoa(r.ID), printable(r.TID), printable(r.Does()), kinds, strconv.FormatFloat(r.Probability, 'g', -1, 64), left, strconv.Itoa(r.Played),
	}
}

func writePublished(w io.Writer, list []scenario.Entry) {
	var rows [][]string
	for _, e := range list {
		rows = append(rows, []string{e.AmountEnds, e.Name, e.What})
	}
	table(w, []string{"AMOUNT ENDS", "NAME", "WHAT"}, rows)
}
