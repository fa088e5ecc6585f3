package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"meridian/internal/loadgen"
)

func six(n int) string { return fmt.Sprintf("%06d", n) }

// settled states totals and expects the outcome's digit: 1 for balanced, 2 for not.
// Foreign cards, of which there are none, always agree.
func (p *apartPOS) settled(digit, totals string) *told {
	p.w.t.Helper()
	t := p.ask(p.Settlement(totals))
	want := totals[:30] + digit + strings.Repeat("0", 30) + "1"
	if got := t.answer.Field(48); got != want || t.answer.Code() != "" {
		p.w.t.Fatalf("settlement answered %q in F48, %q in F39; want %q and nothing", got, t.answer.Code(), want)
	}
	p.w.settle()
	return t
}

// uploadAll shows the whole batch and ends it.
func (p *apartPOS) uploadAll() *told {
	p.w.t.Helper()
	shown := p.Entries()
	for _, upload := range p.Uploads() {
		p.twice("00", upload)
	}
	return p.twice("00", p.End(loadgen.EndUnbalanced, shown))
}

// batch is a batch as people are shown it.
func (w *town) batch(tid string, number int) (state string, differences []string) {
	w.t.Helper()
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT d.kind || ' ' || lpad(d.stan::text, 6, '0') FROM batch_differences d
			JOIN terminals t USING (terminal_id) WHERE t.tid = $1 AND d.batch_no = $2 ORDER BY d.stan, d.kind`, tid, number)
		if err != nil {
			return err
		}
		differences, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return one[string](w, `SELECT b.state::text FROM batches b JOIN terminals t USING (terminal_id) WHERE t.tid = $1 AND b.batch_no = $2`, tid, number), differences
}

// TestUnionPaySettlement: batches that balance, that do not, and that are empty,
// one after the other, with every message sent twice.
func TestUnionPaySettlement(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.signedIn(posTill)

	// An empty one, by half of the totals, which some terminals send alone.
	if got := p.ask(p.Settlement(p.Totals()[:31])).answer.Field(48); got != strings.Repeat("0", 30)+"1" {
		t.Fatalf("half of the totals were answered %q", got)
	}
	p.twice("00", p.End(loadgen.EndBalanced, 0))
	p.NextBatch()

	// Two sales of which one was voided, a hold that was completed, a refund of what
	// is settled: gross, not net.
	first := p.do("00", p.sale(10_00))
	w.settled()
	sale := p.do("00", p.sale(20_00))
	p.do("00", p.about(loadgen.SaleVoid, of(sale), 20_00))
	hold := p.do("00", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(50_00)))
	p.do("00", p.about(loadgen.Completion, holdOf(hold), 40_00))
	p.do("00", p.about(loadgen.Refund, of(first), 10_00, map[int]string{63: "CUP"}))
	reversed := p.do("00", p.sale(80_00))
	p.do("00", p.Reversal(reversed.request, "98"))
	totals := fmt.Sprintf("%012d%03d%012d%03d0", 10_00+20_00+40_00, 3, 20_00+10_00, 2) + strings.Repeat("0", 31)
	if p.Totals() != totals {
		t.Fatalf("the terminal's own totals are %s, want %s", p.Totals(), totals)
	}
	// What is netted is not balanced; nor are other sums; and a comparison closes nothing.
	p.settled("2", fmt.Sprintf("%012d%03d%012d%03d0", 10_00+40_00, 2, 10_00, 1)+strings.Repeat("0", 31))
	p.settled("2", fmt.Sprintf("%012d%03d%012d%03d0", 70_00, 3, 30_01, 2)+strings.Repeat("0", 31))
	w.again(p.settled("1", totals))
	late := p.do("00", p.sale(5_00)) // the answer to the settlement was lost, and somebody paid
	p.settled("2", totals)
	p.do("00", p.Reversal(late.request, "06"))
	p.settled("1", p.Totals())
	number := p.Batch()
	end := p.twice("00", p.End(loadgen.EndBalanced, 0))
	if state, differences := w.batch(posTill, number); state != "5" || len(differences) > 0 {
		t.Fatalf("batch %d has state %s and differences %v", number, state, differences)
	}

	// The next one, with the same trace numbers over again.
	p.NextBatch()
	again := p.sale(7_00, map[int]string{11: sale.request.Field(11)})
	p.do("00", again)
	w.again(end)
	p.do("77", p.End(loadgen.EndBalanced, 0).But(60, "00"+six(number-1)+loadgen.EndBalanced))
	p.do("77", p.sale(1_00).But(60, "22"+six(number)))
	p.do("77", p.sale(1_00).But(60, "22"+six(number+2)))

	// One that the host has otherwise: uploaded and ended, and what differs is told.
	var last *told
	for i := range 9 {
		last = p.just("00", p.sale(int64(1_00+i)))
	}
	p.settled("2", fmt.Sprintf("%012d%03d%012d%03d0", 1, 1, 0, 0)+strings.Repeat("0", 31))
	uploads := p.Uploads()
	if len(uploads) != 2 {
		t.Fatalf("%d uploads of 10 transactions", len(uploads))
	}
	p.twice("00", uploads[0])
	two := uploads[1].Field(48) // the last sale, one cent less; and what never was
	never := "00" + "999999" + strings.Repeat("0", 20) + "000000000100"
	p.twice("00", uploads[1].But(48, "03"+two[2:70]+"000000000107"+never))
	end = p.twice("00", p.End(loadgen.EndUnbalanced, 11))
	state, differences := w.batch(posTill, p.Batch())
	if want := []string{"amount_differs " + last.request.Field(11), "unknown_to_host 999999"}; state != "5" || !slices.Equal(differences, want) {
		t.Fatalf("the batch has state %s and differences %v, want %v", state, differences, want)
	}
	p.NextBatch()
	w.again(end)

	// And one that is ended without a word about its totals.
	p.do("00", p.sale(3_00))
	p.uploadAll()
	if n := one[int](w, `SELECT count(*) FROM exceptions WHERE kind = 'batch_without_totals'`); n != 1 {
		t.Fatalf("%d exceptions about a batch without totals", n)
	}
	p.NextBatch()
	p.do("00", p.sale(1_00))
}
