package dialect

import (
	"fmt"
	"strings"

	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/switch"
)

// What answers carry, as the bitmaps of the reference have it (UnionPay, §3): what
// is the host's to say, and what comes back of the request. Beside them F2, F4,
// F11, F23 and F49 come back wherever the request had them: terminals compare.
var (
	saleAnswer       = []int{2, 3, 4, 11, 12, 13, 14, 15, 23, 25, 32, 37, 38, 39, 41, 42, 44, 49, 53, 60, 63}
	refundAnswer     = []int{2, 3, 4, 11, 12, 13, 14, 15, 23, 25, 32, 37, 39, 41, 42, 44, 49, 53, 60, 63}
	reversalAnswer   = []int{2, 3, 4, 11, 12, 13, 14, 15, 23, 25, 32, 37, 39, 41, 42, 44, 49, 53, 60}
	balanceAnswer    = []int{2, 3, 11, 12, 13, 14, 23, 25, 32, 37, 39, 41, 42, 44, 49, 53, 54, 60}
	scriptAnswer     = []int{2, 3, 4, 11, 12, 13, 15, 23, 25, 32, 37, 39, 41, 42, 49, 60}
	signInAnswer     = []int{11, 12, 13, 32, 37, 39, 41, 42, 60, 62}
	signOffAnswer    = []int{11, 12, 13, 32, 37, 39, 41, 42, 60}
	settlementAnswer = []int{11, 12, 13, 15, 32, 37, 39, 41, 42, 48, 49, 60, 63}
	uploadAnswer     = []int{2, 4, 11, 12, 13, 23, 32, 37, 39, 41, 42, 48, 49, 60}
	listAnswer       = []int{11, 12, 13, 37, 39, 41, 42, 60, 62}
	statusAnswer     = []int{11, 12, 13, 39, 41, 42, 60, 62}
	echoAnswer       = []int{11, 12, 13, 39, 41, 42, 60}
	// refusedAnswer is for a message that asks for nothing known.
	refusedAnswer = []int{2, 3, 4, 11, 12, 13, 25, 39, 41, 42, 49, 60}
)

// Answer builds the answer to a request.
func (d *unionPay) Answer(m, request *wire.Message, r *switching.Response) bool {
	mti, ok := answerMTI(request.MTI())
	if !ok || r.Reason == 0 {
		return false
	}
	op, _, _ := operationOf(request)
	if op == nil {
		op = &refusedOperation
	}
	a := unionPayAnswer{dialect: d, message: m, request: request, op: op, response: r}
	m.Reset(mti)
	for _, field := range op.answer {
		a.put(field)
	}
	return true
}

// unionPayAnswer is one answer being built.
type unionPayAnswer struct {
	dialect  *unionPay
	message  *wire.Message
	request  *wire.Message
	op       *operation
	response *switching.Response
}

// put makes a field of the answer; not one that has no value.
func (a *unionPayAnswer) put(n int) {
	r := a.response
	switch n {
	case 12:
		if !r.AcceptedAt.IsZero() {
			setTimeOfDay(a.message, n, r.AcceptedAt)
		}
	case 13:
		if !r.AcceptedAt.IsZero() {
			setMonthAndDay(a.message, n, r.AcceptedAt)
		}
	case 15:
		if r.HasBusinessDate {
			setMonthAndDay(a.message, n, r.BusinessDate.Time())
		}
	case 37:
		a.rrn()
	case 60:
		a.field60()
	case 32, 38, 39, 44, 48, 54, 62, 63:
		if value := a.text(n); value != "" {
			a.message.Set(n, value)
		}
	default: // as it was sent
		if len(a.request.View(n)) > 0 {
			a.message.Copy(n, a.request)
		}
	}
}

// text is the value of a field whose characters the host chooses; empty where it
// has none.
func (a *unionPayAnswer) text(n int) string {
	r := a.response
	switch {
	case n == 32:
		return a.dialect.acquirerID
	case n == 38 && r.Approved():
		return r.AuthCode
	case n == 39:
		return a.code()
	case n == 44:
		return a.dialect.parties
	case n == 48:
		return a.totals()
	case n == 54 && r.HasBalance:
		return availableBalance(r)
	case n == 62:
		return a.private()
	case n == 63:
		return a.shown()
	default:
		return ""
	}
}

