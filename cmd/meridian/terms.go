package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newTermsCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "terms",
		Short: "Say what merchants pay, and what is held back: discounts and rolling reserves",
		Long: `Discounts are taken from purchases when their business date is closed; the most particular one counts: for the merchant and the
card network, then the merchant's, then the network's, then everybody's. A rolling reserve holds a part of each day's net back for
some days; a merchant's own takes the place of everybody's.

Terms count from a business date on. Those of dates that are over are never changed; enter new ones that follow them. Changes need
the login that owns the schema, and are in the audit log.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newTermsListCommand(g, database),
		newTermsDiscountCommand(g, database),
		newTermsReserveCommand(g, database),
	)
	return command
}

func newTermsListCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List discounts and reserves, with those of before and those to come",
		Example: "  meridian terms list --mid 104110000000001",
		Args:    noArguments,
	}
	mid := command.Flags().String("mid", "", "only what counts for a merchant (F42)")
	command.RunE = func(c *cobra.Command, _ []string) error {
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		terms, err := switching.ListTerms(c.Context(), pool, *mid)
		if errors.Is(err, switching.ErrNoMerchant) {
			return unlistedMerchant(*mid)
		}
		if err != nil {
			return databaseError(err)
		}
		return g.print(terms, func(w io.Writer) { writeTerms(w, terms) })
	}
	return command
}

func writeTerms(w io.Writer, terms *switching.StoredTerms) {
	every := func(text string) string {
		if text == "" {
			return "every"
		}
		return printable(text)
	}
	var rows [][]string
	for _, d := range terms.Discounts {
		rows = append(rows, []string{
			"discount", every(d.MID), every(d.Network), d.From.String(), rateText(d.RateMillionths), strconv.FormatInt(d.FixedMinor, 10),
			map[bool]string{false: "-", true: "rate returned with refunds"}[d.ReturnsFee],
		})
	}
	for _, r := range terms.Reserves {
		rows = append(rows, []string{
			"reserve", every(r.MID), "-", r.From.String(), rateText(r.RateMillionths), "-", fmt.Sprintf("released after %d days", r.ReleaseDays),
		})
	}
	table(w, []string{"TERMS", "MERCHANT", "NETWORK", "FROM", "RATE", "FIXED MINOR", ""}, rows)
}

// termFlags are whose terms and since when.
type termFlags struct {
	mid, from, rate string
	remove          bool
}

func (f *termFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.mid, "mid", "", "the merchant (F42) (default every merchant)")
	flags.StringVar(&f.from, "from", "", "first business date, YYYY-MM-DD; today's at the earliest (default the next one)")
	flags.StringVar(&f.rate, "rate", "", "percentage with up to four decimals, such as 1.2%")
	flags.BoolVar(&f.remove, "remove", false, "take back what begins on --from, which has to be to come")
}

// check wants a rate, or none with --remove.
func (f *termFlags) check() (millionths int64, err error) {
	switch {
	case f.remove && f.rate != "":
		return 0, usagef("--remove takes no --rate")
	case f.remove && f.from == "":
		return 0, usagef("--from is missing: which terms are to be removed")
	case f.remove:
		return 0, nil
	case f.rate == "":
		return 0, usagef("--rate is missing: percentage with up to four decimals, such as 1.2%%")
	}
	return parseRate("rate", f.rate)
}

func newTermsDiscountCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var f termFlags
	var d switching.Discount
	command := &cobra.Command{
		Use:   "discount --rate PERCENT [--fixed-minor MINOR] [--mid MID] [--network NAME] [--from DATE] --by NAME --reason TEXT",
		Short: "Set a discount, for a merchant or every one, for a card network or every one",
		Example: `  meridian terms discount --rate 1.2% --fixed-minor 5 --mid 104110000000002 --by "Ann Lee" --reason "contract 4711"
  meridian terms discount --rate 0.9% --network visa --returns-fee --from 2027-01-01 --by "Ann Lee" --reason "new year's rates"
  meridian terms discount --remove --network visa --from 2027-01-01 --by "Ann Lee" --reason "put off"`,
		Args: noArguments,
	}
	f.register(command)
	flags := command.Flags()
	flags.StringVar(&d.Network, "network", "", "the card network, as meridian range list has it (default every network)")
	flags.Int64Var(&d.FixedMinor, "fixed-minor", 0, "what is added for each purchase, in minor units of its currency")
	flags.BoolVar(&d.ReturnsFee, "returns-fee", false, "give the rate's part back with refunds")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) (err error) {
		d.MID = f.mid
		if d.RateMillionths, err = f.check(); err != nil {
			return err
		}
		if d.From, err = parseDateFlag("from", f.from); err != nil {
			return err
		}
		pool, now, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		network := d.Network
		if network == "" {
			network = "every card network"
		}
		what := fmt.Sprintf("discount of %s for %s", merchantOf(d.MID), network)
		if f.remove {
			if err := switching.RemoveDiscount(c.Context(), pool, d, now, why.by, why.reason); err != nil {
				return enrolError(c, err, "")
			}
			return g.done(fmt.Sprintf("%s from %s on is removed", what, d.From), why)
		}
		if d.From, err = switching.SetDiscount(c.Context(), pool, d, now, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		return g.doneEnrolling(fmt.Sprintf("%s is %s and %d minor units from %s on", what, rateText(d.RateMillionths), d.FixedMinor, d.From),
			why, enrolled{Discount: &d})
	}
	return command
}

func newTermsReserveCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var f termFlags
	var r switching.Reserve
	command := &cobra.Command{
		Use:     "reserve --rate PERCENT --days DAYS [--mid MID] [--from DATE] --by NAME --reason TEXT",
		Short:   "Set a rolling reserve, for a merchant or every one",
		Example: `  meridian terms reserve --rate 5% --days 30 --mid 104110000000002 --by "Ann Lee" --reason "chargebacks"`,
		Args:    noArguments,
	}
	f.register(command)
	command.Flags().IntVar(&r.ReleaseDays, "days", 0, "how many days later it is released")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) (err error) {
		r.MID = f.mid
		if r.RateMillionths, err = f.check(); err != nil {
			return err
		}
		if r.From, err = parseDateFlag("from", f.from); err != nil {
			return err
		}
		pool, now, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		what := "reserve of " + merchantOf(r.MID)
		if f.remove {
			if err := switching.RemoveReserve(c.Context(), pool, r, now, why.by, why.reason); err != nil {
				return enrolError(c, err, "")
			}
			return g.done(fmt.Sprintf("%s from %s on is removed", what, r.From), why)
		}
		if r.From, err = switching.SetReserve(c.Context(), pool, r, now, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		return g.doneEnrolling(fmt.Sprintf("%s is %s for %d days from %s on", what, rateText(r.RateMillionths), r.ReleaseDays, r.From),
			why, enrolled{Reserve: &r})
	}
	return command
}
