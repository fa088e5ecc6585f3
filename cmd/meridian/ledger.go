package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

func newLedgerCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "ledger",
		Short: "Look into the ledger and verify it",
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newLedgerVerifyCommand(g, database),
		newLedgerAccountsCommand(g, database),
		newLedgerTransfersCommand(g, database),
		newLedgerRetireCommand(g, database),
	)
	return command
}

// Connections that a verification takes at once.
const (
	defaultVerifyConnections = 4 // what two processors keep busy, and what a small server can spare
	maxVerifyConnections     = 9
)

func verifyConnections(command *cobra.Command, connections *int) {
	command.Flags().IntVar(connections, "connections", defaultVerifyConnections,
		fmt.Sprintf("database connections that verify at once, 1 to %d; 1 is the least trouble to sales", maxVerifyConnections))
}

func checkVerifyConnections(connections int) error {
	if connections < 1 || connections > maxVerifyConnections {
		return usagef("--connections %d: it is 1 to %d", connections, maxVerifyConnections)
	}
	return nil
}

func newLedgerVerifyCommand(g *globals, database *databaseFlags) *cobra.Command {
	var connections int
	command := &cobra.Command{
		Use:   "verify",
		Short: "Recompute everything from transfers; exit with 5 when something is off",
		Long: `Recomputes everything from transfers, in one snapshot: sums per currency, balances, what every transaction moved, holds and
windows. It may run beside working hosts, and takes a processor of the database's for each connection. When something is off
it names the rows and exits with 5.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkVerifyConnections(connections); err != nil {
				return err
			}
			pool, err := database.openWide(c.Context(), g, connections)
			if err != nil {
				return err
			}
			defer pool.Close()
			v, err := switching.VerifyOn(c.Context(), pool, connections)
			if err != nil {
				return databaseError(err)
			}
			if err := g.print(v, func(w io.Writer) { writeVerification(w, v) }); err != nil {
				return err
			}
			if !v.OK() {
				return withExit(exitInvariant, fmt.Errorf("the ledger does not hold: %d findings", len(v.Findings)))
			}
			return nil
		},
	}
	verifyConnections(command, &connections)
	return command
}

func writeVerification(w io.Writer, v *switching.Verification) {
	for _, f := range v.Findings {
		_, _ = fmt.Fprintf(w, "%s\n  %s: %s\n", f.Check, f.Subject, f.Detail)
	}
	outcome := "everything holds"
	if !v.OK() {
		outcome = fmt.Sprintf("%d findings", len(v.Findings))
	}
	_, _ = fmt.Fprintf(w, "%d transactions and %d transfers verified in %s: %s\n",
		v.Transactions, v.Transfers, v.Took.Round(time.Millisecond), outcome)
}

// trialBalance is every account's position, and what must be zero.
type trialBalance struct {
	Accounts []accountPosition `json:"accounts"`
	Totals   []currencyTotal   `json:"totals"`
}

// accountPosition is a position with its balance, positive on the side that the account stands on.
type accountPosition struct {
	ledger.Position

	BalanceMinor int64 `json:"balance_minor"`
}

// currencyTotal sums a currency over all accounts: debits and credits are the same, so their difference is zero.
type currencyTotal struct {
	Currency          money.Currency `json:"currency"`
	DebitsMinor       int64          `json:"debits_posted_minor"`
	CreditsMinor      int64          `json:"credits_posted_minor"`
	DifferenceMinor   int64          `json:"difference_minor"`
	PendingDifference int64          `json:"pending_difference_minor"`
}

func newTrialBalance(positions []ledger.Position) trialBalance {
	t := trialBalance{Accounts: []accountPosition{}, Totals: []currencyTotal{}}
	at := map[money.Currency]int{}
	for _, p := range positions {
		balance := p.CreditsPostedMinor - p.DebitsPostedMinor
		if side := p.Account.Side(); side == 'A' || side == 'E' {
			balance = -balance
		}
		t.Accounts = append(t.Accounts, accountPosition{Position: p, BalanceMinor: balance})
		i, known := at[p.Currency]
		if !known {
			i = len(t.Totals)
			at[p.Currency] = i
			t.Totals = append(t.Totals, currencyTotal{Currency: p.Currency})
		}
		total := &t.Totals[i]
		total.DebitsMinor += p.DebitsPostedMinor
		total.CreditsMinor += p.CreditsPostedMinor
		total.DifferenceMinor += p.DebitsPostedMinor - p.CreditsPostedMinor
		total.PendingDifference += p.DebitsPendingMinor - p.CreditsPendingMinor
	}
	slices.SortFunc(t.Totals, func(a, b currencyTotal) int { return strings.Compare(a.Currency.Alpha(), b.Currency.Alpha()) })
	return t
}

// err is not nil when debits and credits differ.
func (t *trialBalance) err() error {
	for _, total := range t.Totals {
		if total.DifferenceMinor != 0 || total.PendingDifference != 0 {
			return withExit(exitInvariant, fmt.Errorf("the trial balance of %s is not zero but %s, pending %s", total.Currency,
				money.FormatMinor(total.DifferenceMinor, total.Currency), money.FormatMinor(total.PendingDifference, total.Currency)))
		}
	}
	return nil
}

func newLedgerAccountsCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "accounts",
		Short: "Print every account's position: the trial balance",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			positions, err := ledger.Positions(c.Context(), pool)
			if err != nil {
				return databaseError(err)
			}
			balance := newTrialBalance(positions)
			if err := g.print(balance, balance.write); err != nil {
				return err
			}
			return balance.err()
		},
	}
}

func (t *trialBalance) write(w io.Writer) {
	rows := make([][]string, 0, len(t.Accounts))
	for _, a := range t.Accounts {
		amount := func(minor int64) string { return money.FormatMinor(minor, a.Currency) }
		rows = append(rows, []string{
			a.Code, a.Side, a.Currency.Alpha(), amount(a.DebitsPostedMinor), amount(a.CreditsPostedMinor), amount(a.BalanceMinor),
			amount(a.DebitsPendingMinor), amount(a.CreditsPendingMinor),
		})
	}
	table(w, []string{"ACCOUNT", "SIDE", "CURRENCY", "DEBITS", "CREDITS", "BALANCE", "PENDING DEBITS", "PENDING CREDITS"}, rows)
	for _, total := range t.Totals {
		amount := func(minor int64) string { return money.FormatMinor(minor, total.Currency) }
		_, _ = fmt.Fprintf(w, "total %s: debits %s, credits %s, difference %s, pending %s\n", total.Currency,
			amount(total.DebitsMinor), amount(total.CreditsMinor), amount(total.DifferenceMinor), amount(total.PendingDifference))
	}
}

// Transfers that one listing shows.
const (
	defaultTransfers = 50
	maxTransfers     = 10000 // some 2 MB of JSON; more is a statement's business
)

func newLedgerTransfersCommand(g *globals, database *databaseFlags) *cobra.Command {
	var rrn, account string
	var limit int
	command := &cobra.Command{
		Use:   "transfers (--rrn RRN | --account CODE)",
		Short: "List the transfers of a transaction or an account",
		Example: `  meridian ledger transfers --rrn 632518000042
  meridian ledger transfers --account merchant:1:pending --limit 10`,
		Args: noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&rrn, "rrn", "", "retrieval reference number (F37), twelve digits")
	flags.StringVar(&account, "account", "", "account as ledger accounts shows it, such as card:7 or merchant:1:pending")
	flags.IntVar(&limit, "limit", defaultTransfers, fmt.Sprintf("at most so many of an account, the newest first; up to %d", maxTransfers))
	command.RunE = func(c *cobra.Command, _ []string) error {
		if (rrn == "") == (account == "") {
			return usagef("give --rrn or --account, one of them")
		}
		if limit < 1 || limit > maxTransfers {
			return usagef("--limit %d: it is 1 to %d", limit, maxTransfers)
		}
		var number int64
		var id ledger.AccountID
		var err error
		if rrn != "" {
			number, err = parseRRN(rrn)
		} else {
			id, err = parseAccount(account)
		}
		if err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		var list []accountTransfer
		if rrn != "" {
			found, err := find(c.Context(), pool, number)
			if err != nil {
				return err
			}
			list = transfersOf(found)
		} else if list, err = transfersOfAccount(c.Context(), pool, id, limit); err != nil {
			return databaseError(err)
		}
		return g.print(list, func(w io.Writer) { writeTransfers(w, list) })
	}
	return command
}

// transfersOf returns the transfers of transactions.
func transfersOf(found []*switching.Inspection) []accountTransfer {
	list := []accountTransfer{}
	for _, i := range found {
		for _, p := range i.Transfers {
			list = append(list, accountTransfer{
				BusinessDate: i.BusinessDate, JournalID: i.ID, Leg: p.Leg, RRN: i.RRN, Kind: p.Kind, Phase: p.Phase,
				Debit: p.Debit, Credit: p.Credit, Currency: i.Currency, AmountMinor: p.AmountMinor,
			})
		}
	}
	return list
}

func writeTransfers(w io.Writer, list []accountTransfer) {
	rows := make([][]string, 0, len(list))
	for _, t := range list {
		rows = append(rows, []string{
			t.BusinessDate.String(), orDash(t.RRN), strconv.Itoa(int(t.Leg)), t.Kind, t.Phase, t.Debit, t.Credit,
			money.Amount{Minor: t.AmountMinor, Currency: t.Currency}.String(),
		})
	}
	table(w, []string{"DATE", "RRN", "LEG", "KIND", "PHASE", "DEBIT", "CREDIT", "AMOUNT"}, rows)
}

// orDash keeps a column that has nothing in it visible.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

var ownerDigits = regexp.MustCompile(`[0-9]+`)

// maxRole is the last role that an account's number has room for.
const maxRole = 255

// parseAccount reads an account's code. The chart is package ledger's: a code is right when it is what the account of some
// role and this owner is called.
func parseAccount(code string) (ledger.AccountID, error) {
	var owner int64
	if digits := ownerDigits.FindString(code); digits != "" {
		var err error
		if owner, err = strconv.ParseInt(digits, 10, 48); err != nil {
			return 0, usagef("--account %q: its number is too large", code)
		}
	}
	for role := range ledger.Role(maxRole) {
		if account := ledger.Account(role, owner); account.Side() != '?' && account.String() == code {
			return account, nil
		}
	}
	return 0, usagef("--account %q is no account of the chart, such as card:7, merchant:1:pending or bank:settlement "+
		"(meridian ledger accounts lists them)", code)
}
