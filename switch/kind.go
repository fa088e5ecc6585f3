package switching

import (
	"fmt"
	"slices"
)

// Kind is what a request asks for, and what a transaction became. Kinds are
// stored: a number keeps its meaning for ever.
type Kind uint8

const (
	// KindAuthorization reserves money under a hold.
	KindAuthorization Kind = 1
	// KindSale moves money at once, with cashback or without.
	KindSale Kind = 2
	// KindCompletion captures a hold.
	KindCompletion Kind = 3
	// KindAdvice reports a sale that was approved offline.
	KindAdvice Kind = 4
	// KindVoid undoes a transaction before it is settled.
	KindVoid Kind = 5
	// KindRefund pays back a settled transaction.
	KindRefund Kind = 6
	// KindCancel leaves it to the host whether it is a void or a refund.
	KindCancel Kind = 7
	// KindReversal undoes a transaction whose answer did not arrive.
	KindReversal Kind = 8
	// KindBalance asks what a card has available.
	KindBalance Kind = 9
	// KindEcho tests the line.
	KindEcho Kind = 10
	// KindLogon signs a terminal on.
	KindLogon Kind = 11
	// KindSignOff ends a terminal's session.
	KindSignOff Kind = 12
	// KindStatus is a terminal's report of what it holds; it is told what there is.
	KindStatus Kind = 13
	// KindDownload asks for one thing of what there is.
	KindDownload Kind = 14
	// KindDownloadEnd says that a terminal has taken what there is.
	KindDownloadEnd Kind = 15
	// KindScript reports what an issuer's script did to a card. It moves nothing.
	KindScript Kind = 16
	// KindAdjustment changes what a sale comes to before it is settled: a tip.
	KindAdjustment Kind = 17
	// KindSettlement states the totals of a terminal's batch.
	KindSettlement Kind = 20
	// KindUpload shows one transaction of a batch whose totals differed.
	KindUpload Kind = 21
	// KindTrailer ends an upload and closes the batch.
	KindTrailer Kind = 22
)

var kindNames = [...]string{
	KindAuthorization: "authorization", KindSale: "sale", KindCompletion: "completion", KindAdvice: "advice",
	KindVoid: "void", KindRefund: "refund", KindCancel: "cancel", KindReversal: "reversal",
	KindBalance: "balance", KindEcho: "echo", KindLogon: "logon", KindSignOff: "sign_off", KindStatus: "status",
	KindDownload: "download", KindDownloadEnd: "download_end", KindScript: "script", KindAdjustment: "adjustment",
	KindSettlement: "settlement", KindUpload: "upload", KindTrailer: "trailer",
}

// String names the kind for people, logs and metrics.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// MarshalText is the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// KindNames of all kinds, as people write them.
func KindNames() []string {
	return slices.DeleteFunc(slices.Clone(kindNames[:]), func(name string) bool { return name == "" })
}

// Class separates keys: a reversal carries its original's STAN and is not its repeat.
type Class uint8

const (
	// ClassFinancial is for requests that carry their own STAN.
	ClassFinancial Class = 1
	// ClassReversal is for reversals.
	ClassReversal Class = 2
	// ClassHostReversal is for reversals that the host makes itself.
	ClassHostReversal Class = 3
	// ClassSettlement is for settlements and trailers.
	ClassSettlement Class = 4
	// ClassUpload is for uploads: a terminal may give one its transaction's STAN.
	ClassUpload Class = 5
	// ClassScript is for script results, which may carry their transaction's STAN.
	ClassScript Class = 6
)

// Class of the keys of this kind of request.
func (k Kind) Class() Class {
	switch k {
	case KindReversal:
		return ClassReversal
	case KindSettlement, KindTrailer:
		return ClassSettlement
	case KindUpload:
		return ClassUpload
	case KindScript:
		return ClassScript
	default:
		return ClassFinancial
	}
}

// Cancels tells whether the kind asks for an earlier transaction to be undone
// by the merchant.
func (k Kind) Cancels() bool { return k == KindVoid || k == KindRefund || k == KindCancel }

// Refers tells whether the kind speaks of an earlier transaction.
func (k Kind) Refers() bool {
	return k.Cancels() || k == KindCompletion || k == KindReversal || k == KindAdjustment || k == KindScript
}

// State is where a transaction is in its life.
type State uint8

const (
	// StateDeclined moved nothing.
	StateDeclined State = 1
	// StateApproved stands: captured, reserved, or told (a balance).
	StateApproved State = 2
	// StateCompleted is an authorization whose hold was captured.
	StateCompleted State = 3
	// StateVoided was undone by the merchant before settlement.
	StateVoided State = 4
	// StateReversed was undone because its answer did not arrive.
	StateReversed State = 5
	// StateExpired is an authorization whose hold ran out.
	StateExpired State = 6
	// StateAbandoned was undone by the host: it had to answer before it knew
	// whether the transaction was committed.
	StateAbandoned State = 7
	// StateUnderReview is a refund that waits for a person. Nothing is posted.
	StateUnderReview State = 8
)

var stateNames = [...]string{
	StateDeclined: "declined", StateApproved: "approved", StateCompleted: "completed", StateVoided: "voided",
	StateReversed: "reversed", StateExpired: "expired", StateAbandoned: "abandoned",
	StateUnderReview: "under_review",
}

// String names the state.
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText is the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (k *Kind) UnmarshalText(text []byte) error {
	for value, name := range kindNames {
		if name != "" && name == string(text) {
			*k = Kind(value)
			return nil
		}
	}
	return fmt.Errorf("%q is no kind", text)
}

// UnmarshalText reads the name.
func (s *State) UnmarshalText(text []byte) error {
	for value, name := range stateNames {
		if name != "" && name == string(text) {
			*s = State(value)
			return nil
		}
	}
	return fmt.Errorf("%q is no state", text)
}
