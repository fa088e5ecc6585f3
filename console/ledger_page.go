package console

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// ledgerBody is the trial balance.
type ledgerBody struct {
	*trial

	// Summed tells that there is one.
	Summed bool

	// Verified tells of the last verification.
	VerifiedAt time.Time
	Ago        string
	Findings   int64
}

// trial is the trial balance as it was summed up.
type trial struct {
	At     time.Time
	Totals []currencyTotal
	Roles  []roleTotal
	// Accounts are those of everybody but cards, whose number has no bound.
	Accounts []accountRow
	Cards    int
}

// CardCount is how many accounts are not listed one by one.
func (t *trial) CardCount() int64 { return int64(t.Cards) }

// currencyTotal sums a currency over all accounts: what is debited somewhere is
// credited elsewhere.
type currencyTotal struct {
	Currency        money.Currency
	Debits, Credits int64
}

// Difference is zero.
func (t currencyTotal) Difference() int64 { return t.Debits - t.Credits }

// roleTotal sums a line of the chart of accounts in one currency.
type roleTotal struct {
	Role, Side string
	Currency   money.Currency
	Accounts   int
	Balance    int64
	Pending    int64
}

// accountRow is one account, its balance positive on the side that it stands on.
type accountRow struct {
	Code, Side string
	Currency   money.Currency
	Balance    int64
	Pending    int64
}

const (
	// trialFor is how long a sum over all transfers is good for: it is the one thing
	// here that reads everything.
	trialFor = 10 * time.Second
	// accountsShown bounds the list; the others are in their role's line.
	accountsShown = 300
)

// trialCache sums up once for everybody who looks. The sum goes on when whoever asked
// for it has left, and nobody waits long for it.
type trialCache struct {
	wait time.Duration // see trialWait

	mu      sync.Mutex
	last    *trial
	err     error         // of the last sum, where it failed
	running chan struct{} // closed at the end of the sum under way; nil without one
}

const (
	// trialWait is how long a page waits for a sum: longer ones are shown when they
	// are done, and the one before meanwhile.
	trialWait = 120 * time.Millisecond
	// trialTimeout bounds a sum.
	trialTimeout = 5 * time.Minute
)

// get returns the newest sum there is within the wait; nil where the first one is
// still under way.
func (t *trialCache) get(ctx context.Context, c *Console) (*trial, error) {
	t.mu.Lock()
	if t.last != nil && time.Since(t.last.At) < trialFor {
		defer t.mu.Unlock()
		return t.last, nil
	}
	if t.running == nil {
		t.running = make(chan struct{})
		c.running.Go(func() { t.sum(c) })
	}
	running := t.running
	t.mu.Unlock()
	timer := time.NewTimer(t.wait)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil && t.running == nil {
		return nil, t.err
	}
	return t.last, nil
}

func (t *trialCache) sum(c *Console) {
	ctx, cancel := context.WithTimeout(c.watching, trialTimeout)
	defer cancel()
	positions, err := ledger.Positions(ctx, c.o.Pool)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err = err; err == nil {
		t.last = newTrial(positions)
		t.last.At = time.Now().UTC()
	}
	close(t.running)
	t.running = nil
}

var ownerDigits = regexp.MustCompile(`[0-9]+`)

func newTrial(positions []ledger.Position) *trial {
	t := &trial{}
	for _, p := range positions {
		balance, pending := p.CreditsPostedMinor-p.DebitsPostedMinor, p.CreditsPendingMinor-p.DebitsPendingMinor
		if side := p.Account.Side(); side == 'A' || side == 'E' {
			balance, pending = -balance, -pending
		}
		i := slices.IndexFunc(t.Totals, func(c currencyTotal) bool { return c.Currency == p.Currency })
		if i < 0 {
			t.Totals = append(t.Totals, currencyTotal{Currency: p.Currency})
			i = len(t.Totals) - 1
		}
		t.Totals[i].Debits += p.DebitsPostedMinor
		t.Totals[i].Credits += p.CreditsPostedMinor
		role := ownerDigits.ReplaceAllString(p.Code, "…")
		j := slices.IndexFunc(t.Roles, func(r roleTotal) bool { return r.Role == role && r.Currency == p.Currency })
		if j < 0 {
			t.Roles = append(t.Roles, roleTotal{Role: role, Side: sideName(p.Side), Currency: p.Currency})
			j = len(t.Roles) - 1
		}
		t.Roles[j].Accounts++
		t.Roles[j].Balance += balance
		t.Roles[j].Pending += pending
		if p.Account.Role() == ledger.RoleCard {
			t.Cards++
		} else if len(t.Accounts) < accountsShown {
			t.Accounts = append(t.Accounts, accountRow{p.Code, sideName(p.Side), p.Currency, balance, pending})
		}
	}
	slices.SortFunc(t.Totals, func(a, b currencyTotal) int { return strings.Compare(a.Currency.Alpha(), b.Currency.Alpha()) })
	return t
}

func sideName(side string) string {
	return map[string]string{"A": "asset", "L": "liability", "R": "revenue", "E": "expense"}[side]
}

func (c *Console) ledgerPage(r *http.Request) (*view, error) {
	t, err := c.trial.get(r.Context(), c)
	if err != nil {
		return nil, err
	}
	body := &ledgerBody{trial: t, Summed: t != nil}
	if samples := c.meter.kept(); len(samples) > 0 {
		g := samples[len(samples)-1].gauges
		body.VerifiedAt, body.Findings = g.VerifiedAt, int64(g.Findings)
		if !g.VerifiedAt.IsZero() {
			body.Ago = span(time.Since(g.VerifiedAt))
		}
	}
	return &view{template: "ledger.html", title: "Ledger", section: "ledger", body: body}, nil
}

// accountBody is a page of one account's transfers.
type accountBody struct {
	Code    string
	Account ledger.AccountID
	Page    *switching.TransferPage
	Next    string
}

func (c *Console) account(r *http.Request) (*view, error) {
	code := r.PathValue("code")
	account, known := parseAccount(code)
	if !known {
		return nil, notFound("“" + truncate(code) + "” is no account of the chart, such as card:7 or merchant:1:pending.")
	}
	body := &accountBody{Code: code, Account: account}
	var after *switching.TransactionPlace
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = switching.ParseTransactionPlace(text); err != nil {
			return nil, badRequest("The address of this page is damaged. Begin at the first page.")
		}
	}
	var err error
	if body.Page, err = switching.AccountTransfers(r.Context(), c.o.Pool, account, after, listed); err != nil {
		return nil, err
	}
	if body.Page.Next != nil {
		body.Next = (&url.URL{Path: r.URL.Path, RawQuery: url.Values{"after": {body.Page.Next.String()}}.Encode()}).String()
	}
	return &view{template: "account.html", title: "Account " + code, section: "ledger", body: body}, nil
}

// parseAccount reads an account's code: it is right when it is what the account of
// some role and this owner is called.
func parseAccount(code string) (ledger.AccountID, bool) {
	var owner int64
	if digits := ownerDigits.FindString(code); digits != "" {
		var err error
		if owner, err = strconv.ParseInt(digits, 10, 48); err != nil {
			return 0, false
		}
	}
	const lastRole = 255 // what an account's number has room for
	for role := range ledger.Role(lastRole) {
		if account := ledger.Account(role, owner); account.Side() != '?' && account.String() == code {
			return account, true
		}
	}
	return 0, false
}
