package model

// Kind is what is asked for and what it became, by the names that package
// switching tells them with.
type Kind string

// The kinds of requests.
const (
	Authorization Kind = "authorization"
	Sale          Kind = "sale"
	Completion    Kind = "completion"
	Advice        Kind = "advice"
	Void          Kind = "void"
	Refund        Kind = "refund"
	Cancel        Kind = "cancel"
	Reversal      Kind = "reversal"
	Balance       Kind = "balance"
	Echo          Kind = "echo"
	Logon         Kind = "logon"
	Settlement    Kind = "settlement"
	Upload        Kind = "upload"
	Trailer       Kind = "trailer"
)

// class separates keys: a reversal carries its original's STAN and is not its
// repeat, and neither is what shows it or settles it.
type class string

const (
	financial class = "financial"
	reversal  class = "reversal"
	settling  class = "settling"
	uploading class = "uploading"
)

func (k Kind) class() class {
	switch k {
	case Reversal:
		return reversal
	case Settlement, Trailer:
		return settling
	case Upload:
		return uploading
	default:
		return financial
	}
}

// State is where a transaction is in its life.
type State string

// The states of transactions.
const (
	StateDeclined    State = "declined"
	StateApproved    State = "approved"
	StateCompleted   State = "completed"
	StateVoided      State = "voided"
	StateReversed    State = "reversed"
	StateExpired     State = "expired"
	StateUnderReview State = "under_review"
)

// HoldState is how a hold ended, if it did.
type HoldState string

// The states of holds.
const (
	HoldOpen    HoldState = "open"
	HoldPosted  HoldState = "posted"
	HoldVoided  HoldState = "voided"
	HoldExpired HoldState = "expired"
)

// Reason is why a request was answered the way it was.
type Reason string

// The reasons that this model gives.
const (
	Approved               Reason = "approved"
	UnknownMerchant        Reason = "unknown_merchant"
	UnknownTerminal        Reason = "unknown_terminal"
	TerminalNotOfMerchant  Reason = "terminal_not_of_merchant"
	InvalidTransaction     Reason = "invalid_transaction"
	InvalidAmount          Reason = "invalid_amount"
	InvalidCard            Reason = "invalid_card"
	NoSuchIssuer           Reason = "no_such_issuer"
	NoAction               Reason = "no_action"
	OriginalNotFound       Reason = "original_not_found"
	FormatError            Reason = "format_error"
	LostCard               Reason = "lost_card"
	StolenCard             Reason = "stolen_card"
	InsufficientFunds      Reason = "insufficient_funds"
	ExpiredCard            Reason = "expired_card"
	NotPermittedToTerminal Reason = "not_permitted_to_terminal"
	ExceedsAmountLimit     Reason = "exceeds_amount_limit"
	RestrictedCard         Reason = "restricted_card"
	AmountMismatch         Reason = "amount_mismatch"
	ExceedsCountLimit      Reason = "exceeds_count_limit"
	NotAllowedNow          Reason = "not_allowed_now"
	RepeatDiffers          Reason = "repeat_differs"
	PaidBefore             Reason = "paid_before"
	CurrencyMismatch       Reason = "currency_mismatch"
	ReversedBefore         Reason = "reversed_before"
	WrongTerminal          Reason = "wrong_terminal"
	WrongExpiry            Reason = "wrong_expiry"
	CardMismatch           Reason = "card_mismatch"
	TerminalInactive       Reason = "terminal_inactive"
	OperatorNotSignedOn    Reason = "operator_not_signed_on"
	OperatorNotAllowed     Reason = "operator_not_allowed"
	WrongOperatorPassword  Reason = "wrong_operator_password"
	OperatorLocked         Reason = "operator_locked"
	UnderReview            Reason = "under_review"
	ReviewRejected         Reason = "review_rejected"
	BatchOutOfBalance      Reason = "batch_out_of_balance"
	BatchInUpload          Reason = "batch_in_upload"
	UnknownBatch           Reason = "unknown_batch"
	NotCurrentBatch        Reason = "not_current_batch"
)

// CancelMode is who chooses between void and refund.
type CancelMode string

// The modes of a merchant.
const (
	Auto       CancelMode = "auto"
	Strict     CancelMode = "strict"
	CancelOnly CancelMode = "cancel-only"
)

// CardStatus is what an on-us card may be used for.
type CardStatus string

// The statuses of cards.
const (
	CardActive  CardStatus = "active"
	CardBlocked CardStatus = "blocked"
	CardLost    CardStatus = "lost"
	CardStolen  CardStatus = "stolen"
	CardFrozen  CardStatus = "frozen"
	CardClosed  CardStatus = "closed"
)

// CardPolicy is what a refund to a card out of use comes to.
type CardPolicy string

// What policies say of such cards.
const (
	CardAllow   CardPolicy = "allow"
	CardReview  CardPolicy = "review"
	CardDecline CardPolicy = "decline"
)

// cancels tells whether the merchant asks for something to be undone.
func (k Kind) cancels() bool { return k == Void || k == Refund || k == Cancel }

// captures tells whether money went from the card to the merchant.
func (k Kind) captures() bool { return k == Sale || k == Completion || k == Advice }
