package hsm

import (
	"fmt"
	"slices"

	"meridian/internal/hsm/cipherkey"
)

// Algorithm is a block cipher with a key size.
type Algorithm = cipherkey.Algorithm

// The algorithms of keys.
const (
	DES    = cipherkey.DES   // single length: UnionPay working keys of sign-in 001
	TDES2  = cipherkey.TDES2 // double length
	TDES3  = cipherkey.TDES3 // triple length
	AES128 = cipherkey.AES128
	AES192 = cipherkey.AES192
	AES256 = cipherkey.AES256
)

// CheckValue is the first four bytes of what a key makes of zeros.
type CheckValue = cipherkey.CheckValue

// Use is the one thing a key is for. Its numbers are stored.
type Use uint8

// The uses of keys.
const (
	// UseTerminalMaster encrypts working keys for a terminal (TMK).
	UseTerminalMaster Use = 1
	// UseMAC authenticates messages (MAK, TAK).
	UseMAC Use = 2
	// UsePIN encrypts PIN blocks (PIK, TPK, ZPK).
	UsePIN Use = 3
	// UseTrack encrypts track data (TDK).
	UseTrack Use = 4
	// UseKeyBlock protects key blocks (KBPK, ZMK).
	UseKeyBlock Use = 5
	// UseDUKPTBase derives terminals' initial keys (BDK).
	UseDUKPTBase Use = 6
	// UseDUKPTInitial is a terminal's initial key (IPEK, IK).
	UseDUKPTInitial Use = 7
)

var useNames = [...]string{
	UseTerminalMaster: "terminal-master", UseMAC: "mac", UsePIN: "pin", UseTrack: "track",
	UseKeyBlock: "key-block", UseDUKPTBase: "dukpt-base", UseDUKPTInitial: "dukpt-initial",
}

// Valid reports whether there is such a use.
func (u Use) Valid() bool { return u >= UseTerminalMaster && u <= UseDUKPTInitial }

// String returns the use's name in commands and logs, such as "mac".
func (u Use) String() string {
	if !u.Valid() {
		return fmt.Sprintf("use %d", uint8(u))
	}
	return useNames[u]
}

// ParseUse is the inverse of [Use.String].
func ParseUse(name string) (Use, error) {
	for u := UseTerminalMaster; u.Valid(); u++ {
		if useNames[u] == name {
			return u, nil
		}
	}
	return 0, fmt.Errorf("%w: %q is no use of a key", ErrUse, name)
}

// useRule is what goes together with a use.
type useRule struct {
	algorithms []Algorithm
	mode       Mode   // of a new key
	modes      []Mode // of an imported one
	export     Exportability
	blocks     []string // usages of key blocks (ASC X9.143 §6.3.1) that are imported
}

// useRules: an 8-byte key is one of UnionPay's older terminals; nothing that is
// made to last takes it. Working keys leave the module under a terminal master key
// and outside of a key block, everything else in one.
var useRules = [...]useRule{
	UseTerminalMaster: {
		[]Algorithm{DES, TDES2, TDES3},
		ModeBoth,
		[]Mode{ModeBoth, ModeEncrypt, ModeAny},
		Exportable,
		[]string{"K0"},
	},
	UseMAC: {
		[]Algorithm{DES, TDES2, AES128, AES192, AES256},
		ModeMAC,
		[]Mode{ModeMAC, ModeAny},
		SensitiveExportable,
		[]string{"M0", "M1", "M3", "M6"},
	},
	UsePIN: {
		[]Algorithm{DES, TDES2, TDES3, AES128, AES192, AES256},
		ModeBoth,
		[]Mode{ModeBoth, ModeEncrypt, ModeDecrypt, ModeAny},
		SensitiveExportable,
		[]string{"P0"},
	},
	UseTrack: {
		[]Algorithm{TDES2, TDES3},
		ModeBoth,
		[]Mode{ModeBoth, ModeDecrypt, ModeAny},
		SensitiveExportable,
		[]string{"D0"},
	},
	UseKeyBlock: {
		[]Algorithm{TDES2, TDES3, AES128, AES192, AES256},
		ModeBoth,
		[]Mode{ModeBoth, ModeEncrypt, ModeDecrypt, ModeAny},
		Exportable,
		[]string{"K1"},
	},
	UseDUKPTBase: {
		[]Algorithm{TDES2, AES128, AES192, AES256},
		ModeDerive,
		[]Mode{ModeDerive, ModeAny},
		Exportable,
		[]string{"B0"},
	},
	UseDUKPTInitial: {
		[]Algorithm{TDES2, AES128, AES192, AES256},
		ModeDerive,
		[]Mode{ModeDerive, ModeAny},
		Exportable,
		[]string{"B1"},
	},
}

