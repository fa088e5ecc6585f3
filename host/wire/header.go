package wire

import (
	"bufio"
	"errors"
	"fmt"
)

// headerDigits is the size of the application header in digits.
const headerDigits = 2 * len(Header{})

// Header is the six-byte application header between TPDU and MTI of UnionPay's
// POS messages, twelve digits: use type 2, software version 2, terminal status 1,
// processing demand 1, reserved 6.
type Header [6]byte

// Demand is the digit of the [Header] with which a host asks a terminal, in any
// answer, for something beside the answer. Terminals act on it when they are idle.
type Demand uint8

const (
	// DemandNone asks for nothing.
	DemandNone Demand = 0
	// DemandParameters asks for a download of the terminal's parameters.
	DemandParameters Demand = 1
	// DemandStatus asks for an upload of the terminal's status.
	DemandStatus Demand = 2
	// DemandSignIn asks for a new sign-in.
	DemandSignIn Demand = 3
	// DemandPublicKeys asks for a download of the public keys for chip cards.
	DemandPublicKeys Demand = 4
	// DemandApplications asks for a download of the parameters of chip applications.
	DemandApplications Demand = 5
)

// useTypes is the first digit of every use type: 60 to 63 tell magnetic stripe
// from chip and payment from other services, and the rest is reserved.
const useTypes = 6

// ParseHeader reads a header as [Header.String] writes it: twelve digits that a
// terminal could send.
func ParseHeader(digits string) (Header, error) {
	packed, f := unhex([]byte(digits))
	if f != nil || len(digits) != headerDigits {
		return Header{}, fmt.Errorf("application header: want %d digits", headerDigits)
	}
	h := Header(packed)
	if err := h.check(); err != nil {
		return Header{}, err
	}
	return h, nil
}

// String returns the header's twelve digits.
func (h Header) String() string { return fmt.Sprintf("%X", h[:]) }

// Demand is what the host asks for; terminals send 0.
func (h Header) Demand() Demand { return Demand(h[2] & 0x0F) }

// Answer is the header of the answer: the request's, so that a terminal finds its
// own version and reserved digits, with the host's demand. A demand is one digit;
// a larger one is none.
func (h Header) Answer(d Demand) Header {
	if d > 9 {
		d = DemandNone
	}
	h[2] = h[2]&0xF0 | byte(d)
	return h
}

// check refuses what no terminal sends. The reserved half is nobody's business:
// terminals in the field number their messages there, or put FFF1 into it.
func (h Header) check() error {
	for _, b := range h[:3] {
		if b>>4 > 9 || b&0x0F > 9 {
			return &HeaderError{Reason: HeaderNotDecimal}
		}
	}
	if h[0]>>4 != useTypes {
		return &HeaderError{Reason: HeaderUseType}
	}
	return nil
}

// HeaderReason names why a whole frame is not taken. The set is closed, so it can
// be a metric label.
type HeaderReason string

const (
	// HeaderTPDU is a TPDU whose id is not 60.
	HeaderTPDU HeaderReason = "tpdu_id"
	// HeaderNotDecimal is an application header with something other than digits
	// before the reserved ones.
	HeaderNotDecimal HeaderReason = "header_not_decimal"
	// HeaderUseType is an application header whose use type is not 60 to 69.
	HeaderUseType HeaderReason = "header_use_type"
	// HeaderDialMonitor is a dial-monitor header on a framing without
	// [Framing.DialMonitor].
	HeaderDialMonitor HeaderReason = "dial_monitor"
	// HeaderTruncated is a dial-monitor header that leaves no room for header and
	// MTI.
	HeaderTruncated HeaderReason = "header_truncated"
)

// HeaderError reports a frame whose TPDU or application header is wrong. Unlike
// after a [FrameError] the frame was read whole and the stream stays readable:
// UnionPay's centre drops such a frame without an answer and goes on.
type HeaderError struct{ Reason HeaderReason }

func (e *HeaderError) Error() string {
	switch e.Reason {
	case HeaderTPDU:
		return "frame: TPDU id is not 60"
	case HeaderNotDecimal:
		return "frame: application header has a non-digit"
	case HeaderUseType:
		return "frame: use type of the application header is not 60 to 69"
	case HeaderDialMonitor:
		return "frame: a dial-monitor header comes first, which this listener does not take"
	case HeaderTruncated:
		return "frame: no room for application header and MTI behind the dial-monitor header"
	}
	return "frame: " + string(e.Reason)
}

// tpduID is the only id of UnionPay's TPDUs.
const tpduID = 0x60

// monitorMark begins the dial-monitor header: "LRI" and the length of the rest in
// two bytes. What follows says which line was dialled (ANI and DNIS, 8 bytes each)
// and how the call went (12 bytes), for the network's own statistics: nothing a
// message is decided by, and the caller's number is nobody's business.
var monitorMark = [5]byte{'L', 'R', 'I', 0x00, 0x1C}

// monitorBytes is the whole dial-monitor header.
const monitorBytes = len(monitorMark) + 8 + 8 + 12

// readHeader reads what stands between TPDU and payload; left is what the length
// has not used up yet. A wrong header is a *[HeaderError], and the whole frame is
// behind the reader then.
func (f Framing) readHeader(r *bufio.Reader, frame *Frame, left int) (payload int, err error) {
	header, left, err := f.peekHeader(r, frame.TPDU, left)
	if err != nil {
		if _, wrong := errors.AsType[*HeaderError](err); wrong {
			if _, discarded := r.Discard(left); discarded != nil {
				return 0, readError("read past a frame with a wrong header", discarded, false)
			}
		}
		return 0, err
	}
	if _, err := r.Discard(len(header)); err != nil {
		return 0, readError("read application header", err, false)
	}
	frame.Header = header
	return left - len(header), nil
}

// peekHeader looks at the application header, past a dial-monitor header. It
// returns how many bytes of the frame are still unread.
func (f Framing) peekHeader(r *bufio.Reader, tpdu TPDU, left int) (Header, int, error) {
	if tpdu[0] != tpduID {
		return Header{}, left, &HeaderError{Reason: HeaderTPDU}
	}
	header, err := peekSix(r)
	if err != nil {
		return Header{}, left, err
	}
	if [5]byte(header[:5]) == monitorMark {
		switch {
		case !f.DialMonitor:
			return Header{}, left, &HeaderError{Reason: HeaderDialMonitor}
		case left < monitorBytes+len(header)+minPayloadBytes:
			return Header{}, left, &HeaderError{Reason: HeaderTruncated}
		}
		if _, err := r.Discard(monitorBytes); err != nil {
			return Header{}, left, readError("read dial-monitor header", err, false)
		}
		left -= monitorBytes
		if header, err = peekSix(r); err != nil {
			return Header{}, left, err
		}
	}
	return header, left, header.check()
}

// CutHeader splits the application header from the rest of a whole frame, behind
// its TPDU. A dial-monitor header before it is passed over. It reports false where
// no header stands there.
func CutHeader(behindTPDU []byte) (h Header, payload []byte, ok bool) {
	rest := behindTPDU
	if len(rest) >= monitorBytes && [5]byte(rest[:5]) == monitorMark {
		rest = rest[monitorBytes:]
	}
	if len(rest) < len(h) {
		return Header{}, nil, false
	}
	h = Header(rest[:len(h)])
	if h.check() != nil {
		return Header{}, nil, false
	}
	return h, rest[len(h):], true
}

func peekSix(r *bufio.Reader) (h Header, err error) {
	head, err := r.Peek(len(h))
	if err != nil {
		return h, readError("read application header", err, false)
	}
	copy(h[:], head)
	return h, nil
}
