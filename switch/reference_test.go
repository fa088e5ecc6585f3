package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
)

// byCode finds an authorization by its code and card i.
func byCode(r switching.Response, card int, change ...func(*switching.Reference)) func(*switching.Request) {
	return func(q *switching.Request) {
		withCard(card)(q)
		q.Original = switching.Reference{AuthCode: r.AuthCode, HasAuthCode: true, Kind: switching.KindAuthorization, Exact: true}
		for _, c := range change {
			c(&q.Original)
		}
	}
}

func TestReferenceByAuthorizationCode(t *testing.T) {
	w := newWorld(t)
	request := w.request(switching.KindAuthorization, 100_00)
	held := w.do(switching.Approved, request)
	w.do(switching.OriginalNotFound, w.request(switching.KindCompletion, 90_00, byCode(held, 1)))
	w.do(switching.OriginalNotFound, w.request(switching.KindCompletion, 90_00, byCode(held, 0), at(kiosk, booth)))
	for name, wrong := range map[string]func(*switching.Reference){
		"code":  func(r *switching.Reference) { r.AuthCode = "nocode" },
		"date":  func(r *switching.Reference) { r.Date = "0309" },
		"trace": func(r *switching.Reference) { r.STAN, r.HasSTAN = request.STAN+1, true },
		"batch": func(r *switching.Reference) { r.STAN, r.HasSTAN, r.BatchNo = request.STAN, true, 2 },
		"kind":  func(r *switching.Reference) { r.Kind = switching.KindCompletion },
	} {
		t.Run("wrong "+name, func(t *testing.T) {
			w.do(switching.OriginalNotFound, w.request(switching.KindCompletion, 90_00, byCode(held, 0, wrong)))
		})
	}
	// Another terminal of the merchant's completes it; that terminal's own STANs say nothing.
	done := w.do(switching.Approved, w.request(switching.KindCompletion, 90_00, at(shop, till2), byCode(held, 0, func(r *switching.Reference) {
		r.STAN, r.HasSTAN, r.BatchNo, r.Date = request.STAN, true, 1, "0310"
	})))
	w.wantAvailable(90_00)
	w.do(switching.InvalidTransaction, w.request(switching.KindCompletion, 90_00, byCode(held, 0)))
	// Its void names the completion, and not the hold.
	w.do(switching.OriginalNotFound, w.request(switching.KindVoid, 90_00, at(shop, till2), of(done), func(r *switching.Request) {
		r.Original.Kind = switching.KindSale
	}))
	w.do(switching.Approved, w.request(switching.KindVoid, 90_00, at(shop, till2), of(done), func(r *switching.Request) {
		r.Original.Kind = switching.KindCompletion
	}))
	w.wantAvailable(100_00)
	w.do(switching.Approved, w.request(switching.KindVoid, 100_00, byCode(held, 0)))
	w.wantAvailable(0)
	w.do(switching.InvalidTransaction, w.request(switching.KindVoid, 100_00, byCode(held, 0)))
}

// Six digits come again: the card tells, and what even the card cannot tell is declined.
func TestReferenceByACodeThatComesAgain(t *testing.T) {
	w := newWorld(t)
	first := w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	second := w.do(switching.Approved, w.request(switching.KindAuthorization, 20_00, withCard(1)))
	third := w.request(switching.KindAuthorization, 30_00)
	w.do(switching.Approved, third)
	w.sql(`UPDATE transactions SET auth_code = $1 WHERE kind = 1`, first.AuthCode)
	second.AuthCode = first.AuthCode
	w.do(switching.Approved, w.request(switching.KindCompletion, 20_00, byCode(second, 1)))
	w.do(switching.OriginalNotFound, w.request(switching.KindCompletion, 10_00, byCode(first, 0)))
	w.do(switching.Approved, w.request(switching.KindCompletion, 30_00, byCode(first, 0, func(r *switching.Reference) {
		r.STAN, r.HasSTAN = third.STAN, true
	})))
	w.wantAvailable(40_00)
}

