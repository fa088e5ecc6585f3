package dialect

import (
	"fmt"

	"meridian/host/wire"
	"meridian/switch"
)

// repeatedInAnswer are the request's fields that its answer carries, too.
var repeatedInAnswer = []int{3, 4, 11, 24, 41, 42, 49, 70}

// Answer builds the answer to a request.
func (d *iso87) Answer(m, request *wire.Message, r *switching.Response) bool {
	mti, ok := answerMTI(request.MTI())
	if !ok || r.Reason == 0 {
		return false
	}
	m.Reset(mti)
	for _, field := range repeatedInAnswer {
		m.Copy(field, request)
	}
	d.times(m, request, r)
	m.Set(39, answerCode(r))
	if kind, refusal := kindOf(request); refusal == nil && aboutBatch(kind) {
		answerBatch(m, request, kind)
		return true
	}
	if r.RRN != 0 {
		setDigits(m, 37, r.RRN, rrnDigits)
	}
	if r.Approved() && r.AuthCode != "" {
		m.Set(38, r.AuthCode)
	}
	if r.HasBusinessDate {
		setMonthAndDay(m, 15, r.BusinessDate.Time())
	}
	if r.HasBalance {
		m.Set(54, availableBalance(r))
	}
	if r.Rule != 0 {
		m.Set(63, verdictText(r))
	}
	return true
}

// times puts in F7, F12 and F13: the host's own for terminals that set their
// clock by them, else what the first transmission carried.
func (d *iso87) times(m, request *wire.Message, r *switching.Response) {
	if d.hostTime && !r.AcceptedAt.IsZero() {
		setTimeOfDay(m, 12, r.AcceptedAt)
		setMonthAndDay(m, 13, r.AcceptedAt)
	}
	if len(d.echoed) == 0 && len(r.Echo) == 0 {
		return
	}
	echo := r.Echo
	if !stored(r) {
		echo = d.echo(request)
	}
	for len(echo) >= 2 && len(echo) >= 2+int(echo[1]) {
		m.SetText(int(echo[0]), echo[2:2+int(echo[1])])
		echo = echo[2+int(echo[1]):]
	}
}

// stored tells whether the response rests on a record: its echo is then the first
// transmission's, also when that had none of the fields. A repeat with other
// content is told so by itself.
func stored(r *switching.Response) bool {
	return r.RRN != 0 || r.Stored && r.Reason != switching.RepeatDiffers
}

// availableBalance is F54: account type 00, amount type 02 (available), currency,
// sign, amount.
func availableBalance(r *switching.Response) string {
	sign, minor := 'C', r.BalanceMinor
	if minor < 0 {
		sign, minor = 'D', -minor
	}
	return fmt.Sprintf("0002%s%c%012d", r.Currency.Numeric(), sign, min(minor, 999_999_999_999))
}

// verdictText tells what a cancel became and by which rule.
func verdictText(r *switching.Response) string {
	switch {
	case r.Reason == switching.UnderReview:
		return "REVIEW " + r.Rule.String()
	case !r.Approved():
		return "DECLINE " + r.Rule.String()
	case r.Became == switching.KindVoid:
		return "VOID " + r.Rule.String()
	default:
		return "REFUND " + r.Rule.String()
	}
}
