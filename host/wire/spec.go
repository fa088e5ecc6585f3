package wire

import (
	"errors"
	"fmt"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
)

const (
	bitmapBytes = 8
	// lastField is the highest field of two bitmaps.
	lastField = 128
	// secondaryBitmap and tertiaryBitmap are the bits that announce a further
	// bitmap instead of a field.
	secondaryBitmap = 1
	tertiaryBitmap  = 65
	// maxFixedUnits bounds the fixed fields of custom specs: what the largest
	// prefix can announce. Together with the digits of LL and LLL it bounds
	// every field.
	maxFixedUnits = 999
)

// Spec is one dialect's field table: how each field's length and value travel.
// It is made from a moov spec, which stays the definition; a Spec is immutable
// and may be shared.
type Spec struct {
	name  string
	moov  *iso8583.MessageSpec
	mti   codec
	hex   bool // the bitmap travels as hex characters
	pages int  // bitmaps a message may have: 1 or 2
	table [lastField + 1]entry
	// private renders what the parties agree on, for people.
	private privateFields
}

// entry is a field's definition, taken apart once.
type entry struct {
	info   FieldInfo
	codec  codec
	prefix *lengthPrefix
	// prefixBytes and form are the prefix's and the codec's.
	prefixBytes int
	form        form
	// pad is true where a short value is filled with spaces.
	pad bool
	// other is set instead of codec and prefix where only moov can read a field.
	other field.Field
}

// Name returns the name the spec was made with.
func (s *Spec) Name() string { return s.name }

// Moov returns the definition. It must not be changed.
func (s *Spec) Moov() *iso8583.MessageSpec { return s.moov }

// Describe returns what the spec knows of a field; its Kind is KindUndefined
// when the spec does not have it.
func (s *Spec) Describe(fieldNumber int) FieldInfo {
	if fieldNumber == 0 {
		return FieldInfo{Field: 0, Name: s.moov.Fields[0].Spec().Description, Kind: KindNumeric, MaxLength: mtiDigits}
	}
	if fieldNumber < 2 || fieldNumber > lastField {
		return FieldInfo{}
	}
	return s.table[fieldNumber].info
}

// mustCompile is for the built-in tables, whose mistakes are found by the first
// test that touches them.
func mustCompile(m *iso8583.MessageSpec) *Spec {
	s, err := compile(m.Name, m)
	if err != nil {
		panic(err)
	}
	return s
}

// compile checks a moov spec and takes it apart.
func compile(name string, m *iso8583.MessageSpec) (*Spec, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("spec %s: %w", name, err)
	}
	s := &Spec{name: name, moov: m, private: iso87Private}
	if err := s.compileMTI(m.Fields[0].Spec()); err != nil {
		return nil, fmt.Errorf("spec %s: field 0: %w", name, err)
	}
	if err := s.compileBitmap(m.Fields[1].Spec()); err != nil {
		return nil, fmt.Errorf("spec %s: field 1: %w", name, err)
	}
	for number, def := range m.Fields {
		if number == 0 || number == secondaryBitmap {
			continue
		}
		if number < 0 || number > 64*s.pages || number == tertiaryBitmap {
			return nil, fmt.Errorf("spec %s: field %d: no bit of this spec's bitmaps stands for it", name, number)
		}
		e, err := compileField(number, def)
		if err != nil {
			return nil, fmt.Errorf("spec %s: field %d: %w", name, number, err)
		}
		s.table[number] = e
	}
	return s, nil
}

func (s *Spec) compileMTI(def *field.Spec) error {
	enc, ok := def.Enc.(moovEncoder)
	switch {
	case def.Length != mtiDigits:
		return fmt.Errorf("length %d, want %d", def.Length, mtiDigits)
	case ok && enc.kind() == KindNumeric:
		s.mti = enc.codec
	case def.Enc == encoding.ASCII:
		s.mti = asciiNumeric
	case def.Enc == encoding.BCD:
		s.mti = bcdLeft
	default:
		return errors.New("encoding is neither ASCII nor BCD digits")
	}
	return nil
}

func (s *Spec) compileBitmap(def *field.Spec) error {
	enc, ok := def.Enc.(moovEncoder)
	switch {
	case ok && enc.codec == codec(hexDigits{}), def.Enc == encoding.BytesToASCIIHex:
		s.hex = true
	case ok && enc.codec == codec(raw{}), def.Enc == encoding.Binary:
	default:
		return errors.New("encoding is neither binary nor hex")
	}
	s.pages = 2
	if def.DisableAutoExpand {
		s.pages = 1
	}
	// A length of 16 makes moov read both bitmaps whether bit 1 is set or not,
	// which no peer but moov's own example spec does.
	if def.Length != 0 && def.Length != bitmapBytes {
		return fmt.Errorf("length %d, want %d bytes", def.Length, bitmapBytes)
	}
	return nil
}

func compileField(number int, def field.Field) (entry, error) {
	spec := def.Spec()
	e := entry{info: FieldInfo{Field: number, Name: spec.Description, Kind: KindOther, Length: LengthOther, MaxLength: spec.Length}}

	enc, ownEncoding := spec.Enc.(moovEncoder)
	pref, ownPrefix := spec.Pref.(*lengthPrefix)
	if !ownEncoding || !ownPrefix {
		e.other = def
		return e, nil
	}
	limit := map[LengthKind]int{Fixed: maxFixedUnits, LL: 99, LLL: 999}[pref.length]
	if spec.Length < 1 || spec.Length > limit {
		return entry{}, fmt.Errorf("length %d, want 1 to %d", spec.Length, limit)
	}
	_, e.pad = spec.Pad.(spaces)
	if spec.Pad != nil && !e.pad {
		return entry{}, errors.New("this encoding cannot be padded")
	}
	e.codec, e.prefix = enc.codec, pref
	e.prefixBytes = pref.bytes()
	e.info.Kind, e.info.Length = enc.kind(), pref.length
	switch e.info.Kind {
	case KindBinary:
		e.form = formBytes
	case KindHexText:
		e.form = formHexText
	default:
		e.form = formText
	}
	return e, nil
}
