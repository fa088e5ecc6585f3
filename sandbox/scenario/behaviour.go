package scenario

import "time"

// Behaviour is what a scenario does.
type Behaviour string

// The behaviours. All but Code leave the decision alone.
const (
	// Code answers with a response code of one's choice.
	Code Behaviour = "code"
	// Delay answers late, but in time.
	Delay Behaviour = "delay"
	// PastTimeout answers when terminals have given up.
	PastTimeout Behaviour = "past-timeout"
	// NoAnswer answers nothing.
	NoAnswer Behaviour = "no-answer"
	// LateAfterReversal answers when the terminal's reversal has been answered.
	LateAfterReversal Behaviour = "late-after-reversal"
	// DisconnectBefore closes the connection instead of answering.
	DisconnectBefore Behaviour = "disconnect-before-answer"
	// DisconnectAfter closes the connection behind the answer.
	DisconnectAfter Behaviour = "disconnect-after-answer"
	// Duplicate answers twice.
	Duplicate Behaviour = "duplicate-answer"
	// WrongMAC answers with a MAC that is wrong, where there is one.
	WrongMAC Behaviour = "wrong-mac"
	// Pieces answers in several segments, the first of one byte.
	Pieces Behaviour = "answer-in-pieces"
	// WrongSTAN answers with another STAN than the request's.
	WrongSTAN Behaviour = "wrong-stan"
)

const (
	// DefaultDelay is felt, and far from any terminal's timeout.
	DefaultDelay = 2 * time.Second
	// DefaultPastTimeout is past the 60 s that terminals commonly wait at most.
	DefaultPastTimeout = 65 * time.Second
	// HoldFor is how long an answer is held back at most, whatever it waits for.
	HoldFor = 5 * time.Minute
	// pieces that an answer is torn into.
	pieces = 4
)

// behaviours with what the page says of each, in the order of the page, and what
// is added to an amount to get one.
var behaviours = []struct {
	behaviour Behaviour
	ends      int // of an amount on the scenario card
	what      string
}{
	{Delay, 201, "The answer comes 2 seconds late."},
	{PastTimeout, 202, "The answer comes after 65 seconds, when the terminal has given up."},
	{NoAnswer, 203, "No answer comes. The transaction stands until it is repeated or reversed."},
	{LateAfterReversal, 204, "The answer comes when the reversal of the transaction has been answered."},
	{DisconnectBefore, 205, "The connection is closed instead of an answer. The transaction stands."},
	{DisconnectAfter, 206, "The connection is closed behind the answer."},
	{Duplicate, 207, "The answer comes twice."},
	{WrongMAC, 208, "The answer's MAC is wrong. Of a terminal without a MAC the answer is as always."},
	{Pieces, 209, "The answer comes in four segments, the first of one byte."},
	{WrongSTAN, 210, "The answer has the next STAN in place of the request's; its MAC is right."},
}

// Behaviours lists all but Code, in the order of the page.
func Behaviours() []Behaviour {
	list := make([]Behaviour, len(behaviours))
	for i, b := range behaviours {
		list[i] = b.behaviour
	}
	return list
}
