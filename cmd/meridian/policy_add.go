package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newPolicyAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var n switching.NewPolicy
	var set []string
	command := &cobra.Command{
		Use:   "add NAME [--like NAME] [--set SETTING=VALUE]... --by NAME --reason TEXT",
		Short: "Add a policy, as another one or with the defaults",
		Long: `Adds a policy with every setting as --like has it, else at its default, and then as --set says. meridian policy set --help lists
the settings; none takes a limit away. No merchant has the policy yet: meridian merchant add and set give it to one.`,
		Example: `  meridian policy add retail --set cancel_mode=strict --set max_amount_minor=500000 --by "Ann Lee" --reason "new market"
  meridian policy add "retail, watched" --like retail --set review_threshold_minor=0 --by "Ann Lee" --reason "refund fraud"`,
		Args: oneArgument("NAME"),
	}
	flags := command.Flags()
	flags.StringVar(&n.Like, "like", "", "the policy that it begins as")
	flags.StringArrayVar(&set, "set", nil, "a setting and its value, with = between them; may be given more than once")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		n.Name = arguments[0]
		for _, one := range set {
			setting, value, ok := strings.Cut(one, "=")
			if !ok || value == "" {
				return usagef("--set %q: it is SETTING=VALUE", one)
			}
			if value == noValue {
				value = ""
			}
			n.Set = append(n.Set, switching.PolicyValue{Setting: setting, Value: value})
		}
		pool, _, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.AddPolicy(c.Context(), pool, n, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		stored, err := switching.FindPolicy(c.Context(), pool, n.Name)
		if err != nil {
			return databaseError(err)
		}
		return g.doneEnrolling(fmt.Sprintf("policy %s is added", n.Name), why, enrolled{Policy: stored})
	}
	return command
}
