package wire

import (
	"fmt"
	"strings"

	"meridian/internal/card"
)

// MaskedField is one field as people may see it.
type MaskedField struct {
	Field int
	Name  string
	// Value is the field's value where it may be shown, the masked value of a
	// PAN, or a note of the length such as "(37 characters)".
	Value string
	// Hidden is true when Value is not the field's whole value.
	Hidden bool
}

// MaskedFields renders a message for people: logs, consoles, the decode command.
// It is an allow-list. A field is shown only when the standard gives it a content
// that is no secret; PANs keep their first 6 and last 4 digits; of tracks, PIN
// blocks, MACs, keys, expiry dates, accounts and everything unknown only the
// length is told. What is shown has no card number in it, whatever field somebody
// put one into. Fields come in ascending order, without the MTI.
func (s *Spec) MaskedFields(m *Message) []MaskedField {
	masked := make([]MaskedField, 0, len(m.items))
	for i := range m.items {
		it := &m.items[i]
		number := int(it.field)
		info := s.Describe(number)
		f := MaskedField{Field: number, Name: info.Name}
		value := m.Get(number)
		switch {
		case number == 2:
			f.Value, f.Hidden = MaskPAN(value), true
		case number == 55:
			f.Value, f.Hidden = maskICC(m.Bytes(number), lengthNote(it))
		case info.Kind == KindOther, info.Kind == KindUndefined:
			f.Value, f.Hidden = lengthNote(it), true
		case shownFields[number] && clean(value):
			f.Value = withoutCards(number, value)
			f.Hidden = f.Value != value
		default:
			if shown := s.private(m.mti, number, value); shown != "" {
				f.Value = withoutCards(number, shown)
				f.Hidden = f.Value != value
			} else {
				f.Value, f.Hidden = lengthNote(it), true
			}
		}
		masked = append(masked, f)
	}
	return masked
}

// shownFields are the fields of the 1987 standard whose content is no secret.
var shownFields = func() (shown [lastField + 1]bool) {
	for _, span := range [][2]int{
		{3, 13},  // processing code, amounts, times, STAN
		{15, 19}, // dates, merchant type, country
		{21, 33}, // country, entry mode, NII, condition, fees, institutions
		{37, 44}, // RRN, approval, response, terminal, merchant
		{49, 51}, // currencies
		{53, 54}, // formats of the PIN block, additional amounts
		{66, 95}, // settlement, network management, totals, original data
		{97, 97}, {99, 100},
	} {
		for f := span[0]; f <= span[1]; f++ {
			shown[f] = true
		}
	}
	return shown
}()

// privateFields renders a field whose content the parties agree on: what may be
// seen of its value, or nothing.
type privateFields func(mti string, fieldNumber int, value string) string

// iso87Private decides for fields 60 to 63. Card verification values and working
// keys travel there too, so a request shows only what has the shape of a batch
// number, an invoice, an amount or an original reference, and key management shows
// nothing.
func iso87Private(mti string, fieldNumber int, value string) string {
	if fieldNumber < 60 || fieldNumber > 63 || len(mti) != mtiDigits || !clean(value) {
		return ""
	}
	switch class := mti[1]; {
	case class == classManagement:
	case isAnswer(mti), class == classSettlement:
		return value
	case fieldNumber == 60 || fieldNumber == 62:
		if isDigits(value) && (len(value) == 6 || len(value) == 12 || len(value) == 22) {
			return value
		}
	}
	return ""
}