// rrn is F37. What rests on no record has the time and the trace number there, as
// hosts do: a terminal prints it and refers to nothing by it.
func (a *unionPayAnswer) rrn() {
	r := a.response
	switch {
	case r.RRN != 0:
		setDigits(a.message, 37, r.RRN, rrnDigits)
	case r.AcceptedAt.IsZero() || !a.op.network():
	default:
		trace := a.request.Get(11)
		if trace == "" {
			trace = "000000"
		}
		a.message.Set(37, r.AcceptedAt.Format("150405")+trace)
	}
}

// code is F39. An answer to a settlement tells the outcome in F48 instead, unless
// there was no comparison, or the profile has both.
func (a *unionPayAnswer) code() string {
	if a.op.kind == switching.KindSettlement && a.outcome() != totalsAsSent {
		if !a.dialect.profile.CodeInSettlement {
			return ""
		}
		return "00"
	}
	return a.dialect.profile.code(a.op.kind, a.response)
}

// Outcomes of a comparison, the last digit of a side of F48.
const (
	totalsAsSent    = '0'
	totalsAgree     = '1'
	totalsDiffer    = '2'
	totalsHostError = '3'
)

// outcome of a settlement.
func (a *unionPayAnswer) outcome() byte {
	switch a.response.Reason {
	case switching.Approved:
		return totalsAgree
	case switching.BatchOutOfBalance:
		return totalsDiffer
	case switching.StoreUnavailable, switching.SystemMalfunction:
		return totalsHostError
	default:
		return totalsAsSent
	}
}

// totals is F48: what the terminal stated with the outcome. The foreign side is
// balanced, as hosts answer it, unless something was stated there and the sums
// differ: then it is asked for as well. An upload's comes back as it was sent.
func (a *unionPayAnswer) totals() string {
	f48 := a.request.Get(48)
	if a.op.kind != switching.KindSettlement || len(f48) != totalsDigits && len(f48) != 2*totalsDigits {
		return f48
	}
	outcome := a.outcome()
	answer := f48[:totalsDigits-1] + string(outcome)
	if len(f48) == 2*totalsDigits {
		foreign := f48[totalsDigits : 2*totalsDigits-1]
		if outcome == totalsDiffer && strings.Trim(foreign, "0") == "" {
			outcome = totalsAgree
		}
		answer += foreign + string(outcome)
	}
	return answer
}

// field60 comes back as it was sent, save that a sign-in is told its batch.
func (a *unionPayAnswer) field60() {
	f60 := a.request.View(60)
	if len(f60) == 0 {
		return
	}
	if a.response.BatchNo == 0 || len(f60) < typeDigits+batchDigits {
		a.message.Copy(60, a.request)
		return
	}
	a.message.Set(60, fmt.Sprintf("%s%06d%s", f60[:typeDigits], a.response.BatchNo, f60[typeDigits+batchDigits:]))
}

// private is F62.
func (a *unionPayAnswer) private() string {
	if !a.response.Approved() {
		return ""
	}
	switch a.op.kind {
	case switching.KindLogon:
		return workingKeys(a.response.Keys, a.op.keys)
	case switching.KindStatus:
		return a.list()
	case switching.KindDownload:
		return a.download()
	default:
		return ""
	}
}

// Lengths of a key in F62 of a sign-in, in bytes; a check value of four follows.
const (
	singleKeyBytes = 8
	doubleKeyBytes = 16
	checkBytes     = 4
)

// workingKeys is F62 of a sign-in: PIN key, MAC key and, for 004, track key, each
// with its check value. With 003 and 004 a key of one DES key has zeros behind it.
func workingKeys(keys []switching.IssuedKey, form switching.KeyForm) string {
	size := doubleKeyBytes
	if form == switching.KeysSingle {
		size = singleKeyBytes
	}
	var b strings.Builder
	for _, use := range []hsm.Use{hsm.UsePIN, hsm.UseMAC, hsm.UseTrack} {
		for _, key := range keys {
			if key.Use != use || len(key.Cryptogram) > size || len(key.CheckValue) < checkBytes {
				continue
			}
			b.Write(key.Cryptogram)
			b.Write(make([]byte, size-len(key.Cryptogram)))
			b.Write(key.CheckValue[:checkBytes])
		}
	}
	return b.String()
}
