package wire

// Kind is what a field may hold, in the letters of ISO 8583.
type Kind uint8

const (
	// KindUndefined is the kind of a field the spec does not have.
	KindUndefined Kind = iota
	// KindNumeric (n) holds decimal digits.
	KindNumeric
	// KindTrack (z) holds digits and the separator of track 2, rendered as "=".
	KindTrack
	// KindAmount (x+n) is C (credit), D (debit) or 0 (unsigned, as jPOS fills
	// it) and digits in minor units.
	KindAmount
	// KindText (ans) holds printable ASCII.
	KindText
	// KindPrivate (ans, private or national use) holds any byte: terminals put
	// tables with binary lengths and text in national character sets there.
	KindPrivate
	// KindBinary (b) holds raw bytes; in ASCII dialects they travel as hex.
	KindBinary
	// KindHexText is a character field that carries raw bytes as hex digits (F55
	// of ASCII dialects). Its length counts characters, and text that is not hex
	// is carried unchanged.
	KindHexText
	// KindOther is a field of a custom spec that only its moov definition can
	// read, such as a composite.
	KindOther
)

// String returns the kind's letters in ISO 8583 notation.
func (k Kind) String() string {
	switch k {
	case KindUndefined:
		return "undefined"
	case KindNumeric:
		return "n"
	case KindTrack:
		return "z"
	case KindAmount:
		return "x+n"
	case KindText:
		return "ans"
	case KindPrivate:
		return "ans, any byte"
	case KindBinary:
		return "b"
	case KindHexText:
		return "ans, hex"
	case KindOther:
		return "other"
	}
	return "undefined"
}

// LengthKind tells how a field's length travels.
type LengthKind uint8

const (
	// Fixed is a length known from the table.
	Fixed LengthKind = iota
	// LL is a prefix of two decimal digits.
	LL
	// LLL is a prefix of three decimal digits.
	LLL
	// LengthOther is a prefix of a custom spec that only moov can read.
	LengthOther
)

// String returns the notation of ISO 8583: fixed, LLVAR or LLLVAR.
func (l LengthKind) String() string {
	switch l {
	case Fixed:
		return "fixed"
	case LL:
		return "LLVAR"
	case LLL:
		return "LLLVAR"
	case LengthOther:
		return "other"
	}
	return "other"
}

// FieldInfo describes one field of a spec. The zero value, whose Kind is
// KindUndefined, stands for a field the spec does not have.
type FieldInfo struct {
	Field int
	Name  string
	Kind  Kind
	// Length tells whether MaxLength is exact or a bound.
	Length LengthKind
	// MaxLength counts digits (n, z), characters (ans, x+n with its sign) or
	// bytes (b).
	MaxLength int
}
