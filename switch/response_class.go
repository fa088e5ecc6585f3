package switching

// ResponseClass sorts answers by whose business they are, for those who watch a
// host: what an issuer declines says nothing about the host, what fails does.
type ResponseClass uint8

const (
	// ResponseApproved did what was asked.
	ResponseApproved ResponseClass = 1
	// ResponseDeclined is the issuer's no: the card, its PIN, its money.
	ResponseDeclined ResponseClass = 2
	// ResponseRefused is the host's no to what was asked: the original, the policy,
	// the batch, the operator.
	ResponseRefused ResponseClass = 3
	// ResponseRejected is the host's no to the message or its sender.
	ResponseRejected ResponseClass = 4
	// ResponseFailed is what the host could not do, an unknown outcome among it.
	ResponseFailed ResponseClass = 5
)

var responseClassNames = [...]string{
	ResponseApproved: "approved", ResponseDeclined: "declined", ResponseRefused: "refused",
	ResponseRejected: "rejected", ResponseFailed: "failed",
}

// ResponseClasses lists every class, for tables and metrics that have one entry each.
func ResponseClasses() []ResponseClass {
	return []ResponseClass{ResponseApproved, ResponseDeclined, ResponseRefused, ResponseRejected, ResponseFailed}
}

// String names the class for people, logs and metrics.
func (c ResponseClass) String() string {
	if int(c) < len(responseClassNames) && responseClassNames[c] != "" {
		return responseClassNames[c]
	}
	return "unknown"
}

// Class of an answer with this reason. No reason is an outcome that nobody was told.
func (r Reason) Class() ResponseClass {
	switch r {
	case Approved:
		return ResponseApproved
	case InvalidCard, NoSuchIssuer, LostCard, StolenCard, InsufficientFunds, ExpiredCard, RestrictedCard, WrongExpiry,
		IncorrectPIN, PINTriesExceeded, ScenarioDecided:
		return ResponseDeclined
	case InvalidTransaction, InvalidAmount, NoAction, OriginalNotFound, FunctionNotSupported, NotPermittedToTerminal,
		ExceedsAmountLimit, ExceedsCountLimit, AmountMismatch, NotAllowedNow, CurrencyMismatch, ReversedBefore, WrongTerminal,
		CardMismatch, OperatorNotSignedOn, OperatorNotAllowed, WrongOperatorPassword, OperatorLocked, UnderReview, ReviewRejected,
		BatchOutOfBalance, BatchInUpload, UnknownBatch, NotCurrentBatch:
		return ResponseRefused
	case UnknownMerchant, UnknownTerminal, TerminalNotOfMerchant, TerminalInactive, FormatError, SecurityViolation, RepeatDiffers, PaidBefore,
		PINFormat, PINMissing, SignInRequired, MACWrong, TerminalLocked, RateLimited:
		return ResponseRejected
	case SystemMalfunction, StoreUnavailable, CutoffInProgress:
		return ResponseFailed
	}
	return ResponseFailed
}
