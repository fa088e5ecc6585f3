package wire

import (
	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/padding"
)

// row is one line of a field table.
type row struct {
	field  int
	name   string
	kind   Kind
	length LengthKind
	max    int
}

// style says how the kinds of a table travel in one dialect.
type style struct {
	mti          codec
	fixedNumeric codec
	varNumeric   codec
	track        codec
	amount       codec
	binary       codec
	bitmap       codec
	ll, lll      *lengthPrefix
	// own are the fields that do not travel as their kind does.
	own map[int]codec
}

func (s style) codec(r row) codec {
	if own, ok := s.own[r.field]; ok {
		return own
	}
	switch r.kind {
	case KindNumeric:
		if r.length == Fixed {
			return s.fixedNumeric
		}
		return s.varNumeric
	case KindTrack:
		return s.track
	case KindAmount:
		return s.amount
	case KindBinary:
		return s.binary
	case KindHexText:
		return hexText
	case KindPrivate:
		return private
	default:
		return text
	}
}

func (s style) prefix(l LengthKind) *lengthPrefix {
	switch l {
	case LL:
		return s.ll
	case LLL:
		return s.lll
	default:
		return fixedLength
	}
}

// paddedFields are the fixed character fields whose values are names: a shorter
// one is filled with spaces. Any other short value is an error, because a
// silently completed RRN or currency is a wrong one.
var paddedFields = map[int]bool{41: true, 42: true, 43: true}

// buildMoov turns a table into the moov spec that is the source of truth for a
// dialect.
func buildMoov(name string, s style, rows []row) *iso8583.MessageSpec {
	spec := &iso8583.MessageSpec{Name: name, Fields: map[int]field.Field{
		0: field.NewString(&field.Spec{Length: 4, Description: "Message Type Indicator", Enc: moovEncoder{s.mti}, Pref: fixedLength}),
		1: field.NewBitmap(&field.Spec{Length: bitmapBytes, Description: "Bitmap", Enc: moovEncoder{s.bitmap}, Pref: fixedLength}),
	}}
	for _, r := range rows {
		def := &field.Spec{Length: r.max, Description: r.name, Enc: moovEncoder{s.codec(r)}, Pref: s.prefix(r.length)}
		if paddedFields[r.field] {
			def.Pad = spaces{}
		}
		if r.kind == KindBinary {
			spec.Fields[r.field] = field.NewBinary(def)
		} else {
			spec.Fields[r.field] = field.NewString(def)
		}
	}
	return spec
}

// spaces fills a short value on the right when it is packed. It takes nothing
// away when parsing, so that a message packs back to the bytes it came as.
type spaces struct{}

var _ padding.Padder = spaces{}

// Pad implements moov's padding.Padder.
func (spaces) Pad(value []byte, length int) []byte {
	for len(value) < length {
		value = append(value, ' ')
	}
	return value
}

// Unpad implements moov's padding.Padder.
func (spaces) Unpad(value []byte) []byte { return value }

// Inspect implements moov's padding.Padder.
func (spaces) Inspect() []byte { return []byte{' '} }
