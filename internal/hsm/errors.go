package hsm

import "errors"

// Errors of a [Module]. None of them contains a key, a PIN or a track.
var (
	// ErrKey: not a key of this module, or changed since it was made.
	ErrKey = errors.New("not a key of this module")
	// ErrUse: the key is for something else, or its mode does not allow it.
	ErrUse = errors.New("key has another use")
	// ErrAlgorithm: the key's algorithm does not fit its use or what is asked.
	ErrAlgorithm = errors.New("algorithm does not fit")
	// ErrComponents: not two or three different components of the key's size.
	ErrComponents = errors.New("key components do not make a key")
	// ErrExportability: the key may not leave the module in this way.
	ErrExportability = errors.New("key may not be exported")
	// ErrBlock: not a key block of a version that is understood.
	ErrBlock = errors.New("not a key block")
	// ErrBlockMAC: the key block was changed, or is under another key.
	ErrBlockMAC = errors.New("key block was changed or is under another key")
	// ErrBlockUse: the key block's key is for something else.
	ErrBlockUse = errors.New("key block is for another use")
	// ErrKSN: not a key serial number, or one that must not be used.
	ErrKSN = errors.New("not a key serial number")
	// ErrPINBlock: no PIN block of its format under its key.
	ErrPINBlock = errors.New("not a PIN block")
	// ErrPINFormat: the format and the key or the card number do not go together, or
	// a PIN must not be brought into this format.
	ErrPINFormat = errors.New("PIN format does not fit")
	// ErrReference: no PIN reference, or one of a key that is not there.
	ErrReference = errors.New("not a PIN reference")
	// ErrTrack: not a track that could have been encrypted.
	ErrTrack = errors.New("not an encrypted track")
	// ErrSandboxOnly: a clear key or PIN outside of a sandbox.
	ErrSandboxOnly = errors.New("only a sandbox takes clear keys and PINs")
)
