package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newOperatorCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "operator",
		Short: "Keep the operators who sign on at terminals",
		Long: `Lists, adds and disables the operators of merchants: who signs on at a terminal with a number and a password, where the
policy asks for it. Passwords are kept as argon2id hashes; five wrong ones lock an operator for half an hour.

Changes need the login that owns the schema, and are in the audit log.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newOperatorListCommand(g, database),
		newOperatorAddCommand(g, database),
		newOperatorDisableCommand(g, database),
	)
	return command
}

func newOperatorListCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "List operators: their rights, where they are signed on, who is locked",
		Args:  noArguments,
	}
	mid := command.Flags().String("mid", "", "only those of a merchant (F42)")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		at, err := database.clockOf(c.Context(), pool)
		if err != nil {
			return err
		}
		list, err := switching.Operators(c.Context(), pool, *mid)
		if errors.Is(err, switching.ErrNoMerchant) {
			return noMerchant(*mid)
		}
		if err != nil {
			return databaseError(err)
		}
		if list == nil {
			list = []*switching.OperatorState{} // an empty list, not null
		}
		return g.print(list, func(w io.Writer) { writeOperators(w, list, at.now) })
	}
	return command
}

func noMerchant(mid string) error { return fmt.Errorf("there is no merchant %s", mid) }

func writeOperators(w io.Writer, list []*switching.OperatorState, now time.Time) {
	rows := make([][]string, 0, len(list))
	for _, o := range list {
		role, state := "clerk", "active"
		if o.Supervisor {
			role = "supervisor"
		}
		switch {
		case !o.Active:
			state = "disabled"
		case o.LockedUntil != nil && now.Before(*o.LockedUntil):
			state = "locked until " + listTime(*o.LockedUntil) + " UTC"
		}
		rows = append(rows, []string{o.MID, o.Number, role, state, strconv.Itoa(o.Failures), orDash(strings.Join(o.SignedOn, " "))})
	}
	table(w, []string{"MERCHANT", "OPERATOR", "ROLE", "STATE", "WRONG PASSWORDS", "SIGNED ON AT"}, rows)
}

// operatorFlags name an operator.
type operatorFlags struct{ mid, number string }

func (o *operatorFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&o.mid, "mid", "", "the merchant (F42)")
	flags.StringVar(&o.number, "number", "", "the operator's number, two or three digits")
}

var operatorNumber = regexp.MustCompile(`^[0-9]{2,3}$`)

func (o *operatorFlags) check() error {
	if o.mid == "" {
		return usagef("--mid is missing: an operator is a merchant's")
	}
	if !operatorNumber.MatchString(o.number) {
		return usagef("--number %q: it is two or three digits, such as 01", o.number)
	}
	return nil
}

func newOperatorAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var who operatorFlags
	var why change
	command := &cobra.Command{
		Use:   "add --mid MID --number NUMBER --by NAME --reason TEXT",
		Short: "Add an operator, or give one a new password and new rights",
		Long: `Adds an operator. One who is there gets the new password and rights, is enabled, unlocked, and signed off at every terminal.

The password is asked for twice at a terminal, and is otherwise the first line of standard input or of --password-file. No
flag takes it: command lines are seen by others and kept in histories.`,
		Example: `  meridian operator add --mid 104110000000001 --number 02 --by "Ann Lee" --reason "new clerk"
  meridian operator add --mid 104110000000001 --number 98 --supervisor --password-file /run/secrets/98 --by "Ann Lee" --reason "rota"`,
		Args: noArguments,
	}
	who.register(command)
	why.register(command)
	supervisor := command.Flags().Bool("supervisor", false, "may do what the policy leaves to supervisors")
	file := command.Flags().String("password-file", "", "file whose first line is the password; - is standard input")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := who.check(); err != nil {
			return err
		}
		if err := why.check(); err != nil {
			return err
		}
		password, err := g.password(*file)
		if err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.AddOperator(c.Context(), pool, who.mid, who.number, password, *supervisor, why.by, why.reason); err != nil {
			return changeError(err, noMerchant(who.mid).Error())
		}
		role := map[bool]string{false: "clerk", true: "supervisor"}[*supervisor]
		return g.done(fmt.Sprintf("operator %s of merchant %s is a %s with a new password", who.number, who.mid, role), why)
	}
	return command
}

func newOperatorDisableCommand(g *globals, database *databaseFlags) *cobra.Command {
	var who operatorFlags
	var why change
	command := &cobra.Command{
		Use:     "disable --mid MID --number NUMBER --by NAME --reason TEXT",
		Short:   "Disable an operator and sign it off everywhere; add brings it back",
		Example: `  meridian operator disable --mid 104110000000001 --number 02 --by "Ann Lee" --reason "left"`,
		Args:    noArguments,
	}
	who.register(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := who.check(); err != nil {
			return err
		}
		if err := why.check(); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.DisableOperator(c.Context(), pool, who.mid, who.number, why.by, why.reason); err != nil {
			return changeError(err, fmt.Sprintf("merchant %s has no active operator %s", who.mid, who.number))
		}
		return g.done(fmt.Sprintf("operator %s of merchant %s is disabled", who.number, who.mid), why)
	}
	return command
}
