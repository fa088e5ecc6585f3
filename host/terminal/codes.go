package terminal

import "strings"

// approvedCode is F39 of an approval.
const approvedCode = "00"

// meanings of F39 in ISO 8583:1987, in words for people.
var meanings = map[string]string{
	"00": "approved",
	"01": "refer to card issuer",
	"03": "unknown merchant",
	"04": "pick up the card",
	"05": "do not honour",
	"09": "request in progress",
	"12": "invalid transaction",
	"13": "invalid amount",
	"14": "invalid card number",
	"15": "no such issuer",
	"21": "no action taken",
	"22": "not allowed in the original's state",
	"25": "original not found",
	"30": "format error",
	"39": "no credit account",
	"40": "function not supported",
	"41": "lost card",
	"43": "stolen card",
	"51": "insufficient funds",
	"54": "expired card or wrong expiry date",
	"55": "wrong PIN",
	"57": "not permitted to the cardholder",
	"58": "not permitted to the terminal",
	"61": "exceeds the amount limit",
	"62": "restricted card",
	"63": "security violation (wrong or missing MAC)",
	"64": "amount differs from the original's",
	"65": "exceeds the count limit",
	"68": "response received too late",
	"75": "too many wrong PINs",
	"76": "reference does not match",
	"77": "batch does not match",
	"90": "cutoff in progress",
	"91": "issuer or host not available",
	"92": "no route",
	"94": "duplicate with other content",
	"95": "totals out of balance",
	"96": "system malfunction",
	"97": "unknown terminal, or not this merchant's",
	"98": "timeout at the issuer",
	"99": "wrong PIN block",
}

// unionPayMeanings are those that differ with UnionPay.
var unionPayMeanings = map[string]string{
	"10": "approved in part",
	"11": "approved, a valued customer",
	"22": "not allowed in the original's state: settled, not settled, or too late",
	"75": "too many wrong PINs, and the right one is refused as well",
	"77": "sign in: no session, or not this batch",
	"99": "wrong PIN block: sign in again",
	"A0": "wrong MAC: sign in again",
	"A7": "security processing failed",
}

// reasons are F39 of UnionPay's reversals.
var reasons = map[Reason]string{
	ReasonNoAnswer:    "no answer within time",
	ReasonNotFinished: "approved, but the terminal could not complete it",
	ReasonWrongMAC:    "the answer's MAC was wrong",
	ReasonOther:       "another reason",
}

// reversed are F39 of answers to UnionPay's reversals that end the terminal's
// attempts like an approval.
var reversed = map[string]string{
	"12": "not to be reversed: no further attempt is made",
	"25": "original not found: there is nothing to reverse",
}

// meaning of F39 in a message.
func (t *Terminal) meaning(mti, code string) string {
	code = strings.TrimSpace(code)
	if t.dialect == dialectUnionPay {
		if m, ok := reasons[Reason(code)]; ok && mti == "0400" {
			return m
		}
		if m, ok := reversed[code]; ok && mti == "0410" {
			return m
		}
		if m, ok := unionPayMeanings[code]; ok {
			return m
		}
	}
	if m, ok := meanings[code]; ok {
		return m
	}
	return "a code without a common meaning"
}
