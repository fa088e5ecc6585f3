package dialect

import (
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

// card reads the request's card.
func (d *iso87) card(m *wire.Message, r *switching.Request) *Refusal {
	if refusal := readCard(m, m.Get(35), r); refusal != nil {
		return refusal
	}
	switch {
	case !r.PAN.IsZero():
		r.Token = d.token(r.PAN)
	case !r.Kind.Refers() && r.Kind != switching.KindAdvice: // which may turn out to refer to a hold
		return noCard()
	}
	return nil
}

// readCard reads the card number and its expiry from F2 and F14, or from track 2
// (F35). Where a message has both, they must be of one card.
func readCard(m *wire.Message, track2 string, r *switching.Request) *Refusal {
	typed := m.Get(14)
	if m.Has(2) {
		pan, err := card.ParsePAN(m.Get(2))
		if err != nil {
			return malformed(2, "not a card number")
		}
		r.PAN, r.Expiry = pan, typed
	}
	if m.Has(35) {
		track, err := card.ParseTrack2(track2)
		if err != nil {
			return malformed(35, "not track 2")
		}
		if m.Has(2) && !track.PAN.Equal(r.PAN) {
			return malformed(35, "card number differs from field 2's")
		}
		swiped := track.Expiry.String()
		// What refers to an original asks nothing of the expiry.
		if typed != "" && swiped != "" && typed != swiped && !r.Kind.Refers() {
			return &Refusal{Reason: switching.WrongExpiry, Field: 14, Problem: "expiry differs from field 35's"}
		}
		r.PAN, r.Expiry = track.PAN, typed
		if typed == "" {
			r.Expiry = swiped
		}
	}
	return nil
}

func noCard() *Refusal { return malformed(2, "no card: neither field 2 nor field 35") }
