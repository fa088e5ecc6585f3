package terminal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxBatchEntries is what a count of three digits holds (F63).
const maxBatchEntries = 999

// ownBatch is the terminal's open batch: what the host approved since the last
// settlement, as the terminal knows it.
type ownBatch struct {
	// Number is 0 until the terminal has settled: sandbox.json or --batch says it.
	Number  int          `json:"number,omitempty"`
	Entries []batchEntry `json:"entries,omitempty"`
	// Overfull: more was approved than a batch holds.
	Overfull bool `json:"overfull,omitempty"`
}

// batchEntry is one approved transaction. It says nothing of the card.
type batchEntry struct {
	Class       string         `json:"class"` // sale, void or refund
	MTI         string         `json:"mti"`
	Fields      map[int]string `json:"fields"` // 3, 11, 12, 13, 22, 24, 25 and 49 of the request, 37 and 38 of its answer
	AmountMinor int64          `json:"amount_minor"`
	Card        *cardNote      `json:"card,omitempty"`
}

// Classes of entries. A voided sale stays a sale; its void is an entry of its own.
const (
	classSale   = "sale"
	classVoid   = "void"
	classRefund = "refund"
)

// classOf what was approved; empty for what is in no total. The host's verdict
// counts before the operation's name: it may have made a refund of a void.
func classOf(d *draft, r *Report) string {
	switch d.operation {
	case Sale, Complete, Offline:
		return classSale
	case Void, Cancel, Refund:
	default:
		return ""
	}
	switch {
	case d.original != nil && d.original.Operation == Preauth:
		return "" // a released hold has moved nothing
	case r.Verdict == "REFUND", r.Verdict == "" && d.operation == Refund:
		return classRefund
	default:
		return classVoid
	}
}

// follow keeps the batch up with a request that was approved for the first time.
func (b *ownBatch) follow(d *draft, r *Report) {
	switch d.operation {
	case Reversal:
		b.reverse(d)
		return
	case Adjust:
		b.adjust(d)
		return
	default:
	}
	class := classOf(d, r)
	if class == "" {
		return
	}
	if len(b.Entries) >= maxBatchEntries {
		b.Overfull = true
		return
	}
	entry := batchEntry{Class: class, MTI: d.mti, Fields: map[int]string{37: r.RRN, 38: r.AuthCode}, AmountMinor: d.amount}
	for _, field := range []int{3, 11, 12, 13, 22, 24, 25, 49} {
		entry.Fields[field] = d.fields[field]
	}
	if d.card != nil {
		entry.Card = d.card.note()
	}
	b.Entries = append(b.Entries, entry)
}

// reverse takes out what was reversed, or leaves what remains of it.
func (b *ownBatch) reverse(d *draft) {
	i := slices.IndexFunc(b.Entries, func(e batchEntry) bool { return e.Fields[11] == d.fields[11] })
	switch {
	case i < 0:
	case d.partial && d.remaining > 0:
		b.Entries[i].AmountMinor = d.remaining
	default:
		b.Entries = slices.Delete(b.Entries, i, i+1)
	}
}

// adjust lets an entry stand for another amount.
func (b *ownBatch) adjust(d *draft) {
	for i := range b.Entries {
		if d.original != nil && b.Entries[i].Fields[11] == d.original.Fields[11] {
			b.Entries[i].AmountMinor = d.amount
		}
	}
}

// settled begins the batch that follows the number, unless that has begun.
func (b *ownBatch) settled(number int) {
	if b.Number == 0 || b.Number == number {
		*b = ownBatch{Number: number%maxBatch + 1}
	}
}

const maxBatch = 999_999

// overstated is the batch as a terminal has it that counted one sale too high.
func (b *ownBatch) overstated(minor int64) ownBatch {
	other := *b
	if minor == 0 {
		return other
	}
	other.Entries = slices.Clone(b.Entries)
	i := slices.IndexFunc(other.Entries, func(e batchEntry) bool { return e.Class == classSale })
	if i < 0 {
		other.Entries = append(other.Entries, batchEntry{Class: classSale, AmountMinor: minor})
		return other
	}
	other.Entries[i].AmountMinor += minor
	return other
}

// TotalsForm is how many groups of count and amount F63 has.
type TotalsForm string

const (
	// TotalsLong is six groups, 90 digits: sales, refunds and voids, and four that stay empty.
	TotalsLong TotalsForm = "90"
	// TotalsTwo is the first two of them, 30 digits.
	TotalsTwo TotalsForm = "30"
	// TotalsShort is one group, 15 digits: sales less voids.
	TotalsShort TotalsForm = "15"
)

// totals of the batch as F63 has them.
func (b *ownBatch) totals(form TotalsForm) (string, error) {
	if b.Overfull {
		return "", errorf(KindUsage, "more than %d transactions since the last settlement: a count has three digits, give --totals", maxBatchEntries)
	}
	var debits, credits, voids, sumDebits, sumCredits, sumVoids int64
	for _, e := range b.Entries {
		switch e.Class {
		case classSale:
			debits, sumDebits = debits+1, sumDebits+e.AmountMinor
		case classVoid:
			voids, sumVoids = voids+1, sumVoids+e.AmountMinor
			credits, sumCredits = credits+1, sumCredits+e.AmountMinor
		case classRefund:
			credits, sumCredits = credits+1, sumCredits+e.AmountMinor
		}
	}
	group := func(count, minor int64) string { return fmt.Sprintf("%03d%012d", count, minor) }
	switch form {
	case TotalsShort:
		if voids > debits || sumVoids > sumDebits {
			return "", errorf(KindUsage, "the batch voids more than it sells, which one total cannot say: use --form %s", TotalsLong)
		}
		return group(debits-voids, sumDebits-sumVoids), nil
	case TotalsTwo:
		return group(debits, sumDebits) + group(credits, sumCredits), nil
	case TotalsLong, "":
		return group(debits, sumDebits) + group(credits, sumCredits) + strings.Repeat(group(0, 0), 4), nil
	default:
		return "", errorf(KindUsage, "--form %s: it is %s, %s or %s", form, TotalsLong, TotalsTwo, TotalsShort)
	}
}

// batchNumber of the terminal now: --batch, or as its last settlement left it,
// or as sandbox.json has it.
func (t *Terminal) batchNumber(st *state) int {
	switch {
	case t.batchGiven:
		return t.batch
	case st.Batch.Number > 0:
		return st.Batch.Number
	default:
		return max(t.batch, 1)
	}
}

// statedBatch is the number in F60 of a settlement.
func (t *Terminal) statedBatch(fields map[int]string) int {
	text := fields[60]
	if t.dialect == dialectUnionPay && len(text) >= 8 {
		text = text[2:8]
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}
