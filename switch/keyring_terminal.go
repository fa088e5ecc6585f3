package switching

import (
	"bytes"

	"meridian/internal/hsm"
)

// KeyScheme is where a terminal's keys come from.
type KeyScheme string

// The key schemes. The zero one is as good as static.
const (
	// SchemeStatic: people have loaded them.
	SchemeStatic KeyScheme = "static"
	// SchemeSession: the terminal signs in and is given new ones.
	SchemeSession KeyScheme = "session"
	// SchemeTDES derives them of a base key for each message (ANSI X9.24-1).
	SchemeTDES KeyScheme = "dukpt-tdes"
	// SchemeAES is the same with AES (ANSI X9.24-3).
	SchemeAES KeyScheme = "dukpt-aes"
)

// Derives tells whether each message has keys of its own.
func (s KeyScheme) Derives() bool { return s == SchemeTDES || s == SchemeAES }

// TerminalKeys are the keys of a terminal's row, as [hsm.Key.Bytes] has them:
// only the security module opens them. Nil for those it has not.
type TerminalKeys struct {
	Scheme KeyScheme
	TMK    []byte
	MAK    []byte
	PIK    []byte
	// BaseKey and InitialKSN of a terminal whose keys are derived: the key serial
	// number without its counter, 10 bytes of TDES and 8 of AES.
	BaseKey    []byte
	InitialKSN []byte
	// PINFormat of blocks that do not say theirs.
	PINFormat hsm.PINFormat
}

// sameKeys tells whether what is made of one's keys is good for the other.
func (t *Terminal) sameKeys(o *Terminal) bool {
	return t == o || t.Scheme == o.Scheme && t.MACAlgorithm == o.MACAlgorithm &&
		bytes.Equal(t.MAK, o.MAK) && bytes.Equal(t.PIK, o.PIK) &&
		bytes.Equal(t.BaseKey, o.BaseKey) && bytes.Equal(t.InitialKSN, o.InitialKSN)
}

// pinFormats by their names in the database.
var pinFormats = map[string]hsm.PINFormat{
	hsm.PINFormat0.String(): hsm.PINFormat0, hsm.PINFormat1.String(): hsm.PINFormat1,
	hsm.PINFormat3.String(): hsm.PINFormat3, hsm.PINFormat4.String(): hsm.PINFormat4,
}
