package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var (
	testTPDU   = TPDU{0x60, 0x00, 0x10, 0x00, 0x05}
	testHeader = Header{0x60, 0x31, 0x00, 0x31, 0x00, 0x01}
)

func reader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func TestFrameRoundTrip(t *testing.T) {
	payload := bytes.Repeat([]byte{0x02, 0x00, 0xFF}, 100)
	for _, framing := range []Framing{
		{},
		{Length: LengthBCD},
		{Length: LengthASCII},
		{TPDU: true},
		{Length: LengthBCD, TPDU: true},
		{Length: LengthASCII, TPDU: true},
		{Header: true},
		{TPDU: true, Header: true, DialMonitor: true},
	} {
		stream, err := framing.AppendFrame(nil, Frame{TPDU: testTPDU, Header: testHeader, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		stream, err = framing.AppendFrame(stream, Frame{TPDU: testTPDU.Swapped(), Header: testHeader.Answer(DemandSignIn), Payload: payload[:2]})
		if err != nil {
			t.Fatal(err)
		}
		// One byte at a time: a frame may arrive in any pieces.
		r := bufio.NewReader(iotest.OneByteReader(bytes.NewReader(stream)))
		for i, want := range [][]byte{payload, payload[:2]} {
			frame, err := framing.ReadFrame(r, nil)
			if err != nil {
				t.Fatalf("%+v frame %d: %v", framing, i, err)
			}
			if !bytes.Equal(frame.Payload, want) {
				t.Errorf("%+v frame %d: payload %X", framing, i, frame.Payload)
			}
			wantTPDU := [2]TPDU{testTPDU, testTPDU.Swapped()}[i]
			if framing.TPDU && frame.TPDU != wantTPDU {
				t.Errorf("%+v frame %d: TPDU %s, want %s", framing, i, frame.TPDU, wantTPDU)
			}
			wantHeader := [2]Header{testHeader, testHeader.Answer(DemandSignIn)}[i]
			if framing.Header && frame.Header != wantHeader {
				t.Errorf("%+v frame %d: header %s, want %s", framing, i, frame.Header, wantHeader)
			}
		}
		if _, err := framing.ReadFrame(r, nil); !errors.Is(err, io.EOF) {
			t.Errorf("%+v: after the last frame %v, want io.EOF", framing, err)
		}
	}
}

func TestFrameBytes(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		want    string
	}{
		{Framing{}, "\x00\x0cABCDEFGHIJKL"},
		{Framing{Length: LengthBCD}, "\x00\x12ABCDEFGHIJKL"},
		{Framing{Length: LengthASCII}, "0012ABCDEFGHIJKL"},
		{Framing{TPDU: true}, "\x00\x11\x60\x00\x10\x00\x05ABCDEFGHIJKL"},
		{Framing{Length: LengthBCD, TPDU: true}, "\x00\x17\x60\x00\x10\x00\x05ABCDEFGHIJKL"},
		{Framing{Header: true}, "\x00\x17\x60\x00\x10\x00\x05\x60\x31\x00\x31\x00\x01ABCDEFGHIJKL"},
		{Framing{Header: true, DialMonitor: true}, "\x00\x17\x60\x00\x10\x00\x05\x60\x31\x00\x31\x00\x01ABCDEFGHIJKL"},
	} {
		got, err := c.framing.AppendFrame([]byte("before"), Frame{TPDU: testTPDU, Header: testHeader, Payload: []byte("ABCDEFGHIJKL")})
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before"+c.want {
			t.Errorf("%+v: %q, want %q", c.framing, got, c.want)
		}
	}
}

