package dialect

import (
	"maps"
	"slices"

	"meridian/switch"
)

// Profile is how a host decides what UnionPay's hosts decide differently. The
// decision itself is the switch's; a profile chooses what is read of a message and
// the characters of an answer.
type Profile struct {
	// ApproveUnknownReversal answers a reversal of an unknown original 00, not 25.
	ApproveUnknownReversal bool
	// VoidReference is how much of what a void says of its original must agree.
	VoidReference VoidReference
	// CodeInSettlement puts F39 00 into the answer to a settlement, beside the
	// digit in F48 that tells the outcome.
	CodeInSettlement bool
	// SingleMAC: sign-in 003 and 004 hand out a MAC key of one DES key, and the
	// second half of its field is zeros.
	SingleMAC bool
	// codes that differ from unionPayCodes, for a kind of request and a reason; the
	// kind 0 is any.
	codes map[codeKey]string
	// rules that have another code than their reason.
	rules map[switching.Rule]string
}

type codeKey struct {
	kind   switching.Kind
	reason switching.Reason
}

// VoidReference is how a void names its original.
type VoidReference uint8

const (
	// RRNAndTrace: F37, and what is given of F61 must be the same transaction's.
	RRNAndTrace VoidReference = iota
	// TraceAlone: batch and trace number of F61; F37 is not looked at.
	TraceAlone
)

// apply leaves of a reference what counts.
func (v VoidReference) apply(ref *switching.Reference) {
	if v == TraceAlone && ref.HasSTAN {
		ref.HasRRN, ref.RRN, ref.Exact = false, 0, false
	}
}

// DefaultProfile is what the reference recommends.
const DefaultProfile = "cup"

// profiles by name. cup follows UnionPay's own centre; spp and posp are two
// acquirers' hosts whose code is public, as far as they differ (reference:
// UnionPay §9 to §11, void or refund §8).
var profiles = map[string]Profile{
	DefaultProfile: {},
	"spp": {
		CodeInSettlement: true, SingleMAC: true,
		// Its lookup has the card, the amount and the terminal among its conditions:
		// what differs is not found.
		codes: map[codeKey]string{
			{switching.KindVoid, switching.CardMismatch}:       "25",
			{switching.KindVoid, switching.AmountMismatch}:     "25",
			{switching.KindVoid, switching.WrongTerminal}:      "25",
			{switching.KindVoid, switching.InvalidTransaction}: "25",
			{switching.KindRefund, switching.CardMismatch}:     "25",
		},
	},
	"posp": {
		ApproveUnknownReversal: true, VoidReference: TraceAlone,
		codes: map[codeKey]string{
			{switching.KindVoid, switching.AmountMismatch}:     "13",
			{switching.KindReversal, switching.AmountMismatch}: "25",
			{switching.KindRefund, switching.CardMismatch}:     "63",
		},
		rules: map[switching.Rule]string{18: "12", 21: "25", 22: "25", 23: "25", 24: "13"},
	},
}

// Profiles lists their names.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// code of a response in the profile: a rule's, a reason's for the kind of request,
// a reason's.
func (p *Profile) code(asked switching.Kind, r *switching.Response) string {
	if r.ScenarioAnswer != "" {
		return r.ScenarioAnswer
	}
	if code, ok := p.rules[r.Rule]; ok && !r.Approved() {
		return code
	}
	for _, key := range []codeKey{{asked, r.Reason}, {0, r.Reason}} {
		if code, ok := p.codes[key]; ok {
			return code
		}
	}
	return unionPayCode(r.Reason)
}
