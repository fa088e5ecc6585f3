package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

func newMerchantCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "merchant",
		Short: "Add merchants, look at them, change, suspend and resume them",
		Long: `Adds merchants and changes them. A merchant has a currency, a calendar (meridian calendar), a policy (meridian policy), terms
(meridian terms) and terminals (meridian terminals). docs/how-to/add-a-merchant.md goes through all of it.

Changes need the login that owns the schema. Each is one transaction, is in the audit log with who, when, what and why, and running
hosts take it up within a second or two.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newMerchantListCommand(g, database),
		newMerchantShowCommand(g, database),
		newMerchantAddCommand(g, database),
		newMerchantSetCommand(g, database),
		newMerchantActiveCommand(g, database, false),
		newMerchantActiveCommand(g, database, true),
	)
	return command
}

func newMerchantListCommand(g *globals, database *databaseFlags) *cobra.Command {
	var filter switching.MerchantFilter
	command := &cobra.Command{
		Use:     "list",
		Short:   "List merchants by MID",
		Example: "  meridian merchant list --search bakery",
		Args:    noArguments,
	}
	command.Flags().StringVar(&filter.Search, "search", "", "only those with this in the MID or the name")
	command.Flags().BoolVar(&filter.Suspended, "suspended", false, "only those that are suspended")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list := []*switching.MerchantState{} // an empty list, not null
		for more := true; more; {
			some, err := switching.Merchants(c.Context(), pool, filter)
			if err != nil {
				return databaseError(err)
			}
			if list = append(list, some...); len(some) > 0 {
				filter.After = some[len(some)-1].MID
			}
			more = len(some) == switching.MerchantsListed
		}
		return g.print(list, func(w io.Writer) { writeMerchants(w, list) })
	}
	return command
}

func writeMerchants(w io.Writer, list []*switching.MerchantState) {
	rows := make([][]string, 0, len(list))
	for _, m := range list {
		rows = append(rows, []string{
			m.MID, printable(m.Name), merchantStateText(m), m.Currency.String(), printable(m.Calendar), printable(m.Policy), strconv.Itoa(m.Terminals),
		})
	}
	table(w, []string{"MERCHANT", "NAME", "STATE", "CURRENCY", "CALENDAR", "POLICY", "TERMINALS"}, rows)
}

func merchantStateText(m *switching.MerchantState) string {
	return map[bool]string{true: "active", false: "suspended"}[m.Active]
}

// merchantView is a merchant with its terms.
type merchantView struct {
	*switching.MerchantState

	Terms *switching.StoredTerms `json:"terms"`
}

func newMerchantShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "show MID",
		Short:   "Show a merchant: its state, its calendar and policy, the terms that count for it",
		Example: "  meridian merchant show 104110000000001",
		Args:    oneArgument("MID"),
		RunE: func(c *cobra.Command, arguments []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			m, err := switching.FindMerchant(c.Context(), pool, arguments[0])
			if errors.Is(err, switching.ErrNoMerchant) {
				return unlistedMerchant(arguments[0])
			}
			if err != nil {
				return databaseError(err)
			}
			terms, err := switching.ListTerms(c.Context(), pool, m.MID)
			if err != nil {
				return databaseError(err)
			}
			return g.print(&merchantView{m, terms}, func(w io.Writer) {
				writeMerchant(w, m)
				if len(terms.Discounts)+len(terms.Reserves) > 0 {
					_, _ = fmt.Fprintln(w)
					writeTerms(w, terms)
				}
			})
		},
	}
}

func unlistedMerchant(mid string) error {
	return fmt.Errorf("there is no merchant %q (meridian merchant list shows them)", mid)
}

func writeMerchant(w io.Writer, m *switching.MerchantState) {
	line := func(name, value string) { _, _ = fmt.Fprintf(w, "  %-10s %s\n", name, printable(value)) }
	_, _ = fmt.Fprintf(w, "merchant %s\n", m.MID)
	line("name", m.Name)
	line("state", merchantStateText(m))
	line("accounts", fmt.Sprintf("merchant:%d:…, in bucket %d", m.Number, m.Bucket))
	line("currency", m.Currency.String())
	line("calendar", fmt.Sprintf("%s: business dates end at %s in %s", m.Calendar, m.Cutoff, m.TimeZone))
	line("policy", m.Policy)
	line("void", allowedText(m.AllowVoid))
	refund := allowedText(m.AllowRefund)
	if m.ReviewRefunds {
		refund += ", each reviewed"
	}
	line("refund", refund)
	line("terminals", strconv.Itoa(m.Terminals))
}

func newMerchantAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var n switching.NewMerchant
	var discounts []string
	command := &cobra.Command{
		Use:   "add MID --name TEXT --currency CODE --calendar NAME --policy NAME [--discount TERMS]... --by NAME --reason TEXT",
		Short: "Add a merchant",
		Long: `Adds a merchant. It goes to the bucket that has the fewest, and can sell as soon as it has a terminal (meridian terminals add).

