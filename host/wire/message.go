package wire

import (
	"math/bits"
	"slices"
)

const mtiDigits = 4

// Message is a message type indicator and fields. Its values are places in one
// block of memory of its own: nothing in it refers to the bytes it was parsed from,
// and parsing into it again, or Reset, uses the same memory for other values. It is
// not safe for concurrent use.
//
// Get and Bytes copy, so what they give can be kept. View does not: what it gives
// is the message's memory, for a look.
//
// Values are characters, or raw bytes for binary fields. A message made by hand
// knows no spec, so a field holds what it was given as: characters after Set,
// raw bytes after SetBytes; Pack converts (hex to bytes and back) where the
// spec's field wants the other.
type Message struct {
	mti    string
	set    fieldSet
	items  []item // of the set, in ascending order of field
	memory []byte
	// misfit is a field that was set and that no bitmap has, 0 for none: it keeps the
	// message from being packed.
	misfit int
	// spec, bitmap (of the fields came) and each item's wire are how the message was
	// received where the spec allows more than one way; they hold for packing in the
	// same spec.
	spec   *Spec
	came   fieldSet
	bitmap span
}

// form says what an item's value is.
type form uint8

const (
	formText    form = iota // characters
	formBytes               // raw bytes
	formHexText             // characters that may carry raw bytes as hex
)

// item is a field's value in the message's memory.
type item struct {
	value span
	// wire is the value as received where that is not its canonical encoding.
	wire  span
	field uint8
	form  form
}

// NewMessage returns an empty message of a type such as "0210".
func NewMessage(mti string) *Message { return &Message{mti: mti} }

// Reset makes the message an empty one of a type, and keeps its memory: what View
// gave before is something else from then on.
func (m *Message) Reset(mti string) {
	m.mti, m.set, m.misfit, m.spec, m.bitmap = mti, fieldSet{}, 0, nil, span{}
	m.items, m.memory = m.items[:0], m.memory[:0]
}

// Wipe is Reset that leaves nothing of any value in the memory.
func (m *Message) Wipe() {
	clear(m.memory[:cap(m.memory)])
	m.Reset("")
}

// MemoryBytes is how much memory the message's values have, used or not.
func (m *Message) MemoryBytes() int { return cap(m.memory) }

// MTI returns the message type indicator, four digits.
func (m *Message) MTI() string { return m.mti }

// find returns the item's index, or where it belongs. Items are in the order of
// the set's bits.
func (m *Message) find(field int) (int, bool) {
	if field < 1 || field > lastField {
		return 0, false
	}
	return m.set.before(field), m.set.has(field)
}

// Has tells whether the field is present; an empty LLVAR value is.
func (m *Message) Has(field int) bool {
	_, ok := m.find(field)
	return ok
}

// Get returns a field's characters, upper-case hex for a binary one, and "" for
// an absent one. Field 0 is the MTI. The string is a copy.
func (m *Message) Get(field int) string {
	if field == 0 {
		return m.mti
	}
	return string(m.characters(field))
}

func (m *Message) characters(field int) []byte {
	i, ok := m.find(field)
	switch {
	case !ok:
		return nil
	case m.items[i].form == formBytes:
		return appendHex(nil, m.items[i].value.of(m.memory))
	}
	return m.items[i].value.of(m.memory)
}

// View returns a field's characters, raw bytes for a binary one, and nil for an
// absent one, where they are in the message's memory: valid until the message is
// parsed into, Reset or Wiped, and not to be changed. Whoever keeps a value takes
// Get's or Bytes' copy.
func (m *Message) View(field int) []byte {
	i, ok := m.find(field)
	if !ok {
		return nil
	}
	return slices.Clip(m.items[i].value.of(m.memory))
}

