package switching

// Reasons are those that an answer may have which the rule decided, in the order of
// their numbers; none for a rule that only this host's links will have. Tests hold
// every answer of theirs against it.
func (r Rule) Reasons() []Reason { return ruleReasons[r] }

var ruleReasons = map[Rule][]Reason{
	RuleAdmission: {
		UnknownMerchant, UnknownTerminal, TerminalNotOfMerchant, TerminalInactive, SecurityViolation,
		IncorrectPIN, PINTriesExceeded, PINFormat, PINMissing, SignInRequired, MACWrong, TerminalLocked, RateLimited,
	},
	ruleRepeat:     {RepeatDiffers, ReversedBefore, PaidBefore},
	ruleBatch:      {BatchInUpload, NotCurrentBatch},
	ruleOperator:   {OperatorNotSignedOn, OperatorNotAllowed},
	rulePermission: {NotPermittedToTerminal},
	ruleCutting:    {CutoffInProgress},
	7:              {OriginalNotFound},
	8:              {OriginalNotFound},
	9:              {OriginalNotFound, WrongTerminal, CardMismatch},
	10:             {InvalidTransaction},
	12:             {InvalidTransaction},
	13:             {InvalidTransaction},
	14:             {CurrencyMismatch},
	15:             {InvalidAmount},
	16:             {Approved},
	17:             {AmountMismatch},
	18:             {NotAllowedNow},
	19:             {InvalidTransaction},
	ruleVoidLimits: {ExceedsAmountLimit, ExceedsCountLimit, NotAllowedNow},
	21:             {Approved, NotAllowedNow},
	22:             {NotAllowedNow},
	23:             {NotAllowedNow},
	24:             {ExceedsAmountLimit},
	25:             {ExceedsCountLimit},
	// What a person decided is answered to the repeat.
	26:             {Approved, UnderReview, ReviewRejected},
	27:             {InsufficientFunds},
	28:             {Approved, RestrictedCard, UnderReview, ReviewRejected},
	29:             {Approved},
	ruleCompletion: {Approved},
	31:             {Approved, InvalidTransaction, AmountMismatch},
	32: {
		Approved, InvalidAmount, InvalidCard, NotPermittedToTerminal, ExceedsAmountLimit, CurrencyMismatch, UnderReview, ReviewRejected,
	},
}