A discount is a percentage, an amount in minor units that is added for each purchase, and the card network that it is for: 1.2%+5 is
1.2 % and 5 cents for every network, visa=1.5% is 1.5 % for one of them. meridian terms changes them.`,
		Example: `  meridian merchant add 500000000000001 --name "Bakery Müller" --currency EUR --calendar "Berlin 02:30" --policy retail \
    --discount 1.2%+5 --discount visa=1.5% --by "Ann Lee" --reason "contract 4711"`,
		Args: oneArgument("MID"),
	}
	flags := command.Flags()
	flags.StringVar(&n.Name, "name", "", "the merchant's name, for people")
	currency := flags.String("currency", "", "what it is settled in: code of ISO 4217, such as EUR or 978")
	flags.StringVar(&n.Calendar, "calendar", "", "its calendar: when its business dates end")
	flags.StringVar(&n.Policy, "policy", "", "its policy: what its terminals may do")
	flags.StringArrayVar(&discounts, "discount", nil, "discount as [NETWORK=]PERCENT[+MINOR]; may be given more than once (default none)")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) (err error) {
		n.MID = arguments[0]
		if c.Flags().Changed("currency") {
			if n.Currency, err = money.ParseCurrency(strings.ToUpper(*currency)); err != nil {
				return usagef("--currency: %s", err)
			}
		}
		for _, text := range discounts {
			d, err := parseDiscount(text)
			if err != nil {
				return err
			}
			n.Discounts = append(n.Discounts, d)
		}
		pool, now, err := database.enrolling(c, g, &why, "name", "currency", "calendar", "policy")
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.AddMerchant(c.Context(), pool, n, now, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		stored, err := switching.FindMerchant(c.Context(), pool, n.MID)
		if err != nil {
			return databaseError(err)
		}
		return g.doneEnrolling(fmt.Sprintf("merchant %s is added: its accounts are merchant:%d, in bucket %d", n.MID, stored.Number, stored.Bucket),
			why, enrolled{Merchant: stored})
	}
	return command
}

var discountText = regexp.MustCompile(`^(?:([^=]+)=)?([^=+]+)(?:\+([0-9]{1,12}))?$`)

// parseDiscount reads [NETWORK=]PERCENT[+MINOR].
func parseDiscount(text string) (d switching.Discount, err error) {
	parts := discountText.FindStringSubmatch(text)
	if parts == nil {
		return d, usagef("--discount: %q is not [NETWORK=]PERCENT[+MINOR], such as 1.2%%+5 or visa=1.5%%", text)
	}
	d.Network = parts[1]
	if d.RateMillionths, err = parseRate("discount", parts[2]); err != nil {
		return d, err
	}
	if parts[3] != "" {
		if d.FixedMinor, err = strconv.ParseInt(parts[3], 10, 64); err != nil {
			return d, usagef("--discount: %s is no amount", parts[3])
		}
	}
	return d, nil
}

func newMerchantSetCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "set MID [--name TEXT] [--policy NAME] [--calendar NAME] [--review-refunds=true|false] --by NAME --reason TEXT",
		Short: "Change a merchant's name, policy or calendar, or have all of its refunds reviewed",
		Long: `Changes what is given. MID and currency stay for good: statements and transfers name them.

A merchant goes to another calendar while both are in the same business date, neither has an earlier one to close, and neither is
cut within five minutes; the command says what it would have to wait for.`,
		Example: `  meridian merchant set 104110000000001 --policy "retail, watched" --review-refunds --by "Ann Lee" --reason "refund fraud"`,
		Args:    oneArgument("MID"),
	}
	flags := command.Flags()
	name := flags.String("name", "", "the merchant's name, for people")
	policy := flags.String("policy", "", "its policy: what its terminals may do")
	calendar := flags.String("calendar", "", "its calendar: when its business dates end")
	review := flags.Bool("review-refunds", false, "every refund of it is left to a person")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		mid := arguments[0]
		var changes switching.MerchantChange
		for flag, into := range map[string]func(){
			"name": func() { changes.Name = name }, "policy": func() { changes.Policy = policy },
			"calendar": func() { changes.Calendar = calendar }, "review-refunds": func() { changes.ReviewRefunds = review },
		} {
			if c.Flags().Changed(flag) {
				into()
			}
		}
		if changes == (switching.MerchantChange{}) {
			return usagef("say what is to change: --name, --policy, --calendar or --review-refunds")
		}
		pool, now, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.SetMerchant(c.Context(), pool, mid, changes, now, why.by, why.reason); err != nil {
			return enrolError(c, err, fmt.Sprintf("merchant %s is so already", mid))
		}
		stored, err := switching.FindMerchant(c.Context(), pool, mid)
		if err != nil {
			return databaseError(err)
		}
		return g.doneEnrolling(fmt.Sprintf("merchant %s is changed", mid), why, enrolled{Merchant: stored})
	}
	return command
}

func newMerchantActiveCommand(g *globals, database *databaseFlags, active bool) *cobra.Command {
	verb, short, is := "suspend", "Keep all of a merchant's terminals out: they are answered that the merchant is not known", "suspended"
	long := `Keeps all of a merchant's terminals out until resume, whatever they ask: sales, and reversals and settlements, too. To forbid
voids or refunds alone: meridian policy suspend. What was sold is settled all the same.`
	if active {
		verb, short, is, long = "resume", "Let a merchant's terminals in again that suspend keeps out", "active", ""
	}
	var why change
	command := &cobra.Command{
		Use:     verb + " MID --by NAME --reason TEXT",
		Short:   short,
		Long:    long,
		Example: `  meridian merchant ` + verb + ` 104110000000001 --by "Ann Lee" --reason "fraud, and cleared"`,
		Args:    oneArgument("MID"),
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		pool, _, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.SetMerchantActive(c.Context(), pool, arguments[0], active, why.by, why.reason); err != nil {
			return enrolError(c, err, fmt.Sprintf("merchant %q is %s already, or there is none", arguments[0], is))
		}
		return g.done(fmt.Sprintf("merchant %s is %s", arguments[0], is), why)
	}
	return command
}
