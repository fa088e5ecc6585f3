package model

import "time"

// NoLimit is a limit that is not set, where 0 is one that is.
const NoLimit = -1

// Policy is what a merchant's terminals may do, and how far. Of the limits
// without another word 0 is none.
type Policy struct {
	Mode               CancelMode
	MaxAmountMinor     int64
	MaxCashbackMinor   int64
	CompletionPercent  int64
	HoldDays           int
	AllowAuthorization bool
	AllowCashback      bool
	AllowOfflineAdvice bool
	AllowVoid          bool
	AllowRefund        bool
	RefundWindowDays   int
	ReversalWindowDays int
	MaxRefunds         int

	VoidWindow              time.Duration
	MaxVoidsPerDay          int   // NoLimit: any number
	MaxVoidMinorPerDay      int64 // NoLimit: any amount
	ReviewThresholdMinor    int64 // NoLimit: no refund is over it
	AllowUnreferencedRefund bool
	MaxUnreferencedMinor    int64
	HasMinBalance           bool
	MinBalanceMinor         int64 // with HasMinBalance
	RequireOperator         bool
	SupervisorForVoid       bool
	SupervisorForRefund     bool
	RefundToLost            CardPolicy
	RefundToFrozen          CardPolicy
	RefundToClosed          CardPolicy
	SettledByBatch          bool
	AutoCloseBatch          bool
}

// asksForOperators tells whether it matters who is signed on.
func (p *Policy) asksForOperators() bool {
	return p.RequireOperator || p.SupervisorForVoid || p.SupervisorForRefund
}

// ofCard is what the policy says of refunds to a card of this status.
func (p *Policy) ofCard(s CardStatus) CardPolicy {
	switch s {
	case CardLost, CardStolen:
		return p.RefundToLost
	case CardFrozen, CardBlocked:
		return p.RefundToFrozen
	case CardClosed:
		return p.RefundToClosed
	default:
		return CardAllow
	}
}
