package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// DefaultMaxFrameBytes caps what a length prefix may announce when
// [Framing.MaxBytes] is zero. The largest message of the published vectors is
// under 600 bytes and a full set of LLLVAR fields is never sent by a terminal;
// 4 KiB is generous and keeps what a stranger can make us allocate small.
const DefaultMaxFrameBytes = 4096

// minPayloadBytes is the shortest payload worth reading: an MTI in BCD. What is
// shorter cannot even be answered with a format error.
const minPayloadBytes = 2

// LengthFormat tells how the length in front of a frame is written. The length
// never counts itself.
type LengthFormat uint8

const (
	// LengthBinary is two bytes, most significant first.
	LengthBinary LengthFormat = iota
	// LengthBCD is two bytes holding four decimal digits.
	LengthBCD
	// LengthASCII is four ASCII digits.
	LengthASCII
)

// String returns the name used in configuration: binary, bcd or ascii.
func (l LengthFormat) String() string {
	switch l {
	case LengthBinary:
		return "binary"
	case LengthBCD:
		return "bcd"
	case LengthASCII:
		return "ascii"
	}
	return fmt.Sprintf("LengthFormat(%d)", uint8(l))
}

// ParseLengthFormat reads the name [LengthFormat.String] writes.
func ParseLengthFormat(name string) (LengthFormat, error) {
	for _, l := range []LengthFormat{LengthBinary, LengthBCD, LengthASCII} {
		if name == l.String() {
			return l, nil
		}
	}
	return 0, fmt.Errorf("unknown length format %q: want binary, bcd or ascii", name)
}

// prefixBytes is the size of the length itself.
func (l LengthFormat) prefixBytes() int {
	if l == LengthASCII {
		return 4
	}
	return 2
}

// limit is the largest length the format can express.
func (l LengthFormat) limit() int {
	if l == LengthBinary {
		return 0xFFFF
	}
	return 9999
}

// decode reads a length prefix; ok is false when it holds something other than
// digits.
func (l LengthFormat) decode(prefix []byte) (length int, ok bool) {
	switch l {
	case LengthBCD:
		for _, b := range prefix {
			if b>>4 > 9 || b&0x0F > 9 {
				return 0, false
			}
			length = length*100 + int(b>>4)*10 + int(b&0x0F)
		}
		return length, true
	case LengthASCII:
		for _, b := range prefix {
			if b < '0' || b > '9' {
				return 0, false
			}
			length = length*10 + int(b-'0')
		}
		return length, true
	default:
		return int(binary.BigEndian.Uint16(prefix)), true
	}
}

// append writes length, which is within limit.
func (l LengthFormat) append(dst []byte, length int) []byte {
	switch l {
	case LengthBCD:
		return append(dst, bcdByte(length/100), bcdByte(length%100))
	case LengthASCII:
		return append(dst, '0'+byte(length/1000), '0'+byte(length/100%10), '0'+byte(length/10%10), '0'+byte(length%10))
	default:
		return binary.BigEndian.AppendUint16(dst, uint16(length))
	}
}

// bcdByte packs 0..99 into one byte of two digits.
func bcdByte(n int) byte { return byte(n/10)<<4 | byte(n%10) }

// TPDU is the five-byte transport header of an NAC frame: id, destination NII
// (2 bytes), source NII (2 bytes).
type TPDU [5]byte

// Swapped returns the header of the answer: destination and source exchanged,
// the id kept.
func (t TPDU) Swapped() TPDU {
	return TPDU{t[0], t[3], t[4], t[1], t[2]}
}

// String returns the header as ten hex digits.
func (t TPDU) String() string { return fmt.Sprintf("%X", t[:]) }

// Framing tells how messages are cut out of a byte stream.
type Framing struct {
	// Length is the format of the length prefix.
	Length LengthFormat
	// TPDU is true when a five-byte TPDU follows the length and is counted by it.
	TPDU bool
	// Header is true when UnionPay's application header follows the TPDU, which is
	// then there too. What comes with a wrong one is a *[HeaderError].
	Header bool
	// DialMonitor is true when a dial-monitor header of 33 bytes may stand between
	// TPDU and application header, as dial-up access networks put it there. It is
	// read past; answers have none.
	DialMonitor bool
	// MaxBytes caps what the length counts (headers and payload);
	// DefaultMaxFrameBytes when zero.
	MaxBytes int
}

// Frame is one message as it travels: its TPDU and application header (zero
// where the framing has none) and the payload, which starts at the MTI.
type Frame struct {
	TPDU    TPDU
	Header  Header
	Payload []byte
}

// Answer is the frame of an answer: the headers turned round, with the host's
// demand.
func (f Frame) Answer(d Demand, payload []byte) Frame {
	return Frame{TPDU: f.TPDU.Swapped(), Header: f.Header.Answer(d), Payload: payload}
}

// FrameReason names why a frame was refused. The set is closed, so it can be a
// metric label.
type FrameReason string

const (
	// FrameZeroLength is a length of zero.
	FrameZeroLength FrameReason = "zero_length"
	// FrameTooShort is a length that leaves no room for TPDU and MTI.
	FrameTooShort FrameReason = "too_short"
	// FrameTooLong is a length over the cap.
	FrameTooLong FrameReason = "too_long"
	// FrameBadDigits is a BCD or ASCII length with something other than digits.
	FrameBadDigits FrameReason = "non_digit_length"
)

