package soak_test

import (
	"sync"

	"meridian/internal/money"
	"meridian/ledger"
)

// entry names a statement: a merchant has one currency here.
type entry struct {
	merchantID int32
	date       ledger.Date
}

// tally is what the terminals of a merchant know of a business date.
type tally struct {
	sales, cashback, completions, voids, reversals, refunds ledger.ClassTotal
	// feeMinor is on the purchases that stand, feeBackMinor what refunds return.
	feeMinor, feeBackMinor int64
}

// book adds up what answers said.
type book struct {
	mu      sync.Mutex
	entries map[entry]*tally
}

func newBook() *book { return &book{entries: map[entry]*tally{}} }

func (b *book) write(merchantID int32, date ledger.Date, change func(*tally)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := entry{merchantID, date}
	if b.entries[key] == nil {
		b.entries[key] = &tally{}
	}
	change(b.entries[key])
}

func count(c *ledger.ClassTotal, minor int64) {
	c.Count++
	c.Minor += minor
}

// deal is a purchase that was approved.
type deal struct {
	merchantID    int32
	date          ledger.Date
	rrn           int64
	minor         int64 // cashback included
	cashbackMinor int64
	completion    bool
}

// fee of a purchase, on the goods alone.
func (d *deal) fee() int64 {
	rate, fixed, _ := feeTerms(d.merchantID)
	return rated(d.minor-d.cashbackMinor, rate) + fixed
}

// rated is the rate's part of an amount, halves to even: written out, because
// the ledger's own is what it is compared with.
func rated(minor, rateMillionths int64) int64 {
	product := minor * rateMillionths
	whole, rest := product/money.RateScale, product%money.RateScale
	if rest*2 > money.RateScale || rest*2 == money.RateScale && whole%2 == 1 {
		whole++
	}
	return whole
}

func (b *book) purchase(d *deal) {
	b.write(d.merchantID, d.date, func(t *tally) {
		if d.completion {
			count(&t.completions, d.minor)
		} else {
			count(&t.sales, d.minor-d.cashbackMinor)
		}
		if d.cashbackMinor > 0 {
			count(&t.cashback, d.cashbackMinor)
		}
		t.feeMinor += d.fee()
	})
}

// voided is a purchase undone on its own date.
func (b *book) voided(d *deal) {
	b.write(d.merchantID, d.date, func(t *tally) {
		count(&t.voids, d.minor)
		t.feeMinor -= d.fee()
	})
}

// reversed is a purchase whose answer did not arrive, undone on its own date.
func (b *book) reversed(d *deal) {
	b.write(d.merchantID, d.date, func(t *tally) {
		count(&t.reversals, d.minor)
		t.feeMinor -= d.fee()
	})
}

// refunded is the only refund of a purchase, on a date after it.
func (b *book) refunded(d *deal, date ledger.Date, minor int64) {
	b.write(d.merchantID, date, func(t *tally) {
		count(&t.refunds, minor)
		if rate, _, returned := feeTerms(d.merchantID); returned {
			t.feeBackMinor += rated(min(minor, d.minor-d.cashbackMinor), rate)
		}
	})
}