func TestFrameRefused(t *testing.T) {
	for name, c := range map[string]struct {
		framing Framing
		stream  string
		want    FrameError
	}{
		"zero":               {Framing{}, "\x00\x00\x02\x00", FrameError{FrameZeroLength, 0, 0}},
		"zero BCD":           {Framing{Length: LengthBCD}, "\x00\x00\x02\x00", FrameError{FrameZeroLength, 0, 0}},
		"zero ASCII":         {Framing{Length: LengthASCII}, "0000", FrameError{FrameZeroLength, 0, 0}},
		"no room for MTI":    {Framing{}, "\x00\x01\x02", FrameError{FrameTooShort, 1, 2}},
		"no room after TPDU": {Framing{TPDU: true}, "\x00\x06\x60\x00\x10\x00\x05\x02", FrameError{FrameTooShort, 6, 7}},
		"over default":       {Framing{}, "\x10\x01", FrameError{FrameTooLong, 4097, 4096}},
		"over own limit":     {Framing{MaxBytes: 100}, "\x00\x65", FrameError{FrameTooLong, 101, 100}},
		"all ones":           {Framing{}, "\xFF\xFF", FrameError{FrameTooLong, 65535, 4096}},
		"BCD nibble high":    {Framing{Length: LengthBCD}, "\xA0\x12", FrameError{FrameBadDigits, -1, 0}},
		"BCD nibble low":     {Framing{Length: LengthBCD}, "\x00\x1F", FrameError{FrameBadDigits, -1, 0}},
		"ASCII minus":        {Framing{Length: LengthASCII}, "-001", FrameError{FrameBadDigits, -1, 0}},
		"ASCII letter":       {Framing{Length: LengthASCII}, "00A2", FrameError{FrameBadDigits, -1, 0}},
		"ASCII space":        {Framing{Length: LengthASCII}, " 120", FrameError{FrameBadDigits, -1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			r := reader([]byte(c.stream))
			_, err := c.framing.ReadFrame(r, nil)
			var frameErr *FrameError
			if !errors.As(err, &frameErr) || *frameErr != c.want {
				t.Fatalf("%v, want %v", err, &c.want)
			}
			if rest, _ := io.ReadAll(r); len(rest) < len(c.stream)-c.framing.Length.prefixBytes() {
				t.Errorf("%d bytes left: read past the length", len(rest))
			}
			if !strings.HasPrefix(frameErr.Error(), "frame: ") {
				t.Errorf("text %q", frameErr.Error())
			}
		})
	}
}

