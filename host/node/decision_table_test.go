package node

import (
	"fmt"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// decisionCase is one way in which a row of the void-or-refund table decides.
// cancel arranges what the cancel speaks of.
type decisionCase struct {
	row    switching.Rule
	name   string
	policy string
	cancel func(s *scene) attempt
	outcome
	// then looks at what else has to be so.
	then func(s *scene, got *sent)
}

func rules(list ...switching.Rule) []switching.Rule { return list }

const (
	pendingToCard = "posted merchant:1:pending > card:1"
	payableToCard = "posted merchant:1:payable > card:1"
)

// Outcomes that many cases come to: of 10.00, before the cutoff or after it.
var (
	voided   = outcome{"00", "VOID R16", rules(16), "REFUND R29", []string{"void " + pendingToCard + " 1000"}, 10_00}
	refunded = outcome{"00", "REFUND R29", rules(29), "VOID R21", []string{"refund " + payableToCard + " 1000"}, 10_00}
)

// turned is an outcome by other rules.
func (o outcome) turned(text string, trace []switching.Rule, otherwise string) outcome {
	o.text, o.rules, o.otherwise = text, trace, otherwise
	return o
}

// declined by the last of the rules.
func declined(code string, otherwise string, trace ...switching.Rule) outcome {
	return outcome{code: code, text: "DECLINE " + trace[len(trace)-1].String(), rules: trace, otherwise: otherwise}
}

// reviewed by the last of the rules: nothing is posted before a person has decided.
func reviewed(otherwise string, trace ...switching.Rule) outcome {
	return outcome{code: "01", text: "REVIEW " + trace[len(trace)-1].String(), rules: trace, otherwise: otherwise}
}

// unsettled is a cancel of a sale of 10.00 in its own business date.
func unsettled(change ...fields) func(*scene) attempt {
	return func(s *scene) attempt { return s.attempt(s.x, s.sale(10_00), change...) }
}

// settled is a cancel of a sale of 10.00 after its business date.
func settled(change ...fields) func(*scene) attempt {
	return func(s *scene) attempt { return s.attempt(s.x, s.old(), change...) }
}

// settledOnce is the same of a sale of the business date before, by this case.
func settledOnce(change ...fields) func(*scene) attempt {
	return after(unsettled(change...), anotherDay)
}

// after does something more between the sale and its cancel.
func after(cancel func(*scene) attempt, more func(s *scene, original *sent)) func(*scene) attempt {
	return func(s *scene) attempt {
		a := cancel(s)
		more(s, a.original)
		return a
	}
}

// ofCard is a cancel after the card has come into another state.
func ofCard(status ledger.CardStatus, cancel func(*scene) attempt) func(*scene) attempt {
	return after(cancel, func(s *scene, _ *sent) {
		s.sql(`UPDATE card_accounts SET status = $1 WHERE card_id = 1`, int16(status))
	})
}

// authorized is a hold of 100.00.
func authorized(s *scene) *sent { return s.x.just("00", "0100", amount(100_00), typed(everyday)) }

// completed is a hold of 100.00 of which 80.00 were captured.
func completed(s *scene) (authorization, completion *sent) {
	authorization = authorized(s)
	return authorization, s.x.just("00", "0220", amount(80_00), refTo(authorization))
}

// completion is a cancel of one, before or after its cutoff.
func completion(late bool, change ...fields) func(*scene) attempt {
	return func(s *scene) attempt {
		_, done := completed(s)
		if late {
			s.settled()
		}
		return s.attempt(s.x, done, change...)
	}
}

// cancelOf what was sent, whatever it is.
func cancelOf(original func(s *scene) *sent, change ...fields) func(*scene) attempt {
	return func(s *scene) attempt { return s.attempt(s.x, original(s), change...) }
}

// unreferenced names no original.
func unreferenced(change ...fields) func(*scene) attempt {
	return func(s *scene) attempt { return s.attempt(s.x, nil, change...) }
}

var restored = outcome{
	"00", "VOID R30", rules(16, 30), "REFUND R30",
	[]string{"void " + pendingToCard + " 8000", "void pending card:1 > merchant:1:pending 10000"},
	80_00 - 100_00,
}

var released = outcome{"00", "VOID R31", rules(31), "", []string{"void void_pending card:1 > merchant:1:pending 10000"}, 100_00}

// decisionTable has the rows in their order. What its outcomes leave unsaid is
// nothing moved and nothing given.
func decisionTable() []decisionCase {
	return []decisionCase{
		{
			row: 4, name: "nobody is signed on", policy: "require_operator = true", outcome: declined("58", "", 4),
			cancel: after(unsettled(asVoid), func(s *scene, _ *sent) { s.sql(`DELETE FROM terminal_sessions`) }),
		},
		{
			row: 4, name: "a clerk may not void", policy: "supervisor_for_void = true", outcome: declined("58", "REFUND R29", 16, 4),
			cancel: after(unsettled(asVoid), func(s *scene, _ *sent) { s.x.signOn("00", "01/0000") }),
		},
		{
			row: 4, name: "a clerk may not refund", policy: "supervisor_for_refund = true", outcome: declined("58", "VOID R21", 29, 4),
			cancel: after(settled(asRefund), func(s *scene, _ *sent) { s.x.signOn("00", "01/0000") }),
		},
		{
			row: 4, name: "a supervisor may void", policy: "require_operator = true, supervisor_for_void = true", outcome: voided,
			cancel: after(unsettled(asVoid), func(s *scene, _ *sent) { s.x.signOn("00", "99/4711") }),
		},

		{row: 5, name: "no voids", policy: "allow_void = false", cancel: unsettled(asVoid), outcome: declined("58", "", 5)},
		{row: 5, name: "no refunds", policy: "allow_refund = false", cancel: settled(asRefund), outcome: declined("58", "", 5)},
		{row: 5, name: "a cancel that comes to a void", policy: "allow_void = false", cancel: unsettled(asCancel), outcome: declined("58", "REFUND R29", 16, 5)},
		{row: 5, name: "a cancel that comes to a refund", policy: "allow_refund = false", cancel: settled(asCancel), outcome: declined("58", "VOID R16", 18, 29, 5)},
		{row: 5, name: "a refund that comes to a void", policy: "allow_void = false", cancel: unsettled(asRefund), outcome: declined("58", "REFUND R29", 21, 5)},
		{row: 5, name: "neither", policy: "allow_void = false, allow_refund = false", cancel: settled(asCancel), outcome: declined("58", "", 5)},
		{
			row: 5, name: "suspended for the merchant", outcome: declined("58", "", 5),
			cancel: after(unsettled(asVoid), func(s *scene, _ *sent) { s.reference(`UPDATE merchants SET allow_void = false WHERE merchant_id = 1`) }),
		},
		{
			row: 5, name: "suspended for the terminal", outcome: declined("58", "", 5),
			cancel: after(settled(asRefund), func(s *scene, _ *sent) {
				s.reference(`UPDATE terminals SET allow_refund = false WHERE tid = $1`, s.x.tid)
			}),
		},
		{row: 5, name: "a void where only cancels are taken", policy: "cancel_mode = 'cancel-only'", cancel: unsettled(asVoid), outcome: declined("58", "", 5)},
		{row: 5, name: "a refund where only cancels are taken", policy: "cancel_mode = 'cancel-only'", cancel: settled(asRefund), outcome: declined("58", "", 5)},

		{row: 7, name: "an RRN that was never given", cancel: unreferenced(asCancel, fields{37: "999999999999"}), outcome: declined("25", "", 7)},
		{row: 7, name: "an RRN that cannot be", cancel: unreferenced(asVoid, fields{37: "NONE OF OURS"}), outcome: declined("25", "", 7)},
		{row: 7, name: "a STAN that was never used", cancel: unreferenced(asRefund, fields{90: "0200999999" + zeros(32)}), outcome: declined("25", "", 7)},

		{row: 8, name: "a STAN in two batches", cancel: twoOfOneSTAN, outcome: declined("25", "", 8)},

		{row: 9, name: "another card", cancel: unsettled(asCancel, typed(second)), outcome: declined("14", "", 9)},
		{row: 9, name: "another card after the cutoff", cancel: settled(asRefund, typed(second)), outcome: declined("14", "", 9)},
		{
			row: 9, name: "another merchant", outcome: declined("25", "", 9),
			cancel: func(s *scene) attempt {
				return s.attempt(s.at(annexTill, annex).counting(s.x), nil, asCancel, refTo(s.sale(10_00)))
			},
		},
		{
			row: 9, name: "a void from another terminal", outcome: declined("22", "REFUND R29", 9),
			cancel: func(s *scene) attempt { return s.attempt(s.y, s.sale(10_00), asVoid) },
		},
		{
			row: 9, name: "a cancel from another terminal", outcome: declined("22", "REFUND R29", 9),
			cancel: func(s *scene) attempt { return s.attempt(s.y, s.sale(10_00), asCancel) },
		},
		{
			row: 9, name: "a hold from another terminal", outcome: declined("22", "", 9),
			cancel: func(s *scene) attempt { return s.attempt(s.y, authorized(s), asCancel, whole) },
		},
		{
			row: 9, name: "a hold from another terminal after the cutoff", outcome: declined("22", "", 9),
			cancel: after(func(s *scene) attempt { return s.attempt(s.y, authorized(s), asVoid, whole) }, anotherDay),
		},
		{
			row: 9, name: "a refund from another terminal is one", outcome: refunded.turned("REFUND R29", rules(29), "DECLINE R21"),
			cancel: func(s *scene) attempt { a := settled(asRefund)(s); a.from = s.y; return a },
		},

		{
			row: 10, name: "of a void", outcome: declined("12", "", 10),
			cancel: cancelOf(func(s *scene) *sent { return s.x.just("00", "0200", asVoid, refTo(s.sale(10_00))) }, asCancel),
		},
		{row: 10, name: "of a refund", outcome: declined("12", "", 10), cancel: cancelOf(func(s *scene) *sent {
			return s.x.just("00", "0200", asRefund, refTo(s.old()))
		}, asCancel)},
		{
			row: 10, name: "of a balance", outcome: declined("12", "", 10),
			cancel: cancelOf(func(s *scene) *sent {
				return s.x.just("00", "0200", processing("310000"), fields{4: ""}, typed(everyday))
			}, asVoid),
		},
		{
			row: 10, name: "of a reversal", outcome: declined("12", "", 10),
			cancel: cancelOf(func(s *scene) *sent { return s.x.just("00", "0400", stan(s.sale(10_00))) }, asVoid),
		},

		{
			row: 12, name: "of a declined sale", outcome: declined("12", "", 12),
			cancel: cancelOf(func(s *scene) *sent { return s.x.just("51", "0200", amount(opened+1), typed(second)) }, asVoid, amount(opened+1)),
		},
		{
			row: 12, name: "of a declined authorization", outcome: declined("12", "", 12),
			cancel: cancelOf(func(s *scene) *sent { return s.x.just("51", "0100", amount(opened+1), typed(second)) }, asCancel, whole),
		},

		{row: 13, name: "of a reversed sale", cancel: after(unsettled(asVoid), func(s *scene, sale *sent) { s.x.just("00", "0400", stan(sale)) }), outcome: declined("12", "", 13)},
		{row: 13, name: "of a voided sale", cancel: after(unsettled(asCancel), func(s *scene, sale *sent) { s.x.just("00", "0200", asVoid, refTo(sale)) }), outcome: declined("12", "", 13)},
		{row: 13, name: "a refund of a voided sale", outcome: declined("12", "", 13), cancel: func(s *scene) attempt {
			sale := s.sale(10_00)
			s.x.just("00", "0200", asVoid, refTo(sale))
			s.settled()
			return s.attempt(s.x, sale, asRefund)
		}},

		{row: 14, name: "another currency", cancel: unsettled(asCancel, fields{49: "978"}), outcome: declined("12", "", 14)},
		{row: 14, name: "another currency after the cutoff", cancel: settled(asRefund, fields{49: "USD"}), outcome: declined("12", "", 14)},

		{row: 15, name: "a void of nothing", cancel: unsettled(asVoid, amount(0)), outcome: declined("13", "", 15)},
		{row: 15, name: "a refund of nothing", cancel: settled(asRefund, amount(0)), outcome: declined("13", "", 15)},

		{row: 16, name: "a void", cancel: unsettled(asVoid, typed(everyday)), outcome: voided},
		{row: 16, name: "a void of all that there is", cancel: unsettled(asVoid, whole), outcome: voided},
		{row: 16, name: "a cancel", cancel: unsettled(asCancel), outcome: voided},
		{row: 16, name: "in strict mode", policy: "cancel_mode = 'strict'", cancel: unsettled(asVoid), outcome: voided.turned("VOID R16", rules(16), "DECLINE R18")},
		{row: 16, name: "in cancel-only mode", policy: "cancel_mode = 'cancel-only'", cancel: unsettled(asCancel), outcome: voided},
		{row: 16, name: "of a sale with cashback", outcome: voided, cancel: func(s *scene) attempt {
			return s.attempt(s.x, s.sale(10_00, fields{3: "090000", 54: "000000000400"}), asVoid)
		}},
		{row: 16, name: "of an offline advice", outcome: voided, cancel: func(s *scene) attempt {
			return s.attempt(s.x, s.x.just("00", "0220", amount(10_00), typed(everyday)), asCancel)
		}},

		{row: 17, name: "a void of a part", cancel: unsettled(asVoid, amount(9_99)), outcome: declined("64", "REFUND R29", 17)},
		{row: 17, name: "a cancel of a part", cancel: unsettled(asCancel, amount(1)), outcome: declined("64", "REFUND R29", 17)},
		{row: 17, name: "a void of more", cancel: unsettled(asVoid, amount(10_01)), outcome: declined("64", "DECLINE R24", 17)},
		{row: 17, name: "of a completion", cancel: completion(false, asVoid, amount(100_00)), outcome: declined("64", "DECLINE R24", 17)},

		{row: 18, name: "a void after the cutoff, strict", policy: "cancel_mode = 'strict'", cancel: settled(asVoid), outcome: declined("22", "VOID R16", 18)},
		{row: 18, name: "a void after the cutoff, auto", cancel: settled(asVoid), outcome: refunded.turned("REFUND R29", rules(18, 29), "VOID R16")},
		{row: 18, name: "a void of all after the cutoff, auto", cancel: settled(asVoid, whole), outcome: refunded.turned("REFUND R29", rules(18, 29), "VOID R16")},

		{row: 19, name: "after a refund in part", cancel: refundedInPartAndOpen(asVoid, whole), outcome: declined("12", "REFUND R29", 19)},
		{row: 19, name: "after a refund in part, you decide", cancel: refundedInPartAndOpen(asCancel, amount(10_00)), outcome: declined("12", "DECLINE R24", 19)},

		{
			row: 20, name: "too late", policy: "void_window_minutes = 30", outcome: declined("22", "REFUND R29", 16, 20),
			cancel: after(unsettled(asVoid), func(s *scene, _ *sent) { s.clock.set(s.clock.Now().Add(30*time.Minute + time.Microsecond)) }),
		},
		{
			row: 20, name: "just in time", policy: "void_window_minutes = 30", outcome: voided,
			cancel: after(unsettled(asVoid), func(s *scene, _ *sent) { s.clock.set(s.clock.Now().Add(30 * time.Minute)) }),
		},
		{row: 20, name: "too many", policy: "max_voids_per_day = 1", cancel: after(unsettled(asVoid), voidOfAnother), outcome: declined("65", "REFUND R29", 16, 20)},
		{row: 20, name: "not too many yet", policy: "max_voids_per_day = 2", cancel: after(unsettled(asVoid), voidOfAnother), outcome: voided},
		{row: 20, name: "too much", policy: "max_void_minor_per_day = 1999", cancel: after(unsettled(asCancel), voidOfAnother), outcome: declined("61", "REFUND R29", 16, 20)},
		{row: 20, name: "not too much yet", policy: "max_void_minor_per_day = 2000", cancel: after(unsettled(asCancel), voidOfAnother), outcome: voided},
		{row: 20, name: "a refund that comes to a void", policy: "max_voids_per_day = 0", cancel: unsettled(asRefund), outcome: declined("65", "REFUND R29", 21, 20)},
		{row: 20, name: "of an authorization", policy: "max_voids_per_day = 0", cancel: cancelOf(authorized, asVoid, whole), outcome: declined("65", "", 31, 20)},

		{row: 21, name: "in full, auto", cancel: unsettled(asRefund), outcome: voided.turned("VOID R21", rules(21), "REFUND R29")},
		{row: 21, name: "of all, auto", cancel: unsettled(asRefund, whole), outcome: voided.turned("VOID R21", rules(21), "REFUND R29")},
		{row: 21, name: "in full, strict", policy: "cancel_mode = 'strict'", cancel: unsettled(asRefund), outcome: declined("22", "REFUND R29", 21)},
		{
			row: 21, name: "in full from another terminal", outcome: declined("22", "REFUND R29", 21),
			cancel: func(s *scene) attempt { return s.attempt(s.y, s.sale(10_00), asRefund) },
		},

		{row: 22, name: "in part, auto", cancel: unsettled(asRefund, amount(9_99)), outcome: declined("22", "REFUND R29", 22)},
		{row: 22, name: "in part, strict", policy: "cancel_mode = 'strict'", cancel: unsettled(asRefund, amount(1)), outcome: declined("22", "REFUND R29", 22)},

		{row: 23, name: "a refund too late", policy: "refund_window_days = 1", cancel: after(settledOnce(asRefund), anotherDay), outcome: declined("22", "VOID R21", 23)},
		{row: 23, name: "a cancel too late", policy: "refund_window_days = 1", cancel: after(settledOnce(asCancel), anotherDay), outcome: declined("22", "VOID R16", 18, 23)},
		{row: 23, name: "on the last day", policy: "refund_window_days = 2", cancel: after(settledOnce(asRefund), anotherDay), outcome: refunded},

		{row: 24, name: "more than is left", cancel: after(settled(asRefund, amount(4_01)), refundOf(6_00)), outcome: declined("61", "DECLINE R22", 24)},
		{row: 24, name: "after the whole", cancel: after(settled(asRefund, amount(1)), refundOf(10_00)), outcome: declined("61", "DECLINE R22", 24)},
		{row: 24, name: "all that is left of nothing", cancel: after(settled(asCancel, whole), refundOf(10_00)), outcome: declined("61", "DECLINE R19", 18, 24)},
		{row: 24, name: "more than the sale", cancel: settled(asVoid, amount(10_01)), outcome: declined("61", "DECLINE R17", 18, 24)},
		{
			row: 24, name: "exactly what is left", cancel: after(settled(asRefund, amount(4_00)), refundOf(6_00)),
			outcome: outcome{"00", "REFUND R29", rules(29), "DECLINE R21", []string{"refund " + payableToCard + " 400"}, 4_00},
		},

		{row: 25, name: "one too many", policy: "max_refunds = 1", cancel: after(settled(asRefund, amount(1)), refundOf(6_00)), outcome: declined("65", "DECLINE R22", 25)},
		{
			row: 25, name: "the last one", policy: "max_refunds = 2", cancel: after(settled(asRefund, whole), refundOf(6_00)),
			outcome: outcome{"00", "REFUND R29", rules(29), "DECLINE R21", []string{"refund " + payableToCard + " 400"}, 4_00},
		},

		{row: 26, name: "over the threshold", policy: "review_threshold_minor = 999", cancel: settled(asRefund), outcome: reviewed("VOID R21", 26)},
		{row: 26, name: "a cancel over the threshold", policy: "review_threshold_minor = 999", cancel: settled(asCancel), outcome: reviewed("VOID R16", 18, 26)},
		{row: 26, name: "not over the threshold", policy: "review_threshold_minor = 1000", cancel: settled(asRefund), outcome: refunded},
		{
			row: 26, name: "a merchant that is flagged", outcome: reviewed("VOID R21", 26),
			cancel: after(settled(asRefund), func(s *scene, _ *sent) {
				s.reference(`UPDATE merchants SET review_refunds = true WHERE merchant_id = 1`)
			}),
		},
		{
			row: 26, name: "a void is not reviewed", policy: "review_threshold_minor = 0", cancel: unsettled(asVoid),
			outcome: voided.turned("VOID R16", rules(16), "REVIEW R26"),
		},
		{
			row: 26, name: "under review is not left", policy: "review_threshold_minor = 599", outcome: declined("61", "DECLINE R22", 24),
			cancel: after(settled(asRefund, amount(4_01)), func(s *scene, sale *sent) { s.x.just("01", "0200", asRefund, amount(6_00), refTo(sale)) }),
		},

		{row: 27, name: "below the minimum", cancel: after(settled(asRefund), minimum(9_99)), outcome: declined("51", "VOID R21", 27)},
		{row: 27, name: "down to the minimum", cancel: after(settled(asRefund), minimum(10_00)), outcome: refunded},

		{row: 28, name: "a frozen card", cancel: ofCard(ledger.CardFrozen, settled(asRefund)), outcome: refunded.turned("REFUND R29", rules(28, 29), "VOID R21")},
		{row: 28, name: "a blocked card", cancel: ofCard(ledger.CardBlocked, settled(asCancel)), outcome: refunded.turned("REFUND R29", rules(18, 28, 29), "VOID R16")},
		{row: 28, name: "a lost card", cancel: ofCard(ledger.CardLost, settled(asRefund)), outcome: refunded.turned("REFUND R29", rules(28, 29), "VOID R21")},
		{row: 28, name: "a stolen card", cancel: ofCard(ledger.CardStolen, settled(asRefund)), outcome: refunded.turned("REFUND R29", rules(28, 29), "VOID R21")},
		{row: 28, name: "a closed card", cancel: ofCard(ledger.CardClosed, settled(asRefund)), outcome: refunded.turned("REFUND R29", rules(28, 29), "VOID R21")},
		{row: 28, name: "a frozen card, by policy declined", policy: "refund_to_frozen = 'decline'", cancel: ofCard(ledger.CardFrozen, settled(asRefund)), outcome: declined("62", "VOID R21", 28)},
		{row: 28, name: "a stolen card, by policy declined", policy: "refund_to_lost = 'decline'", cancel: ofCard(ledger.CardStolen, settled(asRefund)), outcome: declined("62", "VOID R21", 28)},
		{row: 28, name: "a closed card, by policy reviewed", policy: "refund_to_closed = 'review'", cancel: ofCard(ledger.CardClosed, settled(asRefund)), outcome: reviewed("VOID R21", 28)},
		{
			row: 28, name: "a void of a closed card's sale", policy: "refund_to_closed = 'decline'", cancel: ofCard(ledger.CardClosed, unsettled(asVoid)),
			outcome: voided.turned("VOID R16", rules(16), "DECLINE R28"),
		},

		{row: 29, name: "a refund", cancel: settled(asRefund, typed(everyday)), outcome: refunded},
		{row: 29, name: "a refund of all that is left", cancel: settled(asRefund, whole), outcome: refunded},
		{row: 29, name: "a cancel", cancel: settled(asCancel), outcome: refunded.turned("REFUND R29", rules(18, 29), "VOID R16")},
		{row: 29, name: "in strict mode", policy: "cancel_mode = 'strict'", cancel: settled(asRefund), outcome: refunded.turned("REFUND R29", rules(29), "DECLINE R21")},
		{row: 29, name: "in cancel-only mode", policy: "cancel_mode = 'cancel-only'", cancel: settled(asCancel), outcome: refunded.turned("REFUND R29", rules(18, 29), "VOID R16")},
		{
			row: 29, name: "in part", cancel: settled(asCancel, amount(4_00)),
			outcome: outcome{"00", "REFUND R29", rules(18, 29), "DECLINE R17", []string{"refund " + payableToCard + " 400"}, 4_00},
		},

		{row: 30, name: "a void of a completion", cancel: completion(false, asVoid, amount(80_00)), outcome: restored, then: captureAgain},
		{row: 30, name: "a cancel of a completion", cancel: completion(false, asCancel, whole), outcome: restored, then: captureAgain},
		{
			row: 30, name: "a refund of a completion before the cutoff", cancel: completion(false, asRefund, whole),
			outcome: restored.turned("VOID R30", rules(21, 30), "REFUND R30"),
		},
		{
			row: 30, name: "a refund of a completion", cancel: completion(true, asRefund, whole),
			outcome: outcome{"00", "REFUND R30", rules(29, 30), "VOID R30", []string{"refund " + payableToCard + " 8000"}, 80_00},
		},
		{
			row: 30, name: "a cancel of a completion after the cutoff", cancel: completion(true, asCancel, amount(30_00)),
			outcome: outcome{"00", "REFUND R30", rules(18, 29, 30), "DECLINE R17", []string{"refund " + payableToCard + " 3000"}, 30_00},
		},

		{row: 31, name: "a void of a hold", cancel: cancelOf(authorized, asVoid, whole), outcome: released},
		{row: 31, name: "a cancel of a hold", cancel: cancelOf(authorized, asCancel, amount(100_00)), outcome: released},
		{row: 31, name: "a hold outlives cutoffs", cancel: after(cancelOf(authorized, asCancel, whole), anotherDay), outcome: released},
		{row: 31, name: "of a part of a hold", cancel: cancelOf(authorized, asVoid, amount(99_99)), outcome: declined("64", "", 31)},
		{row: 31, name: "a refund of a hold", cancel: cancelOf(authorized, asRefund, whole), outcome: declined("12", "", 31)},
		{
			row: 31, name: "of a completed hold", outcome: declined("12", "", 31),
			cancel: func(s *scene) attempt { hold, _ := completed(s); return s.attempt(s.x, hold, asVoid, whole) },
		},
		{
			row: 31, name: "of an expired hold", policy: "hold_days = 1", outcome: declined("12", "", 31),
			cancel: after(cancelOf(authorized, asVoid, whole), func(s *scene, _ *sent) { s.settled(); s.settled() }),
		},

		{row: 32, name: "without permission", cancel: unreferenced(asRefund, typed(everyday)), outcome: declined("58", "", 32)},
		{row: 32, name: "a void", policy: "allow_unreferenced_refund = true", cancel: unreferenced(asVoid, typed(everyday)), outcome: declined("58", "", 32)},
		{row: 32, name: "without a card", policy: "allow_unreferenced_refund = true", cancel: unreferenced(asRefund), outcome: declined("58", "", 32)},
		{row: 32, name: "over its limit", policy: "allow_unreferenced_refund = true, max_unreferenced_minor = 999", cancel: unreferenced(asRefund, typed(everyday)), outcome: declined("61", "", 32)},
		{row: 32, name: "of nothing", policy: "allow_unreferenced_refund = true", cancel: unreferenced(asRefund, typed(everyday), amount(0)), outcome: declined("13", "", 32)},
		{row: 32, name: "in another currency", policy: "allow_unreferenced_refund = true", cancel: unreferenced(asRefund, typed(everyday), fields{49: "978"}), outcome: declined("12", "", 32)},
		{row: 32, name: "to a card nobody has", policy: "allow_unreferenced_refund = true", cancel: unreferenced(asRefund, fields{2: cardNumber(77).Reveal()}), outcome: declined("14", "", 32)},
		{row: 32, name: "with permission", policy: "allow_unreferenced_refund = true, max_unreferenced_minor = 1000", cancel: unreferenced(asRefund, typed(everyday)), outcome: reviewed("", 32)},
		{row: 32, name: "a cancel with permission", policy: "allow_unreferenced_refund = true", cancel: unreferenced(asCancel, typed(everyday)), outcome: reviewed("", 32)},
	}
}

func zeros(n int) string { return fmt.Sprintf("%0*d", n, 0) }

// counting goes on with another terminal's STANs.
func (x *terminal) counting(as *terminal) *terminal {
	x.stan = as.stan
	return x
}

// voidOfAnother sale of 10.00 at the same terminal.
func voidOfAnother(s *scene, _ *sent) { s.x.just("00", "0200", asVoid, refTo(s.sale(10_00))) }

func anotherDay(s *scene, _ *sent) { s.settled() }

func refundOf(minor int64) func(*scene, *sent) {
	return func(s *scene, sale *sent) { s.x.just("00", "0200", asRefund, amount(minor), refTo(sale)) }
}

// minimum leaves so much of what the merchant is owed for refunds.
func minimum(leavesMinor int64) func(*scene, *sent) {
	return func(s *scene, _ *sent) { s.policy(fmt.Sprintf("min_balance_minor = %d", s.owed()-leavesMinor)) }
}

// captureAgain completes the hold that a void has restored.
func captureAgain(s *scene, void *sent) {
	completion := s.inspect(s.inspect(void.rrn()).OriginalRRN)
	available := s.available(everyday)
	s.x.just("00", "0220", amount(115_00), fields{37: completion.OriginalRRN})
	if spent := available - s.available(everyday); spent != 15_00 { // the hold had the rest
		s.t.Fatalf("%d spent by completing the restored hold", spent)
	}
}

// twoOfOneSTAN are sales in two batches; a reference by STAN means both.
func twoOfOneSTAN(s *scene) attempt {
	x := s.at(freshTill(0), shop)
	first := x.just("00", "0200", amount(10_00), typed(everyday))
	x.settleBatch("00", 1, 10_00)
	x.do("00", "0200", amount(10_00), typed(everyday), stan(first))
	return s.attempt(x, nil, asCancel, fields{90: first.originalData()})
}

// refundedInPartAndOpen is a sale whose batch counted as settled when a part of
// it was paid back, while its business date is still open: the merchant's policy
// has changed since.
func refundedInPartAndOpen(change ...fields) func(*scene) attempt {
	return func(s *scene) attempt {
		// Each case has a till, because a batch is settled once.
		x := s.at(freshTill(1), shop)
		if one[int](s.town, `SELECT count(*) FROM transactions t JOIN terminals e USING (terminal_id) WHERE e.tid = $1`, x.tid) > 0 {
			x = s.at(freshTill(2), shop)
		}
		s.policy("settled_by_batch = true")
		sale := x.just("00", "0200", amount(10_00), typed(everyday))
		x.settleBatch("00", 1, 10_00)
		s.says(x.just("00", "0200", asRefund, amount(6_00), refTo(sale)), "REFUND R29")
		s.policy("")
		return s.attempt(x, sale, change...)
	}
}
