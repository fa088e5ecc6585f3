package switching

import "fmt"

// Reason is why a request was answered the way it was. A dialect has its own
// characters for each. Reasons are stored: a number keeps its meaning for ever.
type Reason uint8

const (
	Approved               Reason = 1
	UnknownMerchant        Reason = 2
	UnknownTerminal        Reason = 3
	TerminalNotOfMerchant  Reason = 4
	TerminalInactive       Reason = 5
	InvalidTransaction     Reason = 6
	InvalidAmount          Reason = 7
	InvalidCard            Reason = 8
	NoSuchIssuer           Reason = 9
	NoAction               Reason = 10
	OriginalNotFound       Reason = 11
	FormatError            Reason = 12
	FunctionNotSupported   Reason = 13
	LostCard               Reason = 14
	StolenCard             Reason = 15
	InsufficientFunds      Reason = 16
	ExpiredCard            Reason = 17
	NotPermittedToTerminal Reason = 18
	ExceedsAmountLimit     Reason = 19
	RestrictedCard         Reason = 20
	SecurityViolation      Reason = 21
	AmountMismatch         Reason = 22
	ExceedsCountLimit      Reason = 23
	NotAllowedNow          Reason = 24 // the original's state does not fit what was asked
	RepeatDiffers          Reason = 25
	SystemMalfunction      Reason = 26
	StoreUnavailable       Reason = 27
	CurrencyMismatch       Reason = 28
	ReversedBefore         Reason = 29 // the reversal was here before its original
	WrongTerminal          Reason = 30 // a void from another terminal than the original's
	CutoffInProgress       Reason = 31
	WrongExpiry            Reason = 32
	CardMismatch           Reason = 33 // not the original's card
	OperatorNotSignedOn    Reason = 34
	OperatorNotAllowed     Reason = 35 // a supervisor would be
	WrongOperatorPassword  Reason = 36
	OperatorLocked         Reason = 37
	UnderReview            Reason = 38
	ReviewRejected         Reason = 39
	BatchOutOfBalance      Reason = 50
	BatchInUpload          Reason = 51 // the batch waits for the end of its upload
	UnknownBatch           Reason = 52
	NotCurrentBatch        Reason = 53
	IncorrectPIN           Reason = 54
	PINTriesExceeded       Reason = 55
	PINFormat              Reason = 56 // the block opens and holds no PIN
	PINMissing             Reason = 57
	SignInRequired         Reason = 58 // the terminal has no session, or not this one
	MACWrong               Reason = 59
	TerminalLocked         Reason = 60 // after wrong MACs
	RateLimited            Reason = 61
	ScenarioDecided        Reason = 62 // a sandbox was asked to say no
	PaidBefore             Reason = 63 // this very refund was given, in a batch that is over
)

var reasonNames = [...]string{
	Approved: "approved", UnknownMerchant: "unknown_merchant", UnknownTerminal: "unknown_terminal",
	TerminalNotOfMerchant: "terminal_not_of_merchant", TerminalInactive: "terminal_inactive",
	InvalidTransaction: "invalid_transaction", InvalidAmount: "invalid_amount", InvalidCard: "invalid_card",
	NoSuchIssuer: "no_such_issuer", NoAction: "no_action", OriginalNotFound: "original_not_found",
	FormatError: "format_error", FunctionNotSupported: "function_not_supported", LostCard: "lost_card",
	StolenCard: "stolen_card", InsufficientFunds: "insufficient_funds", ExpiredCard: "expired_card",
	NotPermittedToTerminal: "not_permitted_to_terminal", ExceedsAmountLimit: "exceeds_amount_limit",
	RestrictedCard: "restricted_card", SecurityViolation: "security_violation", AmountMismatch: "amount_mismatch",
	ExceedsCountLimit: "exceeds_count_limit", NotAllowedNow: "not_allowed_now", RepeatDiffers: "repeat_differs",
	SystemMalfunction: "system_malfunction", StoreUnavailable: "store_unavailable",
	CurrencyMismatch: "currency_mismatch", ReversedBefore: "reversed_before", WrongTerminal: "wrong_terminal",
	CutoffInProgress: "cutoff_in_progress", WrongExpiry: "wrong_expiry", CardMismatch: "card_mismatch",
	OperatorNotSignedOn: "operator_not_signed_on", OperatorNotAllowed: "operator_not_allowed",
	WrongOperatorPassword: "wrong_operator_password", OperatorLocked: "operator_locked",
	UnderReview: "under_review", ReviewRejected: "review_rejected",
	BatchOutOfBalance: "batch_out_of_balance", BatchInUpload: "batch_in_upload", UnknownBatch: "unknown_batch",
	NotCurrentBatch: "not_current_batch", IncorrectPIN: "incorrect_pin", PINTriesExceeded: "pin_tries_exceeded",
	PINFormat: "pin_format", PINMissing: "pin_missing", SignInRequired: "sign_in_required", MACWrong: "mac_wrong",
	TerminalLocked: "terminal_locked", RateLimited: "rate_limited",
	ScenarioDecided: "scenario", PaidBefore: "paid_before",
}

// Reasons lists every reason, for tables that must have an entry for each.
func Reasons() []Reason {
	var all []Reason
	for r, name := range &reasonNames {
		if name != "" {
			all = append(all, Reason(r))
		}
	}
	return all
}

// String names the reason for people, logs and metrics.
func (r Reason) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}

// MarshalText is the reason's name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the name.
func (r *Reason) UnmarshalText(text []byte) error {
	for value, name := range &reasonNames {
		if name != "" && name == string(text) {
			*r = Reason(value)
			return nil
		}
	}
	return fmt.Errorf("%q is no reason", text)
}
