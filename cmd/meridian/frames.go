package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"meridian/host/wire"
)

// lengthNone is --length for messages without a length in front, lengthAuto for whichever length fits.
const (
	lengthNone = "none"
	lengthAuto = "auto"
)

// maxDecodedFrame is the most that a length can announce: what a host refuses can still be looked at.
const maxDecodedFrame = 0xFFFF

// cutFrame is one message cut out of captured bytes.
type cutFrame struct {
	offset  int    // of the length, or of the message where it has none, in bytes from the beginning
	end     int    // of the last byte that belongs to it
	tpdu    string // ten hex digits, empty without one
	header  string // UnionPay's application header, twelve hex digits; empty without one
	payload []byte // from the MTI
	err     error  // the length cannot be trusted, or the bytes end before the frame does
}

// cutFrames cuts captured bytes into messages. With lengthAuto the first format counts whose frames reach exactly to the
// end of the bytes. It returns the format it used.
func cutFrames(data []byte, length string) (frames []cutFrame, used string, err error) {
	switch length {
	case lengthNone:
		return []cutFrame{newCutFrame(0, len(data), data)}, lengthNone, nil
	case lengthAuto:
		for _, format := range []wire.LengthFormat{wire.LengthBinary, wire.LengthBCD, wire.LengthASCII} {
			if frames := cutByLength(data, format); frames[len(frames)-1].err == nil && plausible(frames) {
				return frames, format.String(), nil
			}
		}
		if startsMessage(data) {
			return []cutFrame{newCutFrame(0, len(data), data)}, lengthNone, nil
		}
		return cutByLength(data, wire.LengthBinary), wire.LengthBinary.String(), nil
	}
	format, err := wire.ParseLengthFormat(length)
	if err != nil {
		return nil, "", fmt.Errorf("--length: %w, %s or %s", err, lengthNone, lengthAuto)
	}
	return cutByLength(data, format), length, nil
}

// cutByLength cuts frames until the bytes end or a length cannot be trusted. It returns at least one.
func cutByLength(data []byte, format wire.LengthFormat) []cutFrame {
	framing := wire.Framing{Length: format, MaxBytes: maxDecodedFrame}
	source := bytes.NewReader(data)
	reader := bufio.NewReader(source)
	var frames []cutFrame
	for {
		offset := len(data) - source.Len() - reader.Buffered()
		frame, err := framing.ReadFrame(reader, nil)
		switch {
		case errors.Is(err, io.EOF) && len(frames) > 0:
			return frames
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			short := fmt.Errorf("the bytes end before the frame does (%d are there)", len(data)-offset)
			return append(frames, cutFrame{offset: offset, end: len(data), err: short})
		case err != nil:
			return append(frames, cutFrame{offset: offset, end: len(data), err: err})
		}
		frames = append(frames, newCutFrame(offset, len(data)-source.Len()-reader.Buffered(), frame.Payload))
	}
}

// tpduBytes is the size of the transport header of an NAC frame.
const tpduBytes = len(wire.TPDU{})

// newCutFrame splits the TPDU from what a frame carries, and the application header behind it.
func newCutFrame(offset, end int, data []byte) cutFrame {
	if !hasTPDU(data) {
		return cutFrame{offset: offset, end: end, payload: data}
	}
	tpdu, rest := wire.TPDU(data[:tpduBytes]).String(), data[tpduBytes:]
	if header, payload, ok := wire.CutHeader(rest); ok && isBCDType(payload) {
		return cutFrame{offset: offset, end: end, tpdu: tpdu, header: header.String(), payload: payload}
	}
	return cutFrame{offset: offset, end: end, tpdu: tpdu, payload: rest}
}

// hasTPDU tells whether a TPDU comes first: its id is 60 or 68, and no message type begins so, neither in BCD nor in ASCII.
func hasTPDU(data []byte) bool {
	return len(data) > tpduBytes && (data[0] == 0x60 || data[0] == 0x68)
}

// startsMessage tells whether bytes begin as a message does, with headers or without.
func startsMessage(data []byte) bool { return startsWithType(newCutFrame(0, len(data), data).payload) }

func startsWithType(data []byte) bool { return isASCIIType(data) || isBCDType(data) }

// isBCDType tells whether bytes begin with a message type in BCD: a version up to 2 (2003), a class, and two more digits.
func isBCDType(data []byte) bool {
	if len(data) < 2 {
		return false
	}
	version, class := data[0]>>4, data[0]&0xF
	return version <= 2 && class >= 1 && class <= 9 && data[1]>>4 <= 9 && data[1]&0xF <= 9
}

// isASCIIType tells whether bytes begin with a message type in ASCII digits.
func isASCIIType(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	for _, b := range data[:4] {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// plausible tells whether every frame begins as a message does.
func plausible(frames []cutFrame) bool {
	for _, frame := range frames {
		if !startsWithType(frame.payload) {
			return false
		}
	}
	return true
}
