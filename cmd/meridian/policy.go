package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newPolicyCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "policy",
		Short: "Look at what merchants and terminals may do, and change it",
		Long: `Shows and changes policies: what the terminals of a merchant may do, and how far. A merchant has one policy, which several
may share; voids and refunds can be suspended for one merchant or one terminal besides.

Changes need the login that owns the schema. Each is in the audit log with who, when, what and why, and running hosts take it
up within a second or two.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newPolicyListCommand(g, database),
		newPolicyShowCommand(g, database),
		newPolicyAddCommand(g, database),
		newPolicySetCommand(g, database),
		newPolicyRightCommand(g, database, false),
		newPolicyRightCommand(g, database, true),
	)
	return command
}

func newPolicyListCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the policies",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := switching.Policies(c.Context(), pool)
			if err != nil {
				return databaseError(err)
			}
			if list == nil {
				list = []*switching.StoredPolicy{} // an empty list, not null
			}
			return g.print(list, func(w io.Writer) { writePolicies(w, list) })
		},
	}
}

func writePolicies(w io.Writer, list []*switching.StoredPolicy) {
	rows := make([][]string, 0, len(list))
	for _, p := range list {
		value := func(name string) string { return settingText(p.Settings[name]) }
		rows = append(rows, []string{
			printable(p.Name), value("cancel_mode"), value("allow_void"), value("allow_refund"), value("refund_window_days"),
			value("max_amount_minor"), value("review_threshold_minor"), value("require_operator"), fmt.Sprint(len(p.MIDs)),
			fmt.Sprint(len(p.Suspended)),
		})
	}
	table(w, []string{
		"NAME", "CANCEL MODE", "VOID", "REFUND", "REFUND DAYS", "MAX MINOR", "REVIEW OVER", "OPERATOR", "MERCHANTS", "SUSPENSIONS",
	}, rows)
}

// settingText is a setting's value in a column.
func settingText(value any) string {
	if value == nil {
		return "none"
	}
	return printable(fmt.Sprint(value))
}

func newPolicyShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a policy: every setting, what it takes, whom it applies to",
		Example: `  meridian policy show "sandbox 104110000000001"`,
		Args:    oneArgument("NAME"),
		RunE: func(c *cobra.Command, arguments []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			p, err := switching.FindPolicy(c.Context(), pool, arguments[0])
			if errors.Is(err, switching.ErrNoPolicy) {
				return noPolicy(arguments[0])
			}
			if err != nil {
				return databaseError(err)
			}
			return g.print(p, func(w io.Writer) { writePolicy(w, p) })
		},
	}
}

func noPolicy(name string) error {
	return fmt.Errorf("there is no policy %q (meridian policy list shows them)", name)
}

func writePolicy(w io.Writer, p *switching.StoredPolicy) {
	_, _ = fmt.Fprintf(w, "policy %s\n", printable(p.Name))
	_, _ = fmt.Fprintf(w, "  merchants  %s\n", orDash(strings.Join(p.MIDs, ", ")))
	for _, s := range p.Suspended {
		of := "merchant " + s.MID
		if s.TID != "" {
			of = "terminal " + s.TID + " of " + of
		}
		_, _ = fmt.Fprintf(w, "  suspended  %s of %s\n", s.Right, of)
	}
	var rows [][]string
	for _, s := range switching.PolicySettings() {
		rows = append(rows, []string{s.Name, settingText(p.Settings[s.Name]), s.Meaning, s.Values})
	}
	table(w, []string{"SETTING", "VALUE", "MEANING", "TAKES"}, rows)
}

// changed is what a change of reference data has done.
type changed struct {
	Changed string `json:"changed"`
	By      string `json:"by"`
	Reason  string `json:"reason"`
}

// done tells about a change.
func (g *globals) done(what string, why change) error {
	return g.print(&changed{Changed: what, By: why.by, Reason: why.reason}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s; running hosts take it up within seconds\n", printable(what))
	})
}

// noValue takes a limit away.
const noValue = "none"

func newPolicySetCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	settings := switching.PolicySettings()
	var names strings.Builder
	for _, s := range settings {
		_, _ = fmt.Fprintf(&names, "\n  %-26s %s (%s)", s.Name, s.Meaning, s.Values)
	}
	command := &cobra.Command{
		Use:   "set NAME SETTING VALUE --by NAME --reason TEXT",
		Short: "Change a setting of a policy",
		Long: "Changes a setting of a policy. The value none takes a limit away; one below zero goes after --. Settings:\n" +
			names.String(),
		Example: `  meridian policy set "sandbox 104110000000001" review_threshold_minor 50000 --by "Ann Lee" --reason "refund fraud"
  meridian policy set "sandbox 104110000000001" review_threshold_minor none --by "Ann Lee" --reason "over"`,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 3 {
				return usagef("%s wants three arguments, NAME SETTING VALUE, and got %d", c.CommandPath(), len(arguments))
			}
			return nil
		},
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		name, setting, value := arguments[0], arguments[1], arguments[2]
		i := slices.IndexFunc(settings, func(s switching.PolicySetting) bool { return s.Name == setting })
		if i < 0 {
			return usagef("%q is no setting of a policy: there are %s", setting, settingNames(settings))
		}
		if value == "" {
			return usagef("the value is empty: %s takes %s", setting, settings[i].Values)
		}
		if err := why.check(); err != nil {
			return err
		}
		if value == noValue {
			value = ""
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.SetPolicy(c.Context(), pool, name, setting, value, why.by, why.reason); err != nil {
			return changeError(err, noPolicy(name).Error())
		}
		return g.done(fmt.Sprintf("policy %s: %s is %s", name, setting, arguments[2]), why)
	}
	return command
}

func settingNames(settings []switching.PolicySetting) string {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

func newPolicyRightCommand(g *globals, database *databaseFlags, resume bool) *cobra.Command {
	const arguments = " (void | refund) (--mid MID | --tid TID) --by NAME --reason TEXT"
	var why change
	var mid, tid string
	verb := "suspend"
	command := &cobra.Command{
		Use:     verb + arguments,
		Short:   "Forbid voids or refunds to a merchant or a terminal, whatever its policy says",
		Example: `  meridian policy suspend refund --tid 10000001 --by "Ann Lee" --reason "stolen terminal"`,
		Args:    oneArgument("void or refund"),
	}
	if resume {
		verb = "resume"
		command.Use, command.Short = verb+arguments, "Leave voids or refunds to the policy again"
		command.Example = `  meridian policy resume refund --tid 10000001 --by "Ann Lee" --reason "found again"`
	}
	command.Flags().StringVar(&mid, "mid", "", "the merchant (F42)")
	command.Flags().StringVar(&tid, "tid", "", "the terminal (F41)")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		right := switching.Right(arguments[0])
		if right != switching.RightVoid && right != switching.RightRefund {
			return usagef("%q cannot be suspended: void or refund can", arguments[0])
		}
		if (mid == "") == (tid == "") {
			return usagef("give --mid or --tid, one of them")
		}
		if err := why.check(); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		whose := "merchant " + mid
		if tid != "" {
			whose = "terminal " + tid
		}
		if err := switching.SetRight(c.Context(), pool, mid, tid, right, resume, why.by, why.reason); err != nil {
			return changeError(err, fmt.Sprintf("there is no %s", whose))
		}
		return g.done(fmt.Sprintf("%s of %s %s", right, whose, map[bool]string{false: "suspended", true: "resumed"}[resume]), why)
	}
	return command
}
