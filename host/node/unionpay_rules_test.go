package node

import (
	"testing"

	"meridian/internal/loadgen"
	"meridian/ledger"
	"meridian/switch"
)

// unionPayScene is a policy of its own for the shop and its two tills.
type unionPayScene struct {
	*scene

	p, q *apartPOS
	olds *[]*told
}

// unionPayCase is one way in which a row of the void-or-refund table decides, as a
// UnionPay terminal sees it.
type unionPayCase struct {
	row       switching.Rule
	name      string
	policy    string
	play      func(s *unionPayScene) *told
	code, see string // F39, F63.2
}

// TestUnionPayRules: the rows of the void-or-refund table, with the codes and the
// texts that UnionPay's terminals are given.
func TestUnionPayRules(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t, func(w *town) { w.load(everyday, 1_000_000_00) })
	w.operators()
	p, q := w.signedIn(posTill), w.signedIn(posTill2)
	var olds []*told
	for range oldUnionPaySales {
		olds = append(olds, p.just("00", p.sale(10_00)))
	}
	w.settled()
	for _, c := range unionPayRules() {
		t.Run(c.row.String()+" "+c.name, func(t *testing.T) {
			part := w.in(t)
			s := &unionPayScene{scene: &scene{town: part}, p: &apartPOS{p.POS, part}, q: &apartPOS{q.POS, part}, olds: &olds}
			s.policy(c.policy)
			got := c.play(s)
			if got.answer.Code() != c.code || text(got.answer) != c.see {
				t.Fatalf("answered %s %q, want %s %q", got.answer.Code(), text(got.answer), c.code, c.see)
			}
			if rule := s.inspect(got.rrn()).Rule; rule != c.row {
				t.Fatalf("stored by rule %s", rule)
			}
			part.again(got)
		})
	}
}

// oldUnionPaySales are more than there are cases which need one.
const oldUnionPaySales = 25

// Texts of the codes that decline here.
const (
	seeSuccess    = "交易成功"
	seeTryAgain   = "交易失败，请重试"
	seeSignIn     = "请向网络中心签到"
	seeRefundIt   = "已结算，请做退货"
	seeVoidIt     = "当日请做撤销"
	seeReview     = "退货审核中"
	seeWasRefund  = "已结算，已转为退货"
	seeWasVoid    = "未结算，已转为撤销"
	seeSignInMAC  = "校验错，请重新签到"
	seeCallIssuer = "交易失败，请联系发卡行"
)

// Cancels of a sale of 10.00, before and after its cutoff.
func (s *unionPayScene) sold() *told { s.t.Helper(); return s.p.just("00", s.p.sale(10_00)) }

func (s *unionPayScene) voids(t *told, minor int64, change ...map[int]string) *told {
	s.t.Helper()
	return s.p.ask(s.p.about(loadgen.SaleVoid, of(t), minor, change...))
}

func (s *unionPayScene) refunds(t *told, minor int64, change ...map[int]string) *told {
	s.t.Helper()
	return s.p.ask(s.p.about(loadgen.Refund, of(t), minor, append([]map[int]string{{63: "CUP"}}, change...)...))
}

// old is a sale of 10.00 whose business date is over.
func (s *unionPayScene) old() *told {
	s.t.Helper()
	if len(*s.olds) == 0 {
		s.t.Fatal("all settled sales are used: make more")
	}
	sale := (*s.olds)[0]
	*s.olds = (*s.olds)[1:]
	return sale
}

func (s *unionPayScene) held() *told {
	s.t.Helper()
	return s.p.just("00", s.p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(100_00)))
}

func (s *unionPayScene) completed() *told {
	s.t.Helper()
	return s.p.just("00", s.p.about(loadgen.Completion, holdOf(s.held()), 80_00))
}

// cardState changes the everyday card's.
func (s *unionPayScene) cardState(status ledger.CardStatus) {
	s.t.Helper()
	s.sql(`UPDATE card_accounts SET status = $1 WHERE card_id = 1`, int16(status))
}

// nothing but a card: a request that names no original.
func (s *unionPayScene) unreferenced(minor int64) *told {
	s.t.Helper()
	return s.p.ask(s.p.Request(loadgen.Refund, pay(everyday).Swiped(), loadgen.Amount(minor),
		map[int]string{61: "0000000000000000", 63: "CUP"}))
}

