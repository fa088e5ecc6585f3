package host

import (
	"net/netip"
	"time"
)

// AdmissionLimits are how much a [Sentry] takes from whom. A zero [Rate] is no
// limit; the other zeros take the defaults.
type AdmissionLimits struct {
	// PerTerminal is what one terminal may send, once its MAC was right, and as much
	// of what needs none.
	PerTerminal Rate
	// Settlements is what one terminal may send of 05xx, which carries no MAC: its units of
	// work hold their bucket's gate alone.
	Settlements Rate
	// PerAddress is what one IPv4 address or IPv6 /64 may send, whatever it says.
	PerAddress Rate
	// Refusals are the answers to unknown and to locked terminals, per address and
	// per locked terminal, and the rows about refused messages in the audit log.
	// Beyond it unknown and locked terminals get no answer, and the log a sum per
	// minute.
	Refusals Rate
	// RefusalsTotal is the same over all addresses and terminals.
	RefusalsTotal Rate
	// Concentrators are networks whose addresses stand for many terminals: neither
	// PerAddress nor PerTerminal applies to them.
	Concentrators []netip.Prefix

	// LockAfter wrong MACs in a row within LockWithin a terminal is locked for
	// LockFor. Negative LockAfter never locks.
	LockAfter           int
	LockWithin, LockFor time.Duration
}

// Defaults of a terminal's lock.
const (
	// DefaultLockAfter lets a terminal with an old key be noticed, and gives whoever
	// tries out MACs nothing: one in 2^64, or 2^32 where only half is sent.
	DefaultLockAfter  = 10
	DefaultLockWithin = 10 * time.Minute
	// DefaultLockFor makes a sustained attack cost the attacker, and brings a
	// terminal that somebody else got locked back without a person.
	DefaultLockFor = 15 * time.Minute
)

func (l *AdmissionLimits) withDefaults() AdmissionLimits {
	d := *l
	if d.LockAfter == 0 {
		d.LockAfter = DefaultLockAfter
	}
	if d.LockWithin == 0 {
		d.LockWithin = DefaultLockWithin
	}
	if d.LockFor == 0 {
		d.LockFor = DefaultLockFor
	}
	d.Concentrators = nil
	for _, p := range l.Concentrators {
		d.Concentrators = append(d.Concentrators, unmapPrefix(p))
	}
	return d
}

// concentrates tells whether many terminals come from an address.
func (l *AdmissionLimits) concentrates(a netip.Addr) bool {
	for _, p := range l.Concentrators {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