func TestFrameLimitIsInclusive(t *testing.T) {
	framing := Framing{TPDU: true, MaxBytes: 64}
	frame, err := framing.AppendFrame(nil, Frame{TPDU: testTPDU, Payload: make([]byte, 59)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := framing.ReadFrame(reader(frame), nil); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if out, err := framing.AppendFrame([]byte("kept"), Frame{TPDU: testTPDU, Payload: make([]byte, 60)}); err == nil || string(out) != "kept" {
		t.Errorf("over the limit: %q, %v", out, err)
	}
	if _, err := framing.AppendFrame(nil, Frame{TPDU: testTPDU, Payload: []byte{2}}); err == nil {
		t.Error("a payload without room for an MTI was framed")
	}
	// A limit above what the format can say is the format's.
	wide := Framing{Length: LengthASCII, MaxBytes: 1 << 20}
	if _, err := wide.AppendFrame(nil, Frame{Payload: make([]byte, 10000)}); err == nil {
		t.Error("10000 bytes fit into four digits")
	}
}

func TestFrameEndOfStream(t *testing.T) {
	whole, err := Framing{TPDU: true}.AppendFrame(nil, Frame{TPDU: testTPDU, Payload: []byte("0800 and more")})
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		_, err := Framing{TPDU: true}.ReadFrame(reader(whole[:cut]), nil)
		want := io.ErrUnexpectedEOF
		if cut == 0 {
			want = io.EOF
		}
		if err != want { //nolint:errorlint // callers may compare, like with io.Reader
			t.Errorf("stream ends after %d bytes: %v, want %v", cut, err, want)
		}
	}
	broken := errors.New("connection reset")
	for cut := range whole {
		r := io.MultiReader(bytes.NewReader(whole[:cut]), iotest.ErrReader(broken))
		if _, err := (Framing{TPDU: true}).ReadFrame(bufio.NewReader(r), nil); !errors.Is(err, broken) {
			t.Errorf("connection breaks after %d bytes: %v", cut, err)
		}
	}
}

func TestFrameUsesBuffer(t *testing.T) {
	stream, err := Framing{}.AppendFrame(nil, Frame{Payload: []byte("0200")})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 16)
	frame, err := Framing{}.ReadFrame(reader(stream), buf)
	if err != nil {
		t.Fatal(err)
	}
	if &frame.Payload[0] != &buf[:1][0] {
		t.Error("payload is not in the buffer given")
	}
	r, source := bufio.NewReader(nil), bytes.NewReader(nil)
	if n := testing.AllocsPerRun(100, func() {
		source.Reset(stream)
		r.Reset(source)
		if _, err := (Framing{}).ReadFrame(r, buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per frame, want none", n)
	}
}

func TestTPDUSwapped(t *testing.T) {
	if got := testTPDU.Swapped().String(); got != "6000050010" {
		t.Errorf("6000100005 swapped is %s", got)
	}
	if testTPDU.Swapped().Swapped() != testTPDU {
		t.Error("swapping twice is not the identity")
	}
}

func TestParseLengthFormat(t *testing.T) {
	for _, l := range []LengthFormat{LengthBinary, LengthBCD, LengthASCII} {
		if got, err := ParseLengthFormat(l.String()); err != nil || got != l {
			t.Errorf("%s: %v, %v", l, got, err)
		}
	}
	if _, err := ParseLengthFormat("hex"); err == nil {
		t.Error("hex is no length format")
	}
}

// FuzzReadFrame: whatever the stream, a frame within the limit or a clean error; a
// frame read is the frame that was written, and one with a wrong header is passed
// over whole.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x0c0200ABCDEFGH"), byte(0), uint16(0))
	f.Add([]byte("\x00\x11\x60\x00\x10\x00\x05ABCDEFGHIJKL"), byte(3), uint16(64))
	f.Add([]byte("-001"), byte(2), uint16(0))
	f.Add([]byte("\x00\x0d\x60\x00\x03\x00\x00\x60\x31\x00\x31\x00\x01\x08\x00"), byte(6), uint16(0))
	f.Add([]byte("\x00\x0d\x60\x00\x03\x00\x00\x70\x31\x00\x31\x00\x01\x08\x00\x00\x0d\x60\x00\x03\x00\x00\x60\x31\x00\x31\x00\x01\x08\x00"), byte(6), uint16(0))
	f.Add([]byte("\x00\x2e\x60\x00\x03\x00\x00LRI\x00\x1c"+strings.Repeat("A", 28)+"\x60\x31\x00\x31\x00\x01\x08\x00"), byte(9), uint16(0))
	f.Fuzz(func(t *testing.T, stream []byte, mode byte, limit uint16) {
		framing := Framing{
			Length: LengthFormat(mode % 3), TPDU: mode/3%4 == 1, Header: mode/3%4 > 1, DialMonitor: mode/3%4 == 3, MaxBytes: int(limit),
		}
		source := bytes.NewReader(stream)
		r := bufio.NewReader(source)
		for at := 0; ; {
			frame, err := framing.ReadFrame(r, nil)
			end := len(stream) - source.Len() - r.Buffered()
			if _, dropped := errors.AsType[*HeaderError](err); dropped {
				length, _ := framing.Length.decode(stream[at : at+framing.Length.prefixBytes()])
				if end-at != framing.Length.prefixBytes()+length {
					t.Fatalf("%v, and %d of %d bytes are passed over", err, end-at, length)
				}
				at = end
				continue
			}
			if err != nil {
				if _, refused := errors.AsType[*FrameError](err); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !refused {
					t.Fatalf("unexpected error %v", err)
				}
				break
			}
			if len(frame.Payload)+framing.headerBytes() > framing.maxBytes() || cap(frame.Payload) > framing.maxBytes() {
				t.Fatalf("frame of %d bytes over the limit of %d", len(frame.Payload), framing.maxBytes())
			}
			written, err := framing.AppendFrame(nil, frame)
			if err != nil {
				t.Fatalf("frame read but not written: %v", err)
			}
			if read := stream[at:end]; !bytes.Equal(read, written) && !bytes.Equal(withoutMonitor(framing, read), written) {
				t.Fatalf("read\n%X\nwritten\n%X", read, written)
			}
			at = end
		}
	})
}

// withoutMonitor is a frame without its dial-monitor header.
func withoutMonitor(framing Framing, frame []byte) []byte {
	at := framing.Length.prefixBytes() + len(TPDU{})
	if !framing.DialMonitor || len(frame) < at+monitorBytes {
		return frame
	}
	rest := framing.Length.append(nil, len(frame)-framing.Length.prefixBytes()-monitorBytes)
	return append(append(rest, frame[at-len(TPDU{}):at]...), frame[at+monitorBytes:]...)
}

// TestBuffered: of every part of a stream it is known whether a frame can be read
// of it without waiting.
func TestBuffered(t *testing.T) {
	for name, framing := range map[string]Framing{
		"binary": {TPDU: true}, "bcd": {Length: LengthBCD, TPDU: true}, "ascii": {Length: LengthASCII},
		"unionpay": {TPDU: true, Header: true},
	} {
		t.Run(name, func(t *testing.T) {
			frame, err := framing.AppendFrame(nil, Frame{TPDU: testTPDU, Header: testHeader, Payload: bytes.Repeat([]byte("02"), 20)})
			if err != nil {
				t.Fatal(err)
			}
			for end := range 2 * len(frame) {
				r := reader(append(bytes.Clone(frame), frame...)[:end])
				_, _ = r.Peek(end) // all of it is in the buffer
				if got, want := framing.Buffered(r), end >= len(frame); got != want {
					t.Fatalf("%d of %d bytes: %t", end, len(frame), got)
				}
			}
			refused := reader([]byte{0xFF, 0xFF, 0xFF, 0xFF})
			_, _ = refused.Peek(4)
			if !framing.Buffered(refused) {
				t.Error("a length that is refused has to be waited for")
			}
		})
	}
}