func otherCard() map[int]string { return map[int]string{2: pay(second).PAN} }

// withoutRRN takes the RRN away, so that F61 alone names the original.
func withoutRRN() map[int]string { return map[int]string{37: ""} }

func unionPayRules() []unionPayCase {
	const callAcquirer = "终端无效，请联系收单行或银联"
	return []unionPayCase{
		{4, "nobody is signed on", "require_operator = true", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00) }, "58", callAcquirer},
		{5, "no voids", "allow_void = false", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00) }, "58", callAcquirer},
		{5, "no refunds", "allow_refund = false", func(s *unionPayScene) *told { return s.refunds(s.old(), 10_00) }, "58", callAcquirer},
		{5, "a void that comes to a refund", "allow_refund = false", func(s *unionPayScene) *told { return s.voids(s.old(), 10_00) }, "58", callAcquirer},
		{7, "an RRN that was never given", "", func(s *unionPayScene) *told {
			return s.voids(s.sold(), 10_00, map[int]string{37: "999999999999", 61: ""})
		}, "25", seeCallIssuer},
		{7, "an RRN of another trace number", "", func(s *unionPayScene) *told {
			return s.voids(s.sold(), 10_00, map[int]string{61: six(s.p.Batch()) + "999999"})
		}, "25", seeCallIssuer},
		{7, "a date that is not the original's", "", func(s *unionPayScene) *told {
			sale := s.sold()
			return s.refunds(sale, 10_00, map[int]string{61: of(sale)[61][:12] + "0101"})
		}, "25", seeCallIssuer},
		{9, "another card", "", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00, otherCard()) }, "14", "无效卡号，请联系发卡行"},
		{9, "a void from another terminal", "", func(s *unionPayScene) *told {
			return s.q.ask(s.q.about(loadgen.SaleVoid, of(s.sold()), 10_00))
		}, "22", "操作有误，请重试"},
		{10, "of a void", "", func(s *unionPayScene) *told { return s.voids(s.voids(s.sold(), 10_00), 10_00) }, "12", seeTryAgain},
		{10, "of a refund", "", func(s *unionPayScene) *told { return s.refunds(s.refunds(s.old(), 10_00), 10_00) }, "12", seeTryAgain},
		{12, "of what was declined", "", func(s *unionPayScene) *told {
			sale := s.p.just("51", s.p.sale(10_00, map[int]string{35: pay(broke).Track2}, loadgen.Amount(2000_00)))
			return s.voids(sale, 2000_00, map[int]string{2: pay(broke).PAN})
		}, "12", seeTryAgain},
		{13, "reversed", "", func(s *unionPayScene) *told {
			sale := s.sold()
			s.p.just("00", s.p.Reversal(sale.request, "98"))
			return s.voids(sale, 10_00)
		}, "12", seeTryAgain},
		{13, "voided", "", func(s *unionPayScene) *told {
			sale := s.sold()
			s.voids(sale, 10_00)
			return s.voids(sale, 10_00)
		}, "12", seeTryAgain},
		{14, "another currency", "", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00, map[int]string{49: "978"}) }, "12", seeTryAgain},
		{15, "nothing", "", func(s *unionPayScene) *told { return s.refunds(s.old(), 0) }, "13", "交易金额超限，请重试"},
		{16, "a void", "", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00) }, "00", seeSuccess},
		{16, "a void by F61 alone", "", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00, withoutRRN()) }, "00", seeSuccess},
		{17, "a part", "", func(s *unionPayScene) *told { return s.voids(s.sold(), 9_99) }, "64", "交易金额与原交易不匹配"},
		{18, "settled, strict", "cancel_mode = 'strict'", func(s *unionPayScene) *told { return s.voids(s.old(), 10_00) }, "22", seeRefundIt},
		{29, "settled, auto", "", func(s *unionPayScene) *told { return s.voids(s.old(), 10_00) }, "00", seeWasRefund},
		{20, "too late", "void_window_minutes = 30", func(s *unionPayScene) *told {
			sale := s.sold()
			s.clock.set(s.clock.Now().Add(31 * 60e9))
			return s.voids(sale, 10_00)
		}, "22", "操作有误，请重试"},
		{20, "too many", "max_voids_per_day = 0", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00) }, "65", "交易失败"},
		{20, "too much", "max_void_minor_per_day = 999", func(s *unionPayScene) *told { return s.voids(s.sold(), 10_00) }, "61", "金额太大"},
		{21, "a refund before the cutoff, auto", "", func(s *unionPayScene) *told { return s.refunds(s.sold(), 10_00) }, "00", seeWasVoid},
		{21, "a refund before the cutoff, strict", "cancel_mode = 'strict'", func(s *unionPayScene) *told { return s.refunds(s.sold(), 10_00) }, "22", seeVoidIt},
		{22, "a part before the cutoff", "", func(s *unionPayScene) *told { return s.refunds(s.sold(), 4_00) }, "22", seeVoidIt},
		{23, "too late for a refund", "refund_window_days = 1", func(s *unionPayScene) *told {
			sale := s.old()
			s.settled()
			return s.refunds(sale, 10_00)
		}, "22", "操作有误，请重试"},
		{24, "more than is left", "", func(s *unionPayScene) *told {
			sale := s.old()
			s.refunds(sale, 6_00)
			return s.refunds(sale, 4_01)
		}, "61", "金额太大"},
		{25, "one too many", "max_refunds = 1", func(s *unionPayScene) *told {
			sale := s.old()
			s.refunds(sale, 6_00)
			return s.refunds(sale, 1_00)
		}, "65", "交易失败"},
		{26, "over the threshold", "review_threshold_minor = 999", func(s *unionPayScene) *told { return s.refunds(s.old(), 10_00) }, "01", seeReview},
		{27, "below the minimum", "min_balance_minor = 1000000000", func(s *unionPayScene) *told { return s.refunds(s.old(), 10_00) }, "51", "余额不足，请查询"},
		{28, "a frozen card, by policy declined", "refund_to_frozen = 'decline'", func(s *unionPayScene) *told {
			sale := s.old()
			s.cardState(ledger.CardFrozen)
			return s.refunds(sale, 10_00)
		}, "62", "交易失败"},
		{29, "a refund", "", func(s *unionPayScene) *told { return s.refunds(s.old(), 10_00) }, "00", seeSuccess},
		{29, "a refund in part", "", func(s *unionPayScene) *told { return s.refunds(s.old(), 4_00) }, "00", seeSuccess},
		{29, "a refund from another terminal", "", func(s *unionPayScene) *told {
			return s.q.ask(s.q.about(loadgen.Refund, of(s.old()), 10_00, map[int]string{63: "CUP"}))
		}, "00", seeSuccess},
		{29, "a refund that knows the RRN and the date", "", func(s *unionPayScene) *told {
			sale := s.old()
			return s.refunds(sale, 10_00, map[int]string{61: "000000000000" + sale.answer.Field(13)})
		}, "00", seeSuccess},
		{30, "a void of a completion", "", func(s *unionPayScene) *told {
			return s.p.ask(s.p.about(loadgen.CompletionVoid, of(s.completed()), 80_00))
		}, "00", seeSuccess},
		{30, "a void of a completion that comes to a refund", "", func(s *unionPayScene) *told {
			completion := s.completed()
			s.settled()
			return s.p.ask(s.p.about(loadgen.CompletionVoid, of(completion), 80_00))
		}, "00", seeWasRefund},
		{31, "a void of a hold", "", func(s *unionPayScene) *told {
			return s.p.ask(s.p.about(loadgen.PreauthVoid, holdOf(s.held()), 100_00))
		}, "00", seeSuccess},
		{31, "of a part of a hold", "", func(s *unionPayScene) *told {
			return s.p.ask(s.p.about(loadgen.PreauthVoid, holdOf(s.held()), 99_99))
		}, "64", "交易金额与原交易不匹配"},
		{32, "no original, without permission", "", func(s *unionPayScene) *told { return s.unreferenced(10_00) }, "58", callAcquirer},
		{32, "no original, with permission", "allow_unreferenced_refund = true", func(s *unionPayScene) *told { return s.unreferenced(10_00) }, "01", seeReview},
	}
}
