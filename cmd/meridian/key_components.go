package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"meridian/internal/vault"
	"meridian/switch"
)

func newKeyComponentsCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "components",
		Short: "Form a key of components that two or three people enter, each alone",
		Long: `Forms a key of components under dual control. start says which key it becomes; then each of two or three people enters one
component, at any time within a day and from any machine. What waits is wrapped under the master key. With the last component the
security module forms the key, and no component is left.`,
		Example: `  meridian key components start --tid 10000002 --use terminal-master --by "Ann Lee" --reason "new terminal"
  meridian key components enter k3v7q2xa --by "Ann Lee"
  meridian key components enter k3v7q2xa --by "Bob Ray" --file /media/usb/component-2`,
	}
	command.AddCommand(
		newComponentsStartCommand(g, database),
		newComponentsEnterCommand(g, database),
		newComponentsListCommand(g, database),
		newComponentsCancelCommand(g, database),
	)
	return command
}

func newComponentsStartCommand(g *globals, database *databaseFlags) *cobra.Command {
	var which targetFlags
	var why change
	command := &cobra.Command{
		Use:   "start " + targetUse + " --by NAME --reason TEXT",
		Short: "Say which key it becomes; prints the ceremony's name",
		Args:  noArguments,
	}
	which.register(command)
	algorithm := registerAlgorithm(command)
	parts := command.Flags().Int("components", 2, "how many people bring one: 2 or 3")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		target, err := which.target()
		if err != nil {
			return err
		}
		cipher, err := algorithmOf(*algorithm, target)
		if err != nil {
			return err
		}
		if *parts != 2 && *parts != 3 {
			return usagef("--components %d: they are 2 or 3", *parts)
		}
		if err := why.check(); err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		ceremony, err := switching.StartCeremony(c.Context(), room.pool, target, cipher, *parts, room.now, why.by, why.reason)
		if err != nil {
			return keyError(err)
		}
		return g.print(ceremony, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "ceremony %s: %s, %s of %d components, until %s UTC\n", ceremony.ID, ceremony.Key, ceremony.Cipher, ceremony.Parts,
				listTime(ceremony.ExpiresAt))
		})
	}
	return command
}

func newComponentsEnterCommand(g *globals, database *databaseFlags) *cobra.Command {
	var by string
	command := &cobra.Command{
		Use:   "enter CEREMONY --by NAME",
		Short: "Enter one person's component",
		Long: `Takes one component in hexadecimal digits: asked for without showing it at a terminal, else the first line of standard input or of
--file. No flag takes it. It prints the component's check value, for its owner to compare; with --check-value a component that has
another one is refused.`,
		Args: oneArgument("CEREMONY"),
	}
	flags := command.Flags()
	flags.StringVar(&by, "by", "", "who enters it: another person for each component")
	file := flags.String("file", "", "file whose first line is the component; - is standard input")
	expected := flags.String("check-value", "", "the component's check value, six hexadecimal digits")
	command.RunE = func(c *cobra.Command, arguments []string) error {
		who := change{by: by, reason: "component"} // the ceremony has the reason
		if err := who.check(); err != nil {
			return err
		}
		component, err := g.component(*file)
		if err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		entered, err := switching.EnterComponent(c.Context(), room.pool, room.module, room.vault, switching.Component{
			Ceremony: arguments[0], Content: component, CheckValue: strings.ToUpper(*expected), Who: who.by,
		}, room.now)
		if err != nil {
			return ceremonyError(err, arguments[0])
		}
		return g.print(entered, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "component %d of %d, check value %s\n", entered.Part, entered.Parts, entered.CheckValue)
			if entered.Loaded != nil {
				writeLoaded(w, entered.Loaded)
			}
		})
	}
	return command
}

func ceremonyError(err error, id string) error {
	switch {
	case errors.Is(err, switching.ErrNoCeremony):
		return fmt.Errorf("there is no ceremony %q, or it is over (meridian key components list shows them)", id)
	case errors.Is(err, switching.ErrSamePerson), errors.Is(err, switching.ErrCheckValue):
		return withExit(exitUsage, err)
	}
	return keyError(err)
}

// component reads one component. Its errors do not hold it.
func (g *globals) component(file string) (vault.Secret, error) {
	line, err := g.hiddenLine(file, "component")
	if err != nil {
		return vault.Secret{}, err
	}
	defer clear(line)
	digits := make([]byte, 0, maxHiddenLine)
	defer func() { clear(digits[:cap(digits)]) }()
	for _, b := range line {
		if !unicode.IsSpace(rune(b)) {
			digits = append(digits, b)
		}
	}
	content := make([]byte, hex.DecodedLen(len(digits)))
	defer clear(content)
	if _, err := hex.Decode(content, digits); err != nil || len(content) == 0 {
		return vault.Secret{}, usagef("the component is not an even number of hexadecimal digits")
	}
	return vault.NewSecret(content), nil
}

func newComponentsListCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys that wait for components",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			at, err := database.clockOf(c.Context(), pool)
			if err != nil {
				return err
			}
			list, err := switching.Ceremonies(c.Context(), pool, at.now)
			if err != nil {
				return databaseError(err)
			}
			if list == nil {
				list = []*switching.Ceremony{} // an empty list, not null
			}
			return g.print(list, func(w io.Writer) {
				rows := make([][]string, 0, len(list))
				for _, one := range list {
					rows = append(rows, []string{
						one.ID, one.Key, one.Cipher, strconv.Itoa(len(one.EnteredBy)) + " of " + strconv.Itoa(int(one.Parts)),
						orDash(printable(strings.Join(one.EnteredBy, ", "))), listTime(one.ExpiresAt), printable(one.Why),
					})
				}
				table(w, []string{"CEREMONY", "KEY", "ALGORITHM", "ENTERED", "BY", "UNTIL (UTC)", "REASON"}, rows)
			})
		},
	}
}

func newComponentsCancelCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "cancel CEREMONY --by NAME --reason TEXT",
		Short: "Destroy the components that were entered",
		Args:  oneArgument("CEREMONY"),
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if err := why.check(); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		at, err := database.clockOf(c.Context(), pool)
		if err != nil {
			return err
		}
		if err := switching.CancelCeremony(c.Context(), pool, arguments[0], at.now, why.by, why.reason); err != nil {
			return ceremonyError(err, arguments[0])
		}
		what := fmt.Sprintf("ceremony %s is over, its components are destroyed", arguments[0])
		return g.print(&changed{Changed: what, By: why.by, Reason: why.reason}, func(w io.Writer) { _, _ = fmt.Fprintln(w, what) })
	}
	return command
}
