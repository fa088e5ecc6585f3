package switching

import "meridian/internal/hsm"

// Credentials are what a message may be trusted with, as whoever verified it
// found out.
type Credentials struct {
	// Stranger tells that nobody of this name was known when the message was looked
	// at, so that it was not verified: he is not let in if he has become known since.
	Stranger bool
	// SignedIn tells that the terminal has a session, or needs none.
	SignedIn bool
	// PINKeys that may have enciphered the PIN, the likeliest first; with KSN the
	// base key.
	PINKeys []hsm.Key
	// KSN is the message's key serial number, nil where keys are not derived.
	KSN []byte
	// Counts tells that the message uses its serial number's counter up: its MAC
	// vouches for it, or nothing of its terminal has a MAC. In a message whose type
	// carries none anybody can write any number.
	Counts bool
}
