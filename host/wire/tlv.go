package wire

import (
	"errors"
	"fmt"
)

const (
	// maxTLVs bounds the elements of one F55: EMV names under 40 that a terminal
	// sends.
	maxTLVs = 128
	// maxTagBytes is the longest tag EMV has.
	maxTagBytes = 3
)

// errTLVStopped ends a walk its visitor had enough of.
var errTLVStopped = errors.New("stopped")

// WalkTLV visits the BER-TLV elements of chip data (F55) in their order, the
// outer ones only: a template is one element. Repeated tags are visited each
// time. Values are parts of data, nothing is copied. The walk ends early without
// error when visit returns false.
//
// The error names the offset and never a value: a tag over 3 bytes, an
// indefinite length or one over 2 bytes, a value that passes the end, more than
// 128 elements.
func WalkTLV(data []byte, visit func(tag uint32, value []byte) bool) error {
	offset := 0
	for elements := 0; offset < len(data); elements++ {
		if elements == maxTLVs {
			return fmt.Errorf("walk TLV: offset %d: more than %d elements", offset, maxTLVs)
		}
		if data[offset] == 0 { // filler that EMV allows between elements
			offset++
			elements--
			continue
		}
		next, err := walkElement(data, offset, visit)
		if errors.Is(err, errTLVStopped) {
			return nil
		}
		if err != nil {
			return err
		}
		offset = next
	}
	return nil
}

// walkElement visits the element at offset and returns where the next one is.
func walkElement(data []byte, offset int, visit func(tag uint32, value []byte) bool) (int, error) {
	start := offset
	tag := uint32(data[offset])
	offset++
	if tag&0x1F == 0x1F {
		for more := true; more; offset++ {
			if offset >= len(data) || offset-start >= maxTagBytes {
				return 0, fmt.Errorf("walk TLV: offset %d: tag does not end within %d bytes", start, maxTagBytes)
			}
			tag = tag<<8 | uint32(data[offset])
			more = data[offset]&0x80 != 0
		}
	}
	if offset >= len(data) {
		return 0, fmt.Errorf("walk TLV: offset %d: no length", offset)
	}
	length := int(data[offset])
	offset++
	if length&0x80 != 0 {
		size := length & 0x7F
		if size < 1 || size > 2 || size > len(data)-offset {
			return 0, fmt.Errorf("walk TLV: offset %d: length is not 1 or 2 bytes", offset-1)
		}
		length = 0
		for range size {
			length = length<<8 | int(data[offset])
			offset++
		}
	}
	if length > len(data)-offset {
		return 0, fmt.Errorf("walk TLV: offset %d: %d bytes announced, %d left", offset, length, len(data)-offset)
	}
	if !visit(tag, data[offset:offset+length]) {
		return 0, errTLVStopped
	}
	return offset + length, nil
}