// FrameError reports a frame that cannot be trusted. After it the stream has no
// known boundary any more: the connection must be closed.
type FrameError struct {
	Reason FrameReason
	// Length is what the prefix announced, in bytes; -1 when it was unreadable.
	Length int
	// Limit is the bound that was crossed, in bytes; 0 when there is none.
	Limit int
}

func (e *FrameError) Error() string {
	switch e.Reason {
	case FrameZeroLength:
		return "frame: length is zero"
	case FrameTooShort:
		return fmt.Sprintf("frame: length %d is under the minimum of %d bytes", e.Length, e.Limit)
	case FrameTooLong:
		return fmt.Sprintf("frame: length %d is over the limit of %d bytes", e.Length, e.Limit)
	case FrameBadDigits:
		return "frame: length has a non-digit"
	}
	return "frame: " + string(e.Reason)
}

// headerBytes is what stands between the length and the payload.
func (f Framing) headerBytes() int {
	switch {
	case f.Header:
		return len(TPDU{}) + len(Header{})
	case f.TPDU:
		return len(TPDU{})
	}
	return 0
}

// maxBytes is the cap in force.
func (f Framing) maxBytes() int {
	limit := f.MaxBytes
	if limit <= 0 {
		limit = DefaultMaxFrameBytes
	}
	return min(limit, f.Length.limit())
}

// check refuses lengths that no frame of this framing can have.
func (f Framing) check(length int) error {
	least, most := f.headerBytes()+minPayloadBytes, f.maxBytes()
	switch {
	case length == 0:
		return &FrameError{Reason: FrameZeroLength, Length: length}
	case length < least:
		return &FrameError{Reason: FrameTooShort, Length: length, Limit: least}
	case length > most:
		return &FrameError{Reason: FrameTooLong, Length: length, Limit: most}
	}
	return nil
}

// ReadFrame reads one frame. The payload lives in buf, which is replaced by a
// larger one when its capacity does not suffice (never larger than MaxBytes);
// pass Payload[:0] of the previous frame to use its memory again.
//
// Errors: io.EOF when the peer closed between frames, io.ErrUnexpectedEOF when
// it closed inside one, *[FrameError] when the length cannot be trusted (nothing
// after the length has been read then), *[HeaderError] when the frame was read
// whole and its headers are wrong (the next frame can be read), any other read
// error wrapped.
func (f Framing) ReadFrame(r *bufio.Reader, buf []byte) (Frame, error) {
	// Peek instead of ReadFull: the prefix stays in r's buffer and nothing
	// escapes to the heap. bufio buffers hold at least 16 bytes.
	prefix, err := r.Peek(f.Length.prefixBytes())
	if err != nil {
		return Frame{}, readError("read frame length", err, len(prefix) == 0)
	}
	length, ok := f.Length.decode(prefix)
	if !ok {
		return Frame{}, &FrameError{Reason: FrameBadDigits, Length: -1}
	}
	if err := f.check(length); err != nil {
		return Frame{}, err
	}
	if _, err := r.Discard(f.Length.prefixBytes()); err != nil {
		return Frame{}, readError("read frame length", err, false)
	}

	var frame Frame
	size := length - f.headerBytes()
	if f.TPDU || f.Header {
		head, err := r.Peek(len(frame.TPDU))
		if err != nil {
			return Frame{}, readError("read TPDU", err, false)
		}
		copy(frame.TPDU[:], head)
		if _, err := r.Discard(len(frame.TPDU)); err != nil {
			return Frame{}, readError("read TPDU", err, false)
		}
	}
	if f.Header {
		if size, err = f.readHeader(r, &frame, length-len(frame.TPDU)); err != nil {
			return Frame{}, err
		}
	}

	if cap(buf) < size {
		buf = make([]byte, size)
	}
	frame.Payload = buf[:size]
	if _, err := io.ReadFull(r, frame.Payload); err != nil {
		return Frame{}, readError("read frame payload", err, false)
	}
	return frame, nil
}

// Buffered tells whether ReadFrame needs nothing more of the connection than r has
// already: a whole frame, or a length that is refused.
func (f Framing) Buffered(r *bufio.Reader) bool {
	ready := r.Buffered()
	if ready < f.Length.prefixBytes() {
		return false
	}
	prefix, err := r.Peek(f.Length.prefixBytes())
	if err != nil {
		return true
	}
	length, ok := f.Length.decode(prefix)
	return !ok || f.check(length) != nil || length <= ready-len(prefix)
}

// readError gives the end of the stream its two meanings and wraps the rest.
func readError(action string, err error, atBoundary bool) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // bufio and io return these bare
		if atBoundary {
			return io.EOF
		}
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s: %w", action, err)
}

// AppendFrame appends length, headers (where the framing has them) and payload to
// dst. It returns dst unchanged and a *[FrameError] or *[HeaderError] when the
// frame would not pass ReadFrame of the same framing.
func (f Framing) AppendFrame(dst []byte, frame Frame) ([]byte, error) {
	length := f.headerBytes() + len(frame.Payload)
	if err := f.check(length); err != nil {
		return dst, err
	}
	if f.Header {
		if frame.TPDU[0] != tpduID {
			return dst, &HeaderError{Reason: HeaderTPDU}
		}
		if err := frame.Header.check(); err != nil {
			return dst, err
		}
	}
	dst = f.Length.append(dst, length)
	if f.TPDU || f.Header {
		dst = append(dst, frame.TPDU[:]...)
	}
	if f.Header {
		dst = append(dst, frame.Header[:]...)
	}
	return append(dst, frame.Payload...), nil
}