// rule returns the zero rule, which allows nothing, for no use.
func (u Use) rule() useRule {
	if !u.Valid() {
		return useRule{}
	}
	return useRules[u]
}

func (u Use) takes(a Algorithm) bool { return slices.Contains(u.rule().algorithms, a) }

func (u Use) allows(m Mode) bool { return slices.Contains(u.rule().modes, m) }

// Exportability says how a key may leave the module (ASC X9.143 §6.2).
type Exportability byte

// The exportabilities.
const (
	// NotExportable: never.
	NotExportable Exportability = 'N'
	// Exportable: in a key block under a key of UseKeyBlock.
	Exportable Exportability = 'E'
	// SensitiveExportable: also outside of a key block, as UnionPay's sign-in
	// carries working keys.
	SensitiveExportable Exportability = 'S'
)

// Valid reports whether there is such an exportability.
func (e Exportability) Valid() bool { return e.freedom() > 0 }

// freedom orders exportabilities.
func (e Exportability) freedom() int {
	switch e {
	case NotExportable:
		return 1
	case Exportable:
		return 2
	case SensitiveExportable:
		return 3
	default:
		return 0
	}
}

// Mode says what may be done with a key (ASC X9.143 §6.3.3).
type Mode byte

// The modes of use.
const (
	ModeAny     Mode = 'N' // what the use allows
	ModeBoth    Mode = 'B' // encrypt and decrypt
	ModeEncrypt Mode = 'E'
	ModeDecrypt Mode = 'D'
	ModeMAC     Mode = 'C' // generate and verify
	ModeDerive  Mode = 'X'
)

// Key is a key that only its module opens. Its fields are no secrets, and they
// cannot be changed: the module authenticates them.
type Key struct {
	Use           Use
	Algorithm     Algorithm
	Mode          Mode
	Exportability Exportability
	Wrapped       []byte // the module's own
}

// The part of [Key.Bytes] before the wrapped key: version, use, algorithm, mode,
// exportability.
const (
	keyVersion     = 1
	keyHeaderBytes = 5

	// MaxKeyBytes bounds what [ParseKey] looks at. The software module needs
	// about 90 bytes; hardware modules have key blocks of some hundreds.
	MaxKeyBytes = 1024
)

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return len(k.Wrapped) == 0 }

// String says what the key is for, and nothing of the key.
func (k Key) String() string {
	if k.IsZero() {
		return "no key"
	}
	return k.Use.String() + " key of " + k.Algorithm.String()
}

// Bytes returns the key as a database's column holds it; nil for the zero Key.
func (k Key) Bytes() []byte {
	if k.IsZero() {
		return nil
	}
	stored := make([]byte, 0, keyHeaderBytes+len(k.Wrapped))
	stored = append(stored, keyVersion, byte(k.Use), byte(k.Algorithm), byte(k.Mode), byte(k.Exportability))
	return append(stored, k.Wrapped...)
}

// ParseKey reads what [Key.Bytes] made, and checks that it is for the wanted
// use. It fails with [ErrKey] or [ErrUse]; whether the key opens is seen when it
// is used.
func ParseKey(stored []byte, want Use) (Key, error) {
	if len(stored) <= keyHeaderBytes || len(stored) > MaxKeyBytes || stored[0] != keyVersion {
		return Key{}, fmt.Errorf("%w: %d bytes that are not a stored key", ErrKey, len(stored))
	}
	k := Key{
		Use: Use(stored[1]), Algorithm: Algorithm(stored[2]), Mode: Mode(stored[3]), Exportability: Exportability(stored[4]),
		Wrapped: stored[keyHeaderBytes:],
	}
	if !k.Use.takes(k.Algorithm) || !k.Use.allows(k.Mode) || !k.Exportability.Valid() {
		return Key{}, fmt.Errorf("%w: its use, algorithm, mode and exportability do not go together", ErrKey)
	}
	if k.Use != want {
		return Key{}, fmt.Errorf("%w: %s, want a %s key", ErrUse, k, want)
	}
	return k, nil
}
