package host

import (
	"net/netip"

	"meridian/switch"
)

// Guard decides whom the pipeline listens to. It is asked in this order:
//
//	parse ─▶ Allow ─▶ MAC over the raw bytes ─▶ Verified ─▶ request ─▶ switch ─▶ Denied, unless approved
//	                        └─▶ MACFailed
//
// Its methods are called by many sessions at once, do not block, and keep no
// more of an attempt than its text.
type Guard interface {
	// Allow is asked before anything of a message is verified: whether its sender
	// sends too much, is unknown and has had its share of answers, or is locked.
	// A locked terminal is refused whether its MAC is right or not.
	Allow(a Attempt) Verdict
	// MACFailed counts a missing or wrong MAC, and locks the terminal when there
	// were too many. It calls done once the attempt is on record, or cannot be.
	MACFailed(a Attempt, missing bool, done func())
	// Verified is asked when the MAC was right, or the terminal or the message has
	// none: only now is a terminal's own limit charged, and messages without a MAC
	// apart from those with one, so that nobody can use it up in its name.
	Verified(a Attempt, mac bool) Verdict
	// Denied is told why a request was not approved, and calls done: once it is on
	// record where the reason is that the sender was not let in, else at once.
	Denied(a Attempt, reason switching.Reason, done func())
}

// Attempt is a message as its admission sees it.
type Attempt struct {
	Listener string
	Remote   netip.Addr
	// TID is the terminal's name as the message has it; nothing vouches for it.
	TID string
	// Terminal of that name, if it is one of this dialect; nil is an unknown one.
	Terminal *switching.Terminal
	MTI      string
}

// Verdict on a message.
type Verdict uint8

const (
	// Pass lets the message go on.
	Pass Verdict = iota
	// Drop gives it no answer.
	Drop
	// Busy answers that the terminal sends more than it may (RateLimited).
	Busy
	// Locked answers that the terminal is locked (TerminalLocked).
	Locked
)
