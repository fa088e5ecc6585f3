package scenario

import (
	"maps"
	"slices"
	"strconv"
)

// codes are the response codes (F39) that an amount can force, and what they mean:
// all of ISO 8583:1987's that hosts of the dialects answer, and UnionPay's (its
// reference, §12). 00 is not among them, as it is no scenario; nor is 10, because
// this host approves all of an amount or nothing.
var codes = map[string]string{
	"01": "refer to the card issuer",
	"02": "refer to the card issuer, special conditions",
	"03": "invalid merchant",
	"04": "capture the card",
	"05": "do not honour",
	"06": "error",
	"07": "capture the card, special conditions",
	"08": "honour with identification",
	"09": "request in progress",
	"11": "approved, VIP",
	"12": "invalid transaction",
	"13": "invalid amount",
	"14": "invalid card number",
	"15": "no such issuer",
	"19": "enter the transaction again",
	"20": "invalid response",
	"21": "no action taken",
	"22": "suspected malfunction",
	"23": "unacceptable transaction fee",
	"25": "record not found",
	"30": "format error",
	"31": "bank not supported",
	"33": "expired card, capture",
	"34": "suspected fraud, capture",
	"35": "contact the acquirer, capture",
	"36": "restricted card, capture",
	"37": "call the acquirer's security, capture",
	"38": "PIN tries exceeded, capture",
	"39": "no credit account",
	"40": "function not supported",
	"41": "lost card",
	"42": "no universal account",
	"43": "stolen card",
	"44": "no investment account",
	"51": "insufficient funds",
	"52": "no checking account",
	"53": "no savings account",
	"54": "expired card",
	"55": "incorrect PIN",
	"56": "no card record",
	"57": "not permitted to the cardholder",
	"58": "not permitted to the terminal",
	"59": "suspected fraud",
	"60": "contact the acquirer",
	"61": "exceeds the amount limit",
	"62": "restricted card",
	"63": "security violation",
	"64": "original amount incorrect",
	"65": "exceeds the count limit",
	"66": "call the acquirer's security",
	"67": "hard capture",
	"68": "response received too late",
	"75": "PIN tries exceeded",
	"77": "sign in again",
	"79": "offline transactions do not balance",
	"90": "cutoff in progress",
	"91": "issuer or switch inoperative",
	"92": "no route to the institution",
	"93": "violation of law",
	"94": "duplicate transmission",
	"95": "reconciliation error",
	"96": "system malfunction",
	"97": "terminal number not found",
	"98": "no answer from the issuer",
	"99": "PIN format error",
	"A0": "MAC wrong",
	"A1": "currencies differ in a transfer",
	"A2": "approved, and confirmed later",
	"A3": "account incorrect",
	"A4": "approved, and confirmed later",
	"A5": "approved, and confirmed later",
	"A6": "approved, and confirmed later",
	"A7": "security processing failed",
}

// approving codes tell an approval: the money moves.
var approving = map[string]bool{"08": true, "11": true, "A2": true, "A4": true, "A5": true, "A6": true}

// Codes lists the response codes that an amount can force, in order.
func Codes() []string { return slices.Sorted(maps.Keys(codes)) }

// Approves tells whether a response code is an approval's.
func Approves(code string) bool { return approving[code] }

// codeEnds is what an amount ends with that forces a code: the two digits behind a
// 0, and 100 to 107 for A0 to A7.
func codeEnds(code string) int {
	if code[0] == 'A' {
		return 100 + int(code[1]-'0')
	}
	n, err := strconv.Atoi(code)
	if err != nil {
		return -1 // the table has no such code
	}
	return n
}

// isCode tells whether a field of two characters can be a response code.
func isCode(code string) bool {
	if len(code) != 2 {
		return false
	}
	for i := range len(code) {
		if c := code[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
