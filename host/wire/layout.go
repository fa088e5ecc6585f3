package wire

import "strings"

// Span is where a field stands in a payload, its length prefix included. Field 0
// is the MTI and 1 the bitmaps.
type Span struct {
	Field      int
	Start, End int
}

// Layout returns where the fields of a payload stand, in their order, up to its
// end or its first fault.
func (s *Spec) Layout(payload []byte) []Span {
	mti, size, _, reason := s.readMTI(payload)
	if reason != "" {
		return nil
	}
	spans := []Span{{0, 0, size}}
	present, end, fault := s.readBitmaps(payload, size)
	if fault != nil {
		return spans
	}
	spans = append(spans, Span{1, size, end})
	m := &Message{spec: s}
	m.Reset(mti)
	m.memory = append(m.memory, payload...)
	p := parser{spec: s, message: m, payload: payload, offset: end}
	present = present.without(secondaryBitmap)
	for number := present.next(0); number != 0; number = present.next(number) {
		start := p.offset
		if p.readField(number) != nil {
			return spans
		}
		spans = append(spans, Span{number, start, p.offset})
	}
	return spans
}

// MaskedPart is a piece of a payload as people may see it.
type MaskedPart struct {
	// Field that it belongs to: 0 the MTI, 1 the bitmaps, [NoField] what could not be
	// read.
	Field int
	// Hex digits of its bytes; empty where they are not shown.
	Hex    string
	Bytes  int
	Hidden bool
}

// MaskedDump renders a payload's bytes for people. It shows those of fields whose
// value [Spec.MaskedFields] shows as a whole, and of all others their number.
func (s *Spec) MaskedDump(payload []byte) (*Message, []MaskedField, []MaskedPart) {
	m := s.Readable(payload)
	if m == nil {
		return nil, nil, []MaskedPart{{Field: NoField, Bytes: len(payload), Hidden: true}}
	}
	fields := s.MaskedFields(m)
	shown := map[int]bool{0: true, 1: true}
	for i := range fields {
		shown[fields[i].Field] = !fields[i].Hidden
	}
	var parts []MaskedPart
	end := 0
	for _, span := range s.Layout(payload) {
		part := MaskedPart{Field: span.Field, Bytes: span.End - span.Start, Hidden: !shown[span.Field]}
		if !part.Hidden {
			part.Hex = string(appendHex(nil, payload[span.Start:span.End]))
		}
		parts = append(parts, part)
		end = span.End
	}
	if left := len(payload) - end; left > 0 {
		parts = append(parts, MaskedPart{Field: NoField, Bytes: left, Hidden: true})
	}
	return m, fields, parts
}

// MaskedTags splits the rendered chip data of a [MaskedField] into its elements;
// nil where it is a note of the length.
func MaskedTags(value string) []string {
	if !strings.Contains(value, "=") {
		return nil
	}
	var tags []string
	for tag := range strings.SplitSeq(value, " ") {
		if strings.Contains(tag, "=") {
			tags = append(tags, tag)
		} else if n := len(tags); n > 0 {
			tags[n-1] += " " + tag // (8 bytes)
		}
	}
	return tags
}
