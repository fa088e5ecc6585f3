package terminal

import (
	"meridian/internal/card"
	"meridian/internal/vault"
)

// tender is the card of a request.
type tender struct {
	pan         card.PAN
	expiry      string // YYMM, or empty
	track       card.Track2
	pin         vault.Secret // that the sandbox knows, or that the user entered
	position    int          // in sandbox.json, -1 for another card
	keyed       bool
	expiryGiven bool
	// pinEntered: empty, pinOfCard or pinGiven.
	pinEntered string
	// sealTrack: the track goes enciphered.
	sealTrack bool
}

// entry modes (F22): how the card was read, and that nobody entered a PIN, or
// that somebody did.
const (
	entryKeyed  = "012"
	entrySwiped = "022"
	entryPIN    = '1'
)

// put writes the card into a message's fields.
func (c *tender) put(fields map[int]string) {
	if !c.keyed && !c.track.IsZero() {
		fields[22], fields[35] = entrySwiped, c.track.Reveal()
		return
	}
	c.keyed = true
	fields[22], fields[2] = entryKeyed, c.pan.Reveal()
	if c.expiry != "" {
		fields[14] = c.expiry
	}
}

func (c *tender) note() *cardNote {
	return &cardNote{
		Position: c.position, Masked: c.pan.Masked(), Keyed: c.keyed, ExpiryGiven: c.expiryGiven, PIN: c.pinEntered, SealedTrack: c.sealTrack,
	}
}

func (c *sandboxCard) tender() *tender {
	return &tender{pan: c.pan, expiry: c.expiry, track: c.track, pin: c.pin, position: c.position}
}

// given is the card that the user names; nil where none is named.
func (t *Terminal) given(r *Request) (*tender, error) {
	switch {
	case r.Track2 != "":
		track, err := card.ParseTrack2(r.Track2)
		if err != nil {
			return nil, errorf(KindUsage, "--track2: %w", err)
		}
		return r.withExpiry(&tender{pan: track.PAN, expiry: track.Expiry.String(), track: track, position: -1}), nil
	case r.PAN != "":
		pan, err := card.ParsePAN(r.PAN)
		if err != nil {
			return nil, errorf(KindUsage, "--pan: %w", err)
		}
		return r.withExpiry(&tender{pan: pan, position: -1}), nil
	case r.Card != "":
		c, err := t.sandboxCard(r.Card)
		if err != nil {
			return nil, err
		}
		return r.withExpiry(c.tender()), nil
	}
	return nil, nil //nolint:nilnil // naming no card is not an error
}

// presented is the card of a message that needs one.
func (t *Terminal) presented(r *Request) (*tender, error) {
	c, err := t.given(r)
	if c != nil || err != nil {
		return c, err
	}
	first, err := t.sandboxCard("")
	if err != nil {
		return nil, err
	}
	return r.withExpiry(first.tender()), nil
}

func (t *Terminal) sandboxCard(selector string) (*sandboxCard, error) {
	if t.cards == nil {
		return nil, errorf(KindUsage, "give a card: --pan with --expiry, or --track2 (there is no %s to take one from)", sandboxName)
	}
	return t.cards.card(selector, t.currency)
}

// withExpiry lets the user's expiry date and way of entry win over the card's.
func (r *Request) withExpiry(c *tender) *tender {
	c.keyed = r.Keyed
	if r.Expiry != "" {
		c.expiry, c.expiryGiven, c.keyed = r.Expiry, true, true
	}
	return c
}

// remembered is the card of an earlier request, as far as it can be had again:
// from the user, or from sandbox.json by position and masked number. Nil where it
// cannot.
func (t *Terminal) remembered(r *Request, note *cardNote) (*tender, error) {
	if c, err := t.given(r); c != nil || err != nil {
		return c, err
	}
	if note == nil || t.cards == nil || note.Position < 0 || note.Position >= len(t.cards.Cards) {
		return nil, nil //nolint:nilnil // see above
	}
	c := &t.cards.Cards[note.Position]
	if c.pan.Masked() != note.Masked {
		return nil, nil //nolint:nilnil // another sandbox's card
	}
	return r.withExpiry(c.tender()), nil
}