// A void that says where its original was made is declined when that is another
// one, and one that need not agree is not.
func TestExactReference(t *testing.T) {
	w := newWorld(t)
	w.clock.set(time.Date(2026, 3, 9, 17, 0, 0, 0, time.UTC)) // 01:00 on the 10th in Shanghai
	sale := w.request(switching.KindSale, 10_00)
	sold := w.do(switching.Approved, sale)
	exact := func(stan, batch int32, date string) func(*switching.Request) {
		return func(r *switching.Request) {
			r.Original = switching.Reference{
				RRN: sold.RRN, HasRRN: true, STAN: stan, HasSTAN: stan != 0, BatchNo: batch, Date: date, Kind: switching.KindSale, Exact: true,
			}
		}
	}
	for name, change := range map[string]func(*switching.Request){
		"trace": exact(sale.STAN+1, 1, ""), "batch": exact(sale.STAN, 2, ""), "date": exact(0, 0, "0309"),
	} {
		t.Run("another "+name, func(t *testing.T) { w.do(switching.OriginalNotFound, w.request(switching.KindVoid, 10_00, change)) })
	}
	refund := w.request(switching.KindVoid, 10_00, exact(sale.STAN+1, 0, ""), func(r *switching.Request) { r.Original.Exact = false })
	w.do(switching.Approved, refund)
	offline := w.do(switching.Approved, w.request(switching.KindAdvice, 5_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 5_00, of(offline), func(r *switching.Request) {
		r.Original.Kind, r.Original.Exact, r.Original.Date = switching.KindSale, true, "0310"
	}))
	w.wantAvailable(0)
}

// What a script did to a card is kept beside its transaction and moves nothing.
func TestScriptResult(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	sold := w.do(switching.Approved, sale)
	script := w.request(switching.KindScript, 0, stan(sale.STAN), of(sold), inSteps(1), func(r *switching.Request) {
		r.Remark, r.Data = "script results 01", []byte("script results 01")
	})
	first := w.do(switching.Approved, script)
	w.sameAnswer(first, w.do(switching.Approved, copyOf(script)))
	w.do(switching.RepeatDiffers, copyOf(script, func(r *switching.Request) { r.Data = []byte("script results 02") }))
	w.do(switching.NotCurrentBatch, w.request(switching.KindScript, 0, of(sold), inSteps(2)))
	w.do(switching.Approved, w.request(switching.KindScript, 0, inSteps(1))) // of what nobody knows
	w.wantAvailable(10_00)
	list, err := switching.FindByRRN(t.Context(), w.pool, first.RRN)
	w.must(err)
	if got := list[0]; got.Kind != switching.KindScript || got.Remark != "script results 01" || got.OriginalRRN == "" || len(got.Transfers) != 0 || got.Card == "" {
		t.Errorf("recorded %+v", got)
	}
	// The sale's reversal finds the sale.
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN), inSteps(1), func(r *switching.Request) {
		r.Remark = "98: no answer within time"
	}))
	w.wantAvailable(0)
	w.do(switching.Approved, w.ends(1))
}

// The cause of a reversal is kept, and is no part of what makes it a repeat.
func TestCauseOfAReversal(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	cause := func(text string) func(*switching.Request) { return func(r *switching.Request) { r.Remark = text } }
	reversal := w.request(switching.KindReversal, 10_00, stan(sale.STAN), cause("98: no answer within time"))
	first := w.do(switching.Approved, reversal)
	w.sameAnswer(first, w.do(switching.Approved, copyOf(reversal, cause("06: other"))))
	list, err := switching.FindByRRN(t.Context(), w.pool, first.RRN)
	w.must(err)
	if list[0].Remark != "98: no answer within time" {
		t.Errorf("kept %q", list[0].Remark)
	}
}
