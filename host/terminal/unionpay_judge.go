package terminal

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/moov-io/iso8583"

	"meridian/host/wire"
)

// judgeUnionPay reads what UnionPay's answers have besides.
func (t *Terminal) judgeUnionPay(r *Report, d *draft, answer *iso8583.Message, frame wire.Frame) {
	r.Demand = demandsInWords[frame.Header.Demand()]
	get := func(field int) string {
		value, err := answer.GetBytes(field)
		if err != nil {
			return ""
		}
		return string(value)
	}
	if r.Problem == "" && frame.Header.Answer(wire.DemandNone) != t.header.Answer(wire.DemandNone) {
		r.Problem = "the answer's application header is not the request's"
	}
	if d.operation == Settle {
		r.judgeTotals(get(48))
	} else if !d.operation.aboutBatch() {
		r.Text, r.Verdict = textOf(get(63))
	}
	if r.Outcome != Approved || r.Problem != "" {
		return
	}
	switch d.operation {
	case Logon:
		t.judgeSignIn(r, get(60), get(62))
	case Status, Download:
		r.judgeListing(d, get(62))
	default:
	}
}

// judgeSignIn takes the session of a sign-in, if its keys are what they are said
// to be.
func (t *Terminal) judgeSignIn(r *Report, f60, f62 string) {
	batch := 0
	if len(f60) >= 8 {
		batch, _ = strconv.Atoi(f60[2:8]) // the spec has digits there
	}
	if batch == 0 {
		r.Problem = "the answer has no batch number (field 60)"
		return
	}
	_, told, err := t.openKeys([]byte(f62))
	if err != nil {
		r.Problem = err.Error()
		return
	}
	r.Keys, r.batch, r.Batch = told, batch, f60[2:8]
	r.session = &session{Keys: strings.ToUpper(hex.EncodeToString([]byte(f62))), At: t.now().UTC()}
}

// Outcomes of a settlement.
const (
	balanced   = "balanced"
	unbalanced = "unbalanced"
	hostError  = "host error"
)

// outcomes by the last digit of each half of F48; 0 is none.
var outcomes = map[byte]string{'1': balanced, '2': unbalanced, '3': hostError}

// judgeTotals reads the outcome of a settlement, the last digit of each half of
// F48. There need not be a response code.
func (r *Report) judgeTotals(f48 string) {
	if len(f48) != sideDigits && len(f48) != 2*sideDigits {
		return
	}
	domestic, foreign := outcomes[f48[sideDigits-1]], outcomes[f48[len(f48)-1]]
	switch {
	case domestic == hostError || foreign == hostError:
		r.Balance = hostError
	case domestic == unbalanced || foreign == unbalanced:
		r.Balance = unbalanced
	case domestic == balanced && foreign == balanced:
		r.Balance = balanced
	default: // not compared, and F39 says why
		return
	}
	r.Outcome = Declined
	if r.Balance == balanced {
		r.Outcome = Approved
	}
	if r.Code == "" {
		r.Meaning = map[string]string{
			balanced: "totals agree", unbalanced: "totals differ from the host's", hostError: "the host cannot compare",
		}[r.Balance]
	}
}
