package wire

import (
	"math/bits"
	"slices"
	"sort"
)

const mtiDigits = 4

// Message is a message type indicator and fields. It owns its memory: nothing in
// it refers to the bytes it was parsed from. It is not safe for concurrent use.
//
// Values are characters, or raw bytes for binary fields. A message made by hand
// knows no spec, so a field holds what it was given as: characters after Set,
// raw bytes after SetBytes; Pack converts (hex to bytes and back) where the
// spec's field wants the other.
type Message struct {
	mti   string
	items []item // in ascending order of field
	// spec, bitmap and each item's wire are how the message was received where
	// the spec allows more than one way; they hold for packing in the same spec.
	spec   *Spec
	bitmap string
}

// form says what an item's value is.
type form uint8

const (
	formText    form = iota // characters
	formBytes               // raw bytes
	formHexText             // characters that may carry raw bytes as hex
)

type item struct {
	field int
	form  form
	value string
	// wire is the value as received where that is not its canonical encoding.
	wire string
}

// NewMessage returns an empty message of a type such as "0210".
func NewMessage(mti string) *Message { return &Message{mti: mti} }

// MTI returns the message type indicator, four digits.
func (m *Message) MTI() string { return m.mti }

// find returns the item's index, or where it belongs.
func (m *Message) find(field int) (int, bool) {
	i := sort.Search(len(m.items), func(i int) bool { return m.items[i].field >= field })
	return i, i < len(m.items) && m.items[i].field == field
}

// Has tells whether the field is present; an empty LLVAR value is.
func (m *Message) Has(field int) bool {
	_, ok := m.find(field)
	return ok
}

// Get returns a field's characters, upper-case hex for a binary one, and "" for
// an absent one. Field 0 is the MTI.
func (m *Message) Get(field int) string {
	if field == 0 {
		return m.mti
	}
	i, ok := m.find(field)
	switch {
	case !ok:
		return ""
	case m.items[i].form == formBytes:
		return string(appendHex(nil, m.items[i].value))
	}
	return m.items[i].value
}

// Bytes returns a binary field's raw bytes and another field's characters; nil
// when it is absent. A character field that carries hex (F55 in ASCII) gives the
// bytes behind it, and nil when it holds something else than hex.
func (m *Message) Bytes(field int) []byte {
	i, ok := m.find(field)
	if !ok {
		return nil
	}
	if m.items[i].form == formHexText {
		b, f := unhex(m.items[i].value)
		if f != nil {
			return nil
		}
		return b
	}
	return []byte(m.items[i].value)
}

// Set puts characters into a field, hex digits for a binary one. Whether the
// spec takes them is found when packing. Field 0 is the MTI.
func (m *Message) Set(field int, value string) {
	if field == 0 {
		m.mti = value
		return
	}
	m.put(item{field: field, form: formText, value: value})
}

// SetBytes puts raw bytes into a field, which are written as hex where the
// dialect wants that. The bytes are copied.
func (m *Message) SetBytes(field int, value []byte) {
	m.put(item{field: field, form: formBytes, value: string(value)})
}

func (m *Message) put(it item) {
	i, ok := m.find(it.field)
	if ok {
		m.items[i] = it
		return
	}
	m.items = slices.Insert(m.items, i, it)
}

// Unset removes a field.
func (m *Message) Unset(field int) {
	if i, ok := m.find(field); ok {
		m.items = slices.Delete(m.items, i, i+1)
	}
}

// Fields returns the numbers of the fields present, ascending, without the MTI
// and the bitmaps.
func (m *Message) Fields() []int {
	fields := make([]int, len(m.items))
	for i := range m.items {
		fields[i] = m.items[i].field
	}
	return fields
}

// fieldSet is a set of field numbers 1 to 128: the two bitmaps.
type fieldSet [2]uint64

func (s fieldSet) has(field int) bool { return s[(field-1)/64]&(1<<(63-(field-1)%64)) != 0 }
func (s fieldSet) count() int         { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// last returns the highest field of the set, 0 when it is empty.
func (s fieldSet) last() int {
	switch {
	case s[1] != 0:
		return 128 - bits.TrailingZeros64(s[1])
	case s[0] != 0:
		return 64 - bits.TrailingZeros64(s[0])
	}
	return 0
}

// with returns the set with a field.
func (s fieldSet) with(field int) fieldSet {
	s[(field-1)/64] |= 1 << (63 - (field-1)%64)
	return s
}

// without returns the set without a field.
func (s fieldSet) without(field int) fieldSet {
	s[(field-1)/64] &^= 1 << (63 - (field-1)%64)
	return s
}

// fieldSet returns the message's fields that bits stand for.
func (m *Message) fieldSet() fieldSet {
	var s fieldSet
	for i := range m.items {
		if f := m.items[i].field; f > 0 && f <= lastField {
			s = s.with(f)
		}
	}
	return s
}
