package node

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// TestDecisionByPeople: what waits for a person, and who may ask.
func TestDecisionByPeople(t *testing.T) {
	eachDecisionTown(t,
		decisionPart{"a review is approved", "review_threshold_minor = 500", reviewApproved},
		decisionPart{"a review is rejected", "review_threshold_minor = 500", reviewRejected},
		decisionPart{"a refund without an original is approved", "allow_unreferenced_refund = true", unreferencedApproved},
		decisionPart{"operator wrong password, lockout", "require_operator = true", operatorLockout},
		decisionPart{"operators sign on at terminals", "require_operator = true, supervisor_for_refund = true", operatorsAtTerminals},
	)
}

// decide is a person's word on a refund under review.
func (s *scene) decide(refund *sent, approve bool) error {
	s.t.Helper()
	var err error
	s.database(func(ctx context.Context, c *pgx.Conn) error {
		err = switching.DecideReview(ctx, c, s.clock.Now(), switching.ReviewDecision{
			RRN: s.rrnOf(refund.rrn()), Approve: approve, Who: "ann", Why: "a test",
		})
		return nil
	})
	return err
}

// again sends the same message once more.
func (x *terminal) again(s *sent) *sent {
	x.t.Helper()
	return x.transmit(s.mti[:3]+"1", s.fields.but(x.transmission()))
}

func reviewApproved(s *scene) {
	s.t.Helper()
	sale := s.sale(10_00)
	s.settled()
	available := s.available(everyday)
	refund := s.x.do("01", "0200", asRefund, amount(6_00), refTo(sale))
	s.says(refund, "REVIEW R26")
	s.posted(refund, mmdd(dayOf(s.clock.Now())))
	s.x.repeat(refund) // it waits, and is the same answer
	// What waits is spoken for.
	s.says(s.x.do("61", "0200", asRefund, amount(4_01), refTo(sale)), "DECLINE R24")
	s.says(s.x.do("00", "0200", asRefund, amount(4_00), refTo(sale)), "REFUND R29")
	if gave := s.available(everyday) - available; gave != 4_00 {
		s.t.Fatalf("%d given before the review", gave)
	}
	s.settled()
	s.settled()
	posted := dayOf(s.clock.Now())
	s.must(s.decide(refund, true))
	if err := s.decide(refund, false); !errors.Is(err, switching.ErrNoReview) {
		s.t.Fatalf("decided twice: %v", err)
	}
	if gave := s.available(everyday) - available; gave != 10_00 {
		s.t.Fatalf("%d given by the review and before", gave)
	}
	s.settled() // the repeat comes on another date than the posting
	final := s.x.again(refund)
	s.x.expect("00", final)
	s.says(final, "REFUND R26")
	s.posted(final, mmdd(posted))
	if final.rrn() != refund.rrn() {
		s.t.Fatalf("RRN %s became %s", refund.rrn(), final.rrn())
	}
	s.x.repeat(final)
	i := s.inspect(final.rrn())
	if got := moves(i); i.State != switching.StateApproved || i.PostedDate != posted || len(got) != 1 || got[0] != "refund "+payableToCard+" 600" {
		s.t.Fatalf("stored %s, posted on %s: %q", i.State, i.PostedDate, got)
	}
	s.says(s.x.do("61", "0200", asRefund, amount(1), refTo(sale)), "DECLINE R24")
}

func reviewRejected(s *scene) {
	s.t.Helper()
	sale := s.sale(10_00)
	s.settled()
	available := s.available(everyday)
	refund := s.x.do("01", "0200", asCancel, refTo(sale))
	s.says(refund, "REVIEW R26")
	s.says(s.x.do("61", "0200", asRefund, amount(1), refTo(sale)), "DECLINE R24")
	s.must(s.decide(refund, false))
	final := s.x.again(refund)
	s.x.expect("05", final)
	s.says(final, "DECLINE R26")
	s.x.repeat(final)
	if i := s.inspect(final.rrn()); i.State != switching.StateDeclined || len(i.Transfers) != 0 {
		s.t.Fatalf("stored %s with %q", i.State, moves(i))
	}
	// It is free again.
	s.says(s.x.do("00", "0200", asRefund, amount(5_00), refTo(sale)), "REFUND R29")
	if gave := s.available(everyday) - available; gave != 5_00 {
		s.t.Fatalf("gave %d", gave)
	}
}

func unreferencedApproved(s *scene) {
	s.t.Helper()
	available := s.available(everyday)
	refund := s.x.do("01", "0200", asRefund, amount(7_00), swiped(everyday))
	s.says(refund, "REVIEW R32")
	if gave := s.available(everyday) - available; gave != 0 {
		s.t.Fatalf("gave %d before the review", gave)
	}
	s.must(s.decide(refund, true))
	final := s.x.again(refund)
	s.x.expect("00", final)
	s.says(final, "REFUND R32")
	s.x.repeat(final)
	if gave := s.available(everyday) - available; gave != 7_00 {
		s.t.Fatalf("gave %d", gave)
	}
	if got := moves(s.inspect(final.rrn())); len(got) != 1 || got[0] != "refund "+payableToCard+" 700" {
		s.t.Fatalf("moved %q", got)
	}
	rejected := s.x.do("01", "0200", asRefund, amount(8_00), typed(everyday))
	s.must(s.decide(rejected, false))
	s.x.expect("05", s.x.again(rejected))
	if gave := s.available(everyday) - available; gave != 7_00 {
		s.t.Fatalf("gave %d", gave)
	}
}

