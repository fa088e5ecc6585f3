package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"meridian/console"
)

func newConsoleCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "console",
		Short: "Say who may use the web console of a host",
	}
	token := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of the console",
		Long: `Makes, lists and revokes the tokens that let people into the web console of a host (console.address). A viewer looks; an
operator also decides what waits for a person. Hosts keep a hash of each token; its text is shown once.

Making and revoking need the login that owns the schema, and are in the audit log. A sandbox's console asks for no token.`,
	}
	database := newDatabaseFlags(token)
	token.AddCommand(
		newTokenMakeCommand(g, database),
		newTokenListCommand(g, database),
		newTokenRevokeCommand(g, database),
	)
	command.AddCommand(token)
	return command
}

// madeToken is a new token; nobody sees its text again.
type madeToken struct {
	*console.Token

	Text string `json:"token"`
}

// defaultTokenDays is how long a token lasts: a quarter, after which somebody looks whether it is still needed.
const defaultTokenDays = 90

func newTokenMakeCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	wanted := console.NewToken{}
	command := &cobra.Command{
		Use:     "make --name NAME --role ROLE --by NAME --reason TEXT",
		Short:   "Make a token; its text is shown once",
		Example: `  meridian console token make --name "Ann Lee" --role operator --by "Joe Doe" --reason "joins operations"`,
		Args:    noArguments,
	}
	why.register(command)
	flags := command.Flags()
	flags.StringVar(&wanted.Name, "name", "", "whose it is, for the audit log")
	role := flags.String("role", string(console.RoleViewer), "viewer or operator")
	days := flags.Int("days", defaultTokenDays, "how long it lasts, up to 400")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := why.check(); err != nil {
			return err
		}
		if wanted.Name == "" || len(wanted.Name) > maxByLetters || printable(wanted.Name) != wanted.Name {
			return usagef("--name: say in up to %d letters whose token it is", maxByLetters)
		}
		const most = 400
		if *days < 1 || *days > most {
			return usagef("--days %d: it is 1 to %d", *days, most)
		}
		wanted.Role = console.Role(*role)
		if wanted.Role != console.RoleViewer && wanted.Role != console.RoleOperator {
			return usagef("--role %q: it is %s or %s", *role, console.RoleViewer, console.RoleOperator)
		}
		wanted.Life, wanted.Who, wanted.Why = time.Duration(*days)*24*time.Hour, why.by, why.reason
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		token, text, err := console.MakeToken(c.Context(), pool, time.Now(), wanted)
		if err != nil {
			return changeError(err, "")
		}
		return g.print(madeToken{token, text}, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "%s\n", text)
			_, _ = fmt.Fprintf(g.stderr, "token %s: %s of %s until %s; it is not shown again\n",
				token.ID, token.Role, token.Name, token.ExpiresAt.Format(time.DateOnly))
		})
	}
	return command
}

func newTokenListCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List tokens: whose they are and whether they still let anybody in",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := console.Tokens(c.Context(), pool)
			if err != nil {
				return databaseError(err)
			}
			if list == nil {
				list = []*console.Token{} // an empty list, not null
			}
			return g.print(list, func(w io.Writer) { writeTokens(w, list, time.Now()) })
		},
	}
}

func writeTokens(w io.Writer, list []*console.Token, now time.Time) {
	rows := make([][]string, 0, len(list))
	for _, t := range list {
		state := "valid"
		switch {
		case t.RevokedAt != nil:
			state = "revoked " + listTime(*t.RevokedAt)
		case !t.Valid(now):
			state = "expired"
		}
		rows = append(rows, []string{t.ID, printable(t.Name), string(t.Role), listTime(t.CreatedAt), listTime(t.ExpiresAt), state})
	}
	table(w, []string{"TOKEN", "NAME", "ROLE", "MADE (UTC)", "UNTIL (UTC)", "STATE"}, rows)
}

func newTokenRevokeCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:     "revoke TOKEN --by NAME --reason TEXT",
		Short:   "Revoke a token: hosts let nobody in with it from a few seconds later on",
		Example: `  meridian console token revoke 1f0c2d3e4b5a6978 --by "Joe Doe" --reason "left"`,
		Args:    oneArgument("TOKEN"),
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
		err = console.RevokeToken(c.Context(), pool, time.Now(), arguments[0], why.by, why.reason)
		if errors.Is(err, console.ErrNoToken) {
			return fmt.Errorf("there is no token %s that is not revoked yet (meridian console token list)", printable(arguments[0]))
		}
		if err != nil {
			return changeError(err, "")
		}
		return g.done("token "+arguments[0]+" is revoked", why)
	}
	return command
}