// unionPayPrivate decides for UnionPay's fields. Totals, references to originals
// and the text for the terminal are shown. F48 holds card numbers in a batch
// upload, F62 working keys, F63 an operator's password in some sign-ins, and what
// F46, F47 and F56 to F59 hold is between terminal and acquirer: nothing of them
// is.
func unionPayPrivate(mti string, fieldNumber int, value string) string {
	if len(mti) != mtiDigits {
		return ""
	}
	switch fieldNumber {
	case 48: // one half or both of the totals; how many were uploaded
		totals := mti[1] == classSettlement && (len(value) == 31 || len(value) == 62)
		if isDigits(value) && (totals || len(value) == 4) {
			return value
		}
	case 60: // type, batch and network management
		if isDigits(value) {
			return value
		}
	case 61: // original batch and STAN; its date; how it was authorized, and by whom
		if isDigits(value) && (len(value) == 12 || len(value) == 16 || len(value) == 29) {
			return value
		}
	case 63: // operator or card scheme, and in an answer a text, which may be Chinese
		const scheme = 3
		switch {
		case len(value) <= scheme && clean(value), isAnswer(mti) && clean(value):
			return value
		case isAnswer(mti) && len(value) > scheme && clean(value[:scheme]):
			return fmt.Sprintf("%s and %d more characters", value[:scheme], len(value)-scheme)
		}
	}
	return ""
}

// Message classes, the second digit of an MTI.
const (
	classSettlement = '5'
	classManagement = '8'
)

// isAnswer tells whether a message type is an answer's.
func isAnswer(mti string) bool { return (mti[2]-'0')%2 == 1 }

// clean tells whether a value can be printed as it is.
func clean(value string) bool { return text.check([]byte(value)) == nil }

func isDigits(value string) bool { return asciiNumeric.check([]byte(value)) == nil }

// lengthNote says how much a hidden field holds.
func lengthNote(it *item) string {
	unit := "characters"
	if it.form == formBytes {
		unit = "bytes"
	}
	return fmt.Sprintf("(%d %s)", it.value.end-it.value.start, unit)
}

// MaskPAN keeps the first 6 and the last 4 digits of a PAN, and nothing of what
// is too short to be one.
func MaskPAN(pan string) string {
	const least = 13 // digits of which something is hidden that is worth the name
	if len(pan) < least {
		return strings.Repeat("*", len(pan))
	}
	return pan[:6] + strings.Repeat("*", len(pan)-10) + pan[len(pan)-4:]
}

// shownTags are the EMV tags that say nothing of the cardholder: the cryptogram
// and what it was computed over.
var shownTags = map[uint32]bool{
	0x4F: true, 0x82: true, 0x84: true, 0x8A: true, 0x91: true, 0x95: true, 0x9A: true, 0x9B: true, 0x9C: true,
	0x5F2A: true, 0x5F34: true, 0x9F02: true, 0x9F03: true, 0x9F06: true, 0x9F09: true, 0x9F10: true,
	0x9F1A: true, 0x9F1E: true, 0x9F26: true, 0x9F27: true, 0x9F33: true, 0x9F34: true, 0x9F35: true,
	0x9F36: true, 0x9F37: true, 0x9F41: true,
}

// maskICC renders chip data tag by tag, values only of shownTags that have no card
// number in them; note stands for data that is no TLV.
func maskICC(data []byte, note string) (value string, hidden bool) {
	var out strings.Builder
	err := WalkTLV(data, func(tag uint32, value []byte) bool {
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		if shownTags[tag] && !cardInTag(tag, value) {
			fmt.Fprintf(&out, "%X=%X", tag, value)
		} else {
			hidden = true
			fmt.Fprintf(&out, "%X=(%d bytes)", tag, len(value))
		}
		return true
	})
	if err != nil || out.Len() == 0 {
		return note, true
	}
	return out.String(), hidden
}

// cardInTag tells whether a value has a card number in it, packed or as text. Bits and
// counters are digits by chance, so what is packed counts where a network issues it. A
// terminal's serial number is text, and text of digits looks like packed ones.
func cardInTag(tag uint32, value []byte) bool {
	const serialNumber = 0x9F1E
	packed, written := fmt.Sprintf("%X", value), string(value)
	return card.MaskDigits(written) != written || card.HasIssued(packed) && (tag != serialNumber || !clean(written))
}
