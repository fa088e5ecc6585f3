package loadgen

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// entry is one approved transaction of the batch.
type entry struct {
	side  Side
	minor int64
	pan   string
}

// book is what the host approved of the batch, by trace number.
type book map[string]entry

// follow keeps the book up with an answer.
func (b book) follow(request, answer Message) {
	if answer.Code() != "00" || !sealed(request.MTI) {
		return
	}
	trace := request.Field(11)
	if request.MTI == "0400" {
		delete(b, trace)
		return
	}
	kind := request.Field(60)[:2]
	minor, err := strconv.ParseInt(request.Field(4), 10, 64)
	if err != nil {
		return // an inquiry
	}
	if kind == Adjustment.Type || kind == Tip.Type {
		if original, known := b[request.Field(61)[6:12]]; known {
			original.minor = minor
			b[request.Field(61)[6:12]] = original
		}
		return
	}
	for _, t := range []Transaction{Sale, SaleVoid, Refund, Completion, CompletionAdvice, CompletionVoid, OfflineSale} {
		if t.Type == kind {
			pan := request.Field(2)
			if track := request.Field(35); track != "" {
				pan, _, _ = strings.Cut(track, "=")
			}
			b[trace] = entry{t.Side, minor, pan}
		}
	}
}

// Totals of the batch as F48 has them: debits and credits, the outcome's digit
// empty, then the same of foreign cards, of which there are none.
func (p *POS) Totals() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var minor, count [Credit + 1]int64
	for _, e := range p.book {
		minor[e.side] += e.minor
		count[e.side]++
	}
	return fmt.Sprintf("%012d%03d%012d%03d0", minor[Debit], count[Debit], minor[Credit], count[Credit]) + strings.Repeat("0", 31)
}

// Settlement states totals (0500); the terminal's own are [POS.Totals].
func (p *POS) Settlement(totals string) Message {
	return p.Management("0500", Settle, map[int]string{48: totals, 49: currency, 63: "01 "})
}

// perUpload is how many transactions one upload has room for.
const perUpload = 8

// Uploads show every transaction of the batch, eight to a message: card type, trace
// number, card number behind zeros, amount.
func (p *POS) Uploads() []Message {
	p.mu.Lock()
	own := maps.Clone(p.book)
	p.mu.Unlock()
	var details []string
	for _, trace := range slices.Sorted(maps.Keys(own)) {
		e := own[trace]
		details = append(details, fmt.Sprintf("00%s%020s%012d", trace, e.pan, e.minor))
	}
	var list []Message
	for some := range slices.Chunk(details, perUpload) {
		f48 := fmt.Sprintf("%02d", len(some)) + strings.Join(some, "")
		list = append(list, p.Management("0320", UploadDetails, map[int]string{48: f48}))
	}
	return list
}

// End ends the batch: 207 after balanced totals, 202 after others and the upload
// of so many transactions.
func (p *POS) End(code string, uploaded int) Message {
	return p.Management("0320", code, map[int]string{48: fmt.Sprintf("%04d", uploaded)})
}

// Entries is how many transactions are in the batch.
func (p *POS) Entries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.book)
}

// NextBatch goes on with the next batch, after its end was answered.
func (p *POS) NextBatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch, p.book = p.batch%999_999+1, book{}
}
