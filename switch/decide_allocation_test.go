package switching

import (
	"strings"
	"testing"
	"time"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/ledger"
)

// TestAllocationsOfADecision keeps what an approved sale allocates while it is decided to what
// is kept of it: its record with the masked card number, its key and its transfers. The
// decision itself, the largest of all, stays on the stack.
func TestAllocationsOfADecision(t *testing.T) {
	const limit = 4
	pan, err := card.ParsePAN("4000000000000002")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	dir := &Directory{ranges: []binRange{{low: "4" + strings.Repeat("0", 18), high: "4" + strings.Repeat("9", 18), network: "visa", route: "on-us"}}}
	merchant := &Merchant{ID: 1, CalendarID: 1, Currency: money.CNY, Policy: &Policy{}, zone: time.UTC}
	r := &Request{
		Kind: KindSale, STAN: 7, AmountMinor: 100, HasAmount: true, PAN: pan, Token: [16]byte{1}, Received: now,
		merchant: merchant, terminal: &Terminal{ID: 1},
	}
	f := newFacts(1, now, dir, 1)
	f.windows[1] = ledger.Window{State: ledger.WindowOpen}
	f.batches[1] = &batch{number: 1, state: BatchOpen}
	f.addCard(&ledger.CardAccount{ID: 1, Token: r.Token, Expiry: ledger.Expiry{'4', '9', '1', '2'}, Currency: money.CNY, Status: ledger.CardActive, BalanceMinor: 1000})
	id := Identity{RRN: 1, AuthCode: "123456"}
	if v := Decide(f, r, id); v.Response.Reason != Approved || v.Record.CapturedMinor != 100 {
		t.Fatalf("not an approved sale: %s, captured %d", v.Response.Reason, v.Record.CapturedMinor)
	}
	if got := testing.AllocsPerRun(100, func() { Decide(f, r, id) }); got > limit {
		t.Errorf("%v allocations, want at most %d", got, limit)
	}
}
