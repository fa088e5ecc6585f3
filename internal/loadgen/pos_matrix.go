package loadgen

// Transaction is one row of the message matrix: the type of its request, F3, F25
// and the message type of F60.1.
type Transaction struct {
	MTI, Processing, Condition, Type string
	// Side of the batch's totals.
	Side Side
}

// Side is where a transaction stands in a settlement's totals. A voided sale stays
// among the debits, and its void is a credit.
type Side int

// The sides; a transaction that moves nothing has none.
const (
	NoSide Side = iota
	Debit
	Credit
)

// The transactions of UnionPay's matrix.
var (
	Inquiry          = Transaction{"0200", "310000", "00", "01", NoSide}
	Sale             = Transaction{"0200", "000000", "00", "22", Debit}
	SaleVoid         = Transaction{"0200", "200000", "00", "23", Credit}
	Refund           = Transaction{"0220", "200000", "00", "25", Credit}
	Preauth          = Transaction{"0100", "030000", "06", "10", NoSide}
	PreauthVoid      = Transaction{"0100", "200000", "06", "11", NoSide}
	Completion       = Transaction{"0200", "000000", "06", "20", Debit}
	CompletionAdvice = Transaction{"0220", "000000", "06", "24", Debit}
	CompletionVoid   = Transaction{"0200", "200000", "06", "21", Credit}
	OfflineSale      = Transaction{"0220", "000000", "00", "30", Debit}
	Adjustment       = Transaction{"0220", "000000", "00", "32", NoSide}
	Tip              = Transaction{"0220", "000000", "00", "34", NoSide}
)

// Network management information, F60.3.
const (
	SignInSingle   = "001"
	SignInDouble   = "003"
	SignInTrack    = "004"
	SignOff        = "002"
	Echo           = "301"
	Settle         = "201"
	UploadDetails  = "201"
	EndUnbalanced  = "202"
	EndBalanced    = "207"
	ScriptResult   = "951"
	GetParameters  = "360"
	EndParameters  = "361"
	StatusOfParams = "362"
	GetPublicKey   = "370"
	EndPublicKeys  = "371"
	StatusOfKeys   = "372"
	GetApplication = "380"
	EndApplication = "381"
	StatusOfApps   = "382"
)

// sealed tells the messages that carry a MAC: all but 03xx, 05xx and 08xx.
func sealed(mti string) bool { return mti[1] != '3' && mti[1] != '5' && mti[1] != '8' }

// Card is what a cardholder puts down. Track2 is as it is read off the card.
type Card struct{ PAN, Expiry, Track2, PIN string }

// Swiped are the fields of the card's magnetic stripe.
func (c Card) Swiped() map[int]string { return map[int]string{35: c.Track2} }

// Keyed are the fields of a card whose number and expiry were typed.
func (c Card) Keyed() map[int]string { return map[int]string{2: c.PAN, 14: c.Expiry} }
