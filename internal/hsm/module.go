package hsm

import (
	"context"

	"meridian/internal/card"
	"meridian/internal/vault"
)

// Module is a security module. Its methods fail with the errors of this package
// where the request is at fault, and with any other error where the module is:
// a caller answers the first with a decline and the second as it answers an
// outage.
type Module interface {
	// Name names the module in configuration, logs and metrics: "software".
	Name() string

	Keys
	Blocks
	MACs
	PINs
	Tracks
}

// Keys makes keys and speaks about them.
type Keys interface {
	// Generate draws a key. Keys of DES have odd parity and are no weak ones.
	// Errors: ErrAlgorithm.
	Generate(ctx context.Context, use Use, algorithm Algorithm) (Key, error)

	// FormKey makes a key of two or three components, each of the key's size and
	// entered by another person, by XOR. Parity bits of components do not count;
	// a key of DES gets odd parity. Errors: ErrAlgorithm, ErrComponents.
	FormKey(ctx context.Context, use Use, algorithm Algorithm, components ...vault.Secret) (Key, error)

	// CheckValue tells keys apart without telling keys. Errors: ErrKey.
	CheckValue(ctx context.Context, key Key) (CheckValue, error)

	// Rewrap returns the same key under the module's newest master key.
	// Errors: ErrKey.
	Rewrap(ctx context.Context, key Key) (Key, error)

	// NeedsRewrap reports whether Rewrap would put the key under another master
	// key; it computes nothing.
	NeedsRewrap(key Key) bool
}

// Blocks moves keys between modules and to terminals.
type Blocks interface {
	// ImportBlock opens a key block of ASC X9.143 (TR-31), version B or D, under
	// a key of UseKeyBlock. The block must say that its key is for want.
	// Errors: ErrKey, ErrUse, ErrBlock, ErrBlockMAC, ErrBlockUse, ErrAlgorithm.
	ImportBlock(ctx context.Context, kbpk Key, block string, want Use) (Key, error)

	// ExportBlock makes a key block: version B under a key of TDES, D under one
	// of AES. The block says what may be done with it on the other side; a key
	// may not be given more freedom than it has. Errors: ErrKey, ErrUse,
	// ErrExportability, ErrAlgorithm where kbpk is weaker than key.
	ExportBlock(ctx context.Context, kbpk, key Key, exportability Exportability) (string, error)

	// Encrypt returns a working key (PIN, MAC or track) of DES under a terminal
	// master key of DES, in ECB mode: 8 bytes for a single-length key, 16 for a
	// double-length one, as UnionPay's sign-in carries them.
	// Errors: ErrKey, ErrUse, ErrExportability, ErrAlgorithm.
	Encrypt(ctx context.Context, terminalMaster, key Key) ([]byte, error)

	// InitialKey derives the DUKPT initial key of the terminal whose key serial
	// number it is, to be exported to that terminal. Errors: ErrKey, ErrUse, ErrKSN.
	InitialKey(ctx context.Context, base Key, ksn []byte) (Key, error)
}

// MACs computes message authentication codes.
type MACs interface {
	// MAC returns an algorithm of package mac under a key of UseMAC. It costs a
	// key schedule: callers keep it for as long as they keep the key.
	// Errors: ErrKey, ErrUse, ErrAlgorithm.
	MAC(ctx context.Context, key Key, algorithm string) (MAC, error)

	// DUKPTMAC returns the MAC of one transaction and one direction.
	// Errors: ErrKey, ErrUse, ErrAlgorithm, ErrKSN.
	DUKPTMAC(ctx context.Context, base Key, ksn []byte, direction Direction, algorithm string) (MAC, error)
}

// PINs verifies and translates PINs.
type PINs interface {
	// ReferencePIN returns what is kept of a card's PIN: [ReferenceBytes] that
	// mean nothing without the module, and verify only for the same card token.
	// Errors: ErrKey, ErrUse, ErrKSN, ErrPINBlock, ErrPINFormat.
	ReferencePIN(ctx context.Context, pin EncryptedPIN, token [vault.TokenBytes]byte) ([]byte, error)

	// VerifyPIN compares a PIN with its reference. A block that does not decode
	// is PINMalformed and not an error: a PIN enciphered under another key looks
	// like one. Errors: ErrKey, ErrUse, ErrKSN, ErrPINFormat, ErrReference.
	VerifyPIN(ctx context.Context, check PINCheck) (PINResult, error)

	// TranslatePIN returns the PIN's block under another key and in another
	// format, for an issuer's link. A PIN that is bound to its card number stays
	// bound (ISO 9564-1:2017, table 1).
	// Errors: ErrKey, ErrUse, ErrKSN, ErrPINBlock, ErrPINFormat.
	TranslatePIN(ctx context.Context, pin EncryptedPIN, to PINTarget) ([]byte, error)
}

// Tracks decrypts track data.
type Tracks interface {
	// DecryptTrack returns a track whose sensitive part a terminal encrypted
	// under its track key, as the third digit of UnionPay's F53 announces: see
	// package track. Errors: ErrKey, ErrUse, ErrTrack.
	DecryptTrack(ctx context.Context, key Key, track string) (string, error)
}

// MAC is a message authentication code under a key it holds; it fits
// wire.MACAlgorithm. It is safe for concurrent use.
type MAC interface {
	// Name names the algorithm in configuration and logs.
	Name() string
	// Sum returns the MAC of data. It fails where a hardware module does.
	Sum(data []byte) ([8]byte, error)
}

// Direction says who computed a MAC: DUKPT has a key for each.
type Direction uint8

// The directions of a message.
const (
	FromTerminal Direction = iota + 1
	ToTerminal
)

// EncryptedPIN is a PIN as it arrives.
type EncryptedPIN struct {
	Key    Key    // of UsePIN, or of UseDUKPTBase with KSN
	KSN    []byte // 10 bytes of TDES DUKPT, 12 of AES DUKPT
	Format PINFormat
	Block  []byte   // 8 bytes, 16 of format 4
	PAN    card.PAN // formats 0, 3 and 4 are bound to it
}

// PINTarget is where a PIN goes to. The card number stays what it is: exchanging
// it would make of a module an oracle for other cards' PINs.
type PINTarget struct {
	Key    Key // of UsePIN
	Format PINFormat
}

// PINCheck is a question about a PIN.
type PINCheck struct {
	EncryptedPIN

	Token     [vault.TokenBytes]byte // of the card
	Reference []byte                 // from ReferencePIN with the same token
}

// PINResult answers a [PINCheck].
type PINResult uint8

// What a PIN turned out to be.
const (
	PINCorrect PINResult = iota + 1
	PINWrong
	// PINMalformed: the block is no PIN block of its format under its key.
	PINMalformed
)

// String returns "correct", "wrong" or "malformed".
func (r PINResult) String() string {
	switch r {
	case PINCorrect:
		return "correct"
	case PINWrong:
		return "wrong"
	case PINMalformed:
		return "malformed"
	default:
		return "unknown"
	}
}
