package terminal

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moov-io/iso8583"

	"meridian/host/wire"
	"meridian/internal/money"
)

// judge reads an answer into the report. Values come from moov's reading of it;
// the MAC is checked over the raw bytes, and a problem leaves the outcome unknown.
func (t *Terminal) judge(r *Report, d *draft, answer *iso8583.Message, frame wire.Frame) error {
	shown, err := t.show(frame, t.checkMAC(d, frame.Payload))
	if err != nil {
		return err
	}
	r.Response = &shown
	get := func(field int) string {
		v, err := answer.GetString(field)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(v)
	}
	r.Code = get(39)
	r.Meaning = t.meaning(shown.MTI, r.Code)
	r.RRN = get(37)
	r.AuthCode = get(38)
	if f15 := get(15); len(f15) == 4 {
		r.BusinessDate = f15[:2] + "-" + f15[2:]
	}
	if v := verdictPattern.FindStringSubmatch(get(63)); v != nil {
		r.Verdict, r.Rule = v[1], v[2]
	}
	r.Available = available(get(54))
	r.date = get(13)
	r.Outcome = Declined
	if r.Code == approvedCode {
		r.Outcome = Approved
	}
	r.Problem = t.problem(d, shown, get)
	if t.dialect == dialectUnionPay {
		t.judgeUnionPay(r, d, answer, frame)
	}
	if r.Problem != "" {
		r.Outcome = Unknown
	}
	return nil
}

var verdictPattern = regexp.MustCompile(`^(VOID|REFUND|REVIEW|DECLINE) (R[0-9]{1,2})$`)

// checkMAC says what the answer's MAC is worth.
func (t *Terminal) checkMAC(d *draft, payload []byte) string {
	if d.seal == nil {
		return macNone
	}
	switch err := t.spec.VerifyMAC(payload, d.seal); {
	case err == nil:
		return macOK
	case errors.Is(err, wire.ErrMACMissing):
		return macMissing
	default:
		return macWrong
	}
}

// problem says why an answer does not count, or nothing. moov's client pairs
// answers by STAN alone: whether this one is to this request is seen here.
func (t *Terminal) problem(d *draft, shown Message, get func(int) string) string {
	if want := d.mti[:2] + string(d.mti[2]+1); !strings.HasPrefix(shown.MTI, want) {
		return fmt.Sprintf("the answer is a %s, not a %sx", shown.MTI, want)
	}
	if t.framing.TPDU && shown.TPDU != t.tpdu.Swapped().String() {
		return "the answer's TPDU is not the request's turned round"
	}
	for _, field := range t.comparedFields(d) {
		asked, answered := strings.TrimSpace(d.fields[field]), get(field)
		if answered != "" && asked != "" && answered != asked {
			return fmt.Sprintf("field %d of the answer is not the request's", field)
		}
	}
	switch {
	case get(39) == "" && (t.dialect != dialectUnionPay || d.operation != Settle):
		return "the answer has no response code (field 39)"
	case shown.MAC == macWrong:
		return "the answer's MAC is wrong"
	case shown.MAC == macMissing && get(39) == approvedCode:
		// A refusal may come from before the host knew whose message it was.
		return "the answer's MAC is missing"
	case get(39) == approvedCode && get(11) == "" && d.fields[11] != "":
		return "the answer has no STAN (field 11)"
	}
	return ""
}

// comparedFields of an answer are the request's, where it has them.
func (t *Terminal) comparedFields(d *draft) []int {
	fields := []int{3, 4, 11, 41, 42, 49}
	if t.dialect == dialectUnionPay && d.operation != Logon { // which is told its batch in F60
		fields = append(fields, 25, 60)
	}
	return fields
}

// available is what F54 says of the available balance (amount type 02): account
// type 2, amount type 2, currency 3, sign 1, amount 12, repeated.
func available(f54 string) string {
	for ; len(f54) >= 20; f54 = f54[20:] {
		currency, err := money.ParseCurrency(f54[4:7])
		minor, digitsErr := strconv.ParseInt(f54[8:20], 10, 64)
		if f54[2:4] != "02" || err != nil || digitsErr != nil {
			continue
		}
		if f54[7] == 'D' {
			minor = -minor
		}
		return money.Amount{Minor: minor, Currency: currency}.String()
	}
	return ""
}