// Bytes returns a binary field's raw bytes and another field's characters; nil
// when it is absent. A character field that carries hex (F55 in ASCII) gives the
// bytes behind it, and nil when it holds something else than hex. The bytes are a
// copy.
func (m *Message) Bytes(field int) []byte {
	i, ok := m.find(field)
	if !ok {
		return nil
	}
	value := m.items[i].value.of(m.memory)
	if m.items[i].form == formHexText {
		b, f := unhex(value)
		if f != nil {
			return nil
		}
		return b
	}
	return append(make([]byte, 0, len(value)), value...)
}

// Set puts characters into a field, hex digits for a binary one. Whether the
// spec takes them is found when packing. Field 0 is the MTI.
func (m *Message) Set(field int, value string) {
	if field == 0 {
		m.mti = value
		return
	}
	start := len(m.memory)
	m.memory = append(m.memory, value...)
	m.put(field, formText, tail(m.memory, start))
}

// SetText is Set with characters that are not a string. They are copied.
func (m *Message) SetText(field int, value []byte) {
	start := len(m.memory)
	m.memory = append(m.memory, value...)
	m.put(field, formText, tail(m.memory, start))
}

// SetBytes puts raw bytes into a field, which are written as hex where the
// dialect wants that. The bytes are copied.
func (m *Message) SetBytes(field int, value []byte) {
	start := len(m.memory)
	m.memory = append(m.memory, value...)
	m.put(field, formBytes, tail(m.memory, start))
}

// Copy puts another message's value into a field, and nothing where that message
// has none. How the value was written stays behind.
func (m *Message) Copy(field int, from *Message) {
	i, ok := from.find(field)
	if !ok {
		return
	}
	start := len(m.memory)
	m.memory = append(m.memory, from.items[i].value.of(from.memory)...)
	m.put(field, from.items[i].form, tail(m.memory, start))
}

// put makes what was just appended to the memory a field's value. The value that
// it had stays behind in the memory.
func (m *Message) put(field int, form form, value span) {
	if field < 1 || field > lastField {
		m.misfit = field
		return
	}
	it := item{field: uint8(field), form: form, value: value}
	switch i, ok := m.find(field); {
	case ok:
		m.items[i] = it
		return
	case i == len(m.items): // as messages are made: field after field
		m.items = append(m.items, it)
	default:
		m.items = slices.Insert(m.items, i, it)
	}
	m.set = m.set.with(field)
}

// Unset removes a field.
func (m *Message) Unset(field int) {
	if field == m.misfit {
		m.misfit = 0
	}
	if i, ok := m.find(field); ok {
		m.set = m.set.without(field)
		m.items = slices.Delete(m.items, i, i+1)
	}
}

// Fields returns the numbers of the fields present, ascending, without the MTI
// and the bitmaps.
func (m *Message) Fields() []int {
	fields := make([]int, len(m.items))
	for i := range m.items {
		fields[i] = int(m.items[i].field)
	}
	return fields
}

// fieldSet is a set of field numbers 1 to 128: the two bitmaps.
type fieldSet [2]uint64

func (s fieldSet) has(field int) bool { return s[(field-1)/64]&(1<<(63-(field-1)%64)) != 0 }
func (s fieldSet) count() int         { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// before counts the set's fields below one.
func (s fieldSet) before(field int) int {
	page, bit := (field-1)/64, (field-1)%64
	n := bits.OnesCount64(s[page] >> 1 >> (63 - bit))
	if page == 1 {
		n += bits.OnesCount64(s[0])
	}
	return n
}

// below returns the set without a field and all above it.
func (s fieldSet) below(field int) fieldSet {
	if field > 64 {
		s[1] &^= ^uint64(0) >> (field - 65)
		return s
	}
	s[0] &^= ^uint64(0) >> (field - 1)
	s[1] = 0
	return s
}

// next returns the lowest field of the set above one, 0 when there is none.
func (s fieldSet) next(field int) int {
	if field < 64 {
		if rest := s[0] << field; rest != 0 {
			return field + 1 + bits.LeadingZeros64(rest)
		}
		field = 64
	}
	if rest := s[1] << (field - 64); rest != 0 {
		return field + 1 + bits.LeadingZeros64(rest)
	}
	return 0
}

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