// operatorLockout: five wrong passwords and the sixth try finds the operator
// locked, whatever the password; after half an hour it is over.
func operatorLockout(s *scene) {
	s.t.Helper()
	sale := s.sale(10_00)
	for _, f63 := range []string{"01", "1/0000", "0001/0000", "ab/0000", "01/000", "01/" + strings.Repeat("0", 33), "/0000"} {
		s.x.signOn("30", f63)
	}
	s.x.signOn("55", "77/0000") // nobody's number
	for range 5 {
		s.x.signOn("55", "01/9999")
	}
	s.x.signOn("75", "01/0000")
	s.x.signOn("75", "01/9999")
	s.says(s.x.do("58", "0200", asVoid, refTo(sale)), "DECLINE R4")
	s.x.signOn("00", "99/4711") // another operator is not locked
	s.clock.set(s.clock.Now().Add(31 * time.Minute))
	s.x.signOn("55", "01/9999")
	signedOn := s.x.signOn("00", "01/0000")
	if signedOn.answer.Has(63) || bytes.Contains(signedOn.raw, []byte("0000/")) {
		s.t.Fatalf("the answer repeats F63 %q", signedOn.answer.Get(63))
	}
	s.says(s.x.do("00", "0200", asVoid, refTo(sale)), "VOID R16")
	for _, password := range []string{"4711", "9999"} {
		if strings.Contains(s.log.String(), "/"+password) {
			s.t.Fatal("a password is in the log")
		}
	}
}

// operatorsAtTerminals: who is signed on at one is not at another, a logon
// without an operator signs nobody on or off, and the next one takes over.
func operatorsAtTerminals(s *scene) {
	s.t.Helper()
	first, third := s.sale(10_00), s.sale(10_00)
	second := s.y.just("00", "0200", amount(10_00), typed(everyday))
	s.sql(`DELETE FROM terminal_sessions`)
	s.x.do("00", "0800", fields{3: "920000"})
	s.says(s.x.do("58", "0200", asVoid, refTo(first)), "DECLINE R4")
	s.x.signOn("00", "01/0000")
	s.x.do("00", "0800", fields{3: "920000"})
	s.says(s.x.do("00", "0200", asVoid, refTo(first)), "VOID R16")
	s.says(s.y.do("58", "0200", asVoid, refTo(second)), "DECLINE R4")
	s.settled()
	s.says(s.x.do("58", "0200", asRefund, refTo(third)), "DECLINE R4") // a clerk
	s.x.signOn("00", "99/4711")
	refund := s.x.do("00", "0200", asRefund, refTo(third))
	s.says(refund, "REFUND R29")
	if operator := s.inspect(refund.rrn()).OperatorNo; operator != "99" {
		s.t.Fatalf("refunded by operator %q", operator)
	}
	s.x.signOn("00", "01/0000") // takes over
	s.says(s.x.do("58", "0200", asRefund, amount(1), refTo(second)), "DECLINE R4")
}

// TestDecisionModes: what is asked for, in each mode, before and after the
// cutoff, in full and in part.
func TestDecisionModes(t *testing.T) {
	type column struct{ void, voidPart, refund, refundPart, cancel, cancelPart string }
	before := map[string]column{
		"auto":        {"00 VOID R16", "64 DECLINE R17", "00 VOID R21", "22 DECLINE R22", "00 VOID R16", "64 DECLINE R17"},
		"strict":      {"00 VOID R16", "64 DECLINE R17", "22 DECLINE R21", "22 DECLINE R22", "00 VOID R16", "64 DECLINE R17"},
		"cancel-only": {"58 DECLINE R5", "58 DECLINE R5", "58 DECLINE R5", "58 DECLINE R5", "00 VOID R16", "64 DECLINE R17"},
	}
	after := map[string]column{
		"auto":        {"00 REFUND R29", "00 REFUND R29", "00 REFUND R29", "00 REFUND R29", "00 REFUND R29", "00 REFUND R29"},
		"strict":      {"22 DECLINE R18", "22 DECLINE R18", "00 REFUND R29", "00 REFUND R29", "00 REFUND R29", "00 REFUND R29"},
		"cancel-only": {"58 DECLINE R5", "58 DECLINE R5", "58 DECLINE R5", "58 DECLINE R5", "00 REFUND R29", "00 REFUND R29"},
	}
	ask := func(s *scene, sales []*sent, want column) {
		s.t.Helper()
		for i, c := range []struct {
			kind  fields
			minor int64
			want  string
		}{
			{asVoid, 10_00, want.void},
			{asVoid, 9_99, want.voidPart},
			{asRefund, 10_00, want.refund},
			{asRefund, 9_99, want.refundPart},
			{asCancel, 10_00, want.cancel},
			{asCancel, 9_99, want.cancelPart},
		} {
			available := s.available(everyday)
			code, text, _ := strings.Cut(c.want, " ")
			got := s.x.do(code, "0200", c.kind, amount(c.minor), refTo(sales[i]))
			if got.answer.Get(63) != text {
				s.t.Errorf("%s of %d answered %q, want %q", c.kind[3], c.minor, got.answer.Get(63), text)
			}
			given := map[bool]int64{true: c.minor}[code == "00"]
			if gave := s.available(everyday) - available; gave != given {
				s.t.Errorf("%s of %d gave %d", c.kind[3], c.minor, gave)
			}
		}
	}
	var parts []decisionPart
	for _, mode := range []string{"auto", "strict", "cancel-only"} {
		parts = append(parts, decisionPart{mode, "cancel_mode = '" + mode + "'", func(s *scene) {
			var today, yesterday []*sent
			for range 6 {
				yesterday = append(yesterday, s.sale(10_00))
			}
			s.settled()
			for range 6 {
				today = append(today, s.sale(10_00))
			}
			ask(s, today, before[mode])
			ask(s, yesterday, after[mode])
		}})
	}
	eachDecisionTown(t, parts...)
}
