package terminal

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"meridian/host/wire"
)

// settle settles and returns the reports.
func (b *bench) settle(s Settlement, change ...func(*Options)) ([]*Report, error) {
	b.t.Helper()
	t, err := New(b.options(change...))
	if err != nil {
		b.t.Fatal(err)
	}
	var list []*Report
	err = t.Settle(b.t.Context(), s, func(report *Report) error {
		list = append(list, report)
		report.WriteText(&b.said)
		return json.NewEncoder(&b.said).Encode(report)
	})
	return list, err
}

// settlesWith is a host that finds these totals right and others out of balance.
func settlesWith(totals string) func(h *fakeHost, request *wire.Message) reply {
	return func(h *fakeHost, request *wire.Message) reply {
		answer := answerTo(request)
		switch {
		case request.MTI() == "0500":
			answer.Unset(37)
			answer.Unset(38)
			answer.Set(63, request.Get(63))
			if request.Get(3) == "920000" && request.Get(63) != totals {
				answer.Set(39, "95")
			}
		case request.Get(3) == "290000":
			answer.Set(63, "REFUND R29")
		}
		return h.packed(answer)
	}
}

const empty = "000000000000000"

func TestSettlement(t *testing.T) {
	for _, dialect := range []string{dialectNAC, dialectASCII} {
		t.Run(dialect, func(t *testing.T) {
			// Two sales and a completion, a void, a refund, and a void by name that became a refund.
			totals := "003000000004500" + "003000000002600" + strings.Repeat(empty, 4)
			b := newBench(t, dialect, settlesWith(totals))
			b.must(Request{Operation: Sale, Amount: "10"})
			b.must(Request{Operation: Sale, Amount: "99"})
			b.must(Request{Operation: Reversal})
			b.must(Request{Operation: Sale, Amount: "20"})
			b.must(Request{Operation: Reversal, Replacement: "15"})
			b.must(Request{Operation: Preauth, Amount: "20"})
			b.must(Request{Operation: Complete, Amount: "20"})
			b.must(Request{Operation: Void})
			b.must(Request{Operation: Preauth, Amount: "7"})
			b.must(Request{Operation: Balance})
			b.must(Request{Operation: Refund, RRN: "900000000001", Amount: "1"})
			b.must(Request{Operation: Cancel, OriginalSTAN: "1", Amount: "5"})
			b.must(Request{Operation: Refund, Repeat: true}) // is counted once

			list, err := b.settle(Settlement{})
			if err != nil || len(list) != 1 || list[0].Outcome != Approved {
				t.Fatalf("%v: %+v", err, list)
			}
			got := b.host.last()
			number := map[string]string{dialectNAC: "000007", dialectASCII: "000001"}[dialect]
			if got.MTI() != "0500" || got.Has(64) || list[0].Batch != number {
				t.Errorf("%s with fields %v", got.MTI(), got.Fields())
			}
			expectFields(t, got, map[int]string{3: "920000", 60: number, 63: totals, 42: "104110000000001"})

			// The next one is empty.
			before := b.state(list[0].TID)
			if _, err := b.settle(Settlement{Form: TotalsShort, NoUpload: true}); kindOf(t, err) != KindDeclined {
				t.Fatalf("an empty batch: %v", err)
			}
			expectFields(t, b.host.last(), map[int]string{60: number[:5] + string(number[5]+1), 63: empty})
			if before.Batch.Number == 0 || len(before.Batch.Entries) != 0 {
				t.Errorf("state after the settlement: %+v", before.Batch)
			}
		})
	}
}

func TestUploadOfABatch(t *testing.T) {
	for id, dialect := range map[string]string{"10000002": dialectNAC, "10000004": dialectASCII} {
		t.Run(dialect, func(t *testing.T) {
			b := newBench(t, dialect, settlesWith("none"))
			b.host.mac = x919(t)
			sale := b.must(Request{Operation: Sale, Amount: "12.34", Keyed: true}, tid(id))
			void := b.must(Request{Operation: Void}, tid(id))
			settled := len(b.host.frames())
			list, err := b.settle(Settlement{Form: TotalsTwo}, tid(id))
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, r := range list {
				said = append(said, fmt.Sprintf("%s %s %s", r.Request.MTI, r.Operation, r.Code))
			}
			if want := "0500 settle 95, 0320 upload 00, 0320 upload 00, 0500 trailer 00"; strings.Join(said, ", ") != want {
				t.Fatalf("said %s, want %s", strings.Join(said, ", "), want)
			}
			frames := b.host.frames()[settled:]
			for i, want := range []map[int]string{
				{3: "920000", 63: "001000000001234" + "001000000001234"},
				{2: "", 3: "000000", 4: "000000001234", 11: list[1].STAN, 37: sale.RRN, 38: sale.AuthCode, 39: "00", 60: "0200" + sale.STAN + sale.RRN},
				{2: "", 3: "020000", 4: "000000001234", 37: void.RRN, 60: "0200" + void.STAN + void.RRN},
				{3: "960000", 60: "000001", 63: "001000000001234" + "001000000001234"},
			} {
				m, err := b.host.spec.Parse(frames[i].Payload)
				if err != nil {
					t.Fatal(err)
				}
				expectFields(t, m, want)
				if m.Has(64) {
					t.Errorf("message %d carries a MAC", i)
				}
			}
			if got := b.state(id).Batch; got.Number != 2 || len(got.Entries) != 0 {
				t.Errorf("state: %+v", got)
			}
		})
	}
}

func TestSettlementByHand(t *testing.T) {
	b := newBench(t, dialectNAC, settlesWith("005000000000500"))
	b.must(Request{Operation: Sale, Amount: "1"})
	for _, wrong := range []Settlement{
		{Totals: "12"}, {Totals: strings.Repeat("x", 15)}, {Totals: empty, Repeat: true}, {Form: "20"},
	} {
		if _, err := b.settle(wrong); kindOf(t, err) != KindUsage {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if _, err := b.settle(Settlement{Repeat: true}); kindOf(t, err) != KindUsage {
		t.Errorf("nothing to repeat: %v", err)
	}
	if _, err := b.settle(Settlement{NoUpload: true}); kindOf(t, err) != KindDeclined {
		t.Errorf("out of balance: %v", err)
	}
	if n := len(b.state("10000001").Batch.Entries); n != 1 {
		t.Errorf("%d entries left in the open batch", n)
	}
	if _, err := b.settle(Settlement{Totals: "005000000000500"}, func(o *Options) { o.Batch = 42 }); err != nil {
		t.Error(err)
	}
	expectFields(t, b.host.last(), map[int]string{60: "000042"})
	frames := len(b.host.frames())
	list, err := b.settle(Settlement{Repeat: true})
	if err != nil || !list[0].Repeat {
		t.Errorf("repeat: %v %+v", err, list)
	}
	got := b.host.frames()
	if string(got[frames].Payload) != string(got[frames-1].Payload) {
		t.Errorf("repeated\n%X, first\n%X", got[frames].Payload, got[frames-1].Payload)
	}
	// More than a count of three digits holds.
	full := ownBatch{Entries: make([]batchEntry, maxBatchEntries)}
	full.follow(&draft{operation: Sale}, &Report{})
	if _, err := full.totals(TotalsLong); err == nil || kindOf(t, err) != KindUsage {
		t.Errorf("overfull: %v", err)
	}
}
