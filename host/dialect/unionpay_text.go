package dialect

import (
	"strings"

	"meridian/internal/gbk"
	"meridian/switch"
)

// F63 of an answer: the card's scheme (63.1), then sixty bytes of text in three
// lines (63.2.1 of the issuer, 63.2.2 of UnionPay, 63.2.3 of the acquirer), in GBK
// as terminals show and print it.
const (
	schemeBytes = 3
	lineBytes   = 20
)

// schemes of card networks.
var schemes = map[string]string{
	"unionpay": "CUP", "visa": "VIS", "mastercard": "MCC", "maestro": "MAE", "jcb": "JCB", "amex": "AMX",
}

// Texts for what became of a cancel, where they say more than the code's.
const (
	textSettledRefund = "已结算，请做退货"
	textSameDayVoid   = "当日请做撤销"
	textReview        = "退货审核中"
	textBecameRefund  = "已结算，已转为退货"
	textBecameVoid    = "未结算，已转为撤销"
)

// Rules of void-or-refund that have a text of their own.
const (
	ruleVoidOfSettled = switching.Rule(18)
	ruleFullUnsettled = switching.Rule(21)
	rulePartUnsettled = switching.Rule(22)
)

// unknownScheme is 63.1 of a card that is of no scheme, or not known.
const unknownScheme = "   "

// shown is F63. A settlement's comes back as it was sent: it is the operator.
func (a *unionPayAnswer) shown() string {
	if a.op.kind == switching.KindSettlement {
		return a.request.Get(63)
	}
	scheme := unknownScheme
	if known, ok := schemes[a.response.Network]; ok {
		scheme = known
	} else if sent := a.request.Get(63); len(sent) >= schemeBytes && isScheme(sent[:schemeBytes]) {
		scheme = sent[:schemeBytes] // a refund says its original's
	}
	return scheme + laidOut[a.words()]
}

func isScheme(s string) bool {
	for _, scheme := range schemes {
		if s == scheme {
			return true
		}
	}
	return false
}

// words for the cashier.
func (a *unionPayAnswer) words() string {
	r := a.response
	switch {
	case r.Reason == switching.UnderReview:
		return textReview
	case !r.Approved() && r.Rule == ruleVoidOfSettled:
		return textSettledRefund
	case !r.Approved() && (r.Rule == ruleFullUnsettled || r.Rule == rulePartUnsettled):
		return textSameDayVoid
	case r.Approved() && a.op.kind == switching.KindVoid && r.Became == switching.KindRefund:
		return textBecameRefund
	case r.Approved() && a.op.kind == switching.KindRefund && r.Became == switching.KindVoid:
		return textBecameVoid
	default:
		return shownFor(a.dialect.profile.code(a.op.kind, r))
	}
}

// laidOut are the texts that answers have, as lines: they are few, and one is in
// every answer.
var laidOut = func() map[string]string {
	laid := map[string]string{}
	for _, text := range []string{textSettledRefund, textSameDayVoid, textReview, textBecameRefund, textBecameVoid} {
		laid[text] = lines(text)
	}
	for code := range responseCodes {
		laid[shownFor(code)] = lines(shownFor(code))
	}
	return laid
}()

// lines lays a text out in the second and third line: the issuer, which is the
// host itself, says nothing of its own. No character is cut in two.
func lines(text string) string {
	issuer, _ := line("")
	second, rest := line(text)
	third, _ := line(rest)
	return issuer + second + third
}

// line takes as much of a text as a line holds, in GBK, filled up with spaces.
func line(text string) (encoded, rest string) {
	var b strings.Builder
	for i, c := range text {
		one := gbk.Encode(c)
		if b.Len()+len(one) > lineBytes {
			return b.String() + strings.Repeat(" ", lineBytes-b.Len()), text[i:]
		}
		b.WriteString(one)
	}
	return b.String() + strings.Repeat(" ", lineBytes-b.Len()), ""
}
