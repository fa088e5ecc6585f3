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

func TestHeader(t *testing.T) {
	h, err := ParseHeader("602213000007")
	if err != nil {
		t.Fatal(err)
	}
	if h.Demand() != DemandSignIn || h.String() != "602213000007" {
		t.Errorf("demand %d, %s", h.Demand(), h)
	}
	for demand, want := range map[Demand]string{
		DemandNone: "602210000007", DemandParameters: "602211000007", DemandStatus: "602212000007", DemandSignIn: "602213000007",
		DemandPublicKeys: "602214000007", DemandApplications: "602215000007", 9: "602219000007",
		10: "602210000007", 255: "602210000007", // no digit
	} {
		if got := h.Answer(demand).String(); got != want {
			t.Errorf("answer with demand %d: %s, want %s", demand, got, want)
		}
	}
	// The reserved half may hold anything: u56 of the vectors is from a terminal.
	for _, digits := range []string{"613100311108", "60310031FFF1", "600000150820", "699999999999"} {
		if h, err := ParseHeader(digits); err != nil || h.String() != digits {
			t.Errorf("%s: %s, %v", digits, h, err)
		}
	}
	for _, digits := range []string{"", "60310031000", "6031003100001", "60310031000G", "6A3100310000", "60B100310000", "60310A310000", "703100310000", "000000000000"} {
		if h, err := ParseHeader(digits); err == nil || h != (Header{}) || err.Error() == "" {
			t.Errorf("%q is taken for %s (%v)", digits, h, err)
		}
	}
}

func TestFrameAnswer(t *testing.T) {
	request := Frame{TPDU: testTPDU, Header: testHeader, Payload: []byte("0800")}
	answer := request.Answer(DemandStatus, []byte("0810"))
	if answer.TPDU.String() != "6000050010" || answer.Header.String() != "603102310001" || string(answer.Payload) != "0810" {
		t.Errorf("%s %s %s", answer.TPDU, answer.Header, answer.Payload)
	}
}

// monitor is a dial-monitor header.
var monitor = "LRI\x00\x1c" + "\x01\x39\x12\x34\x56\x78\x90\x12" + "\x00\x00\x00\x00\x09\x51\x88\x00" + "abcdefghijkl"

// framed puts a binary length before parts of hex ("x:") and characters.
func framed(tb testing.TB, parts ...string) []byte {
	tb.Helper()
	body := message(tb, parts...)
	return append(LengthBinary.append(nil, len(body)), body...)
}

// TestFramesWithWrongHeaders: such a frame is passed over whole, so the one behind
// it is read.
func TestFramesWithWrongHeaders(t *testing.T) {
	plain, dialled := Framing{Header: true}, Framing{Header: true, DialMonitor: true}
	next := framed(t, "x:6000030000 603100310001 0820")
	for name, c := range map[string]struct {
		framing Framing
		frame   []byte
		want    HeaderReason
	}{
		"TPDU id":             {plain, framed(t, "x:6800030000 603100310001 0800"), HeaderTPDU},
		"TPDU id dialled":     {dialled, framed(t, "x:6100030000", monitor, "x:603100310001 0800"), HeaderTPDU},
		"use type":            {plain, framed(t, "x:6000030000 703100310001 0800"), HeaderUseType},
		"use type nibble":     {plain, framed(t, "x:6000030000 6F3100310001 0800"), HeaderNotDecimal},
		"version nibble":      {plain, framed(t, "x:6000030000 60C100310001 0800"), HeaderNotDecimal},
		"demand nibble":       {plain, framed(t, "x:6000030000 60310E310001 0800"), HeaderNotDecimal},
		"none":                {plain, framed(t, "x:6000320000 0800 0020000000C00012 000012"), HeaderUseType},
		"line encryption":     {plain, framed(t, "x:6000100000 FD00724F7418 0800"), HeaderNotDecimal},
		"dialled":             {plain, framed(t, "x:6000030000", monitor, "x:603100310001 0800"), HeaderDialMonitor},
		"dialled, then wrong": {dialled, framed(t, "x:6000030000", monitor, "x:503100310001 0800"), HeaderUseType},
		"dialled twice":       {dialled, framed(t, "x:6000030000", monitor, monitor, "x:603100310001 0800"), HeaderNotDecimal},
		"dialled, no MTI":     {dialled, framed(t, "x:6000030000", monitor, "x:603100310001 08"), HeaderTruncated},
		"dialled, cut off":    {dialled, framed(t, "x:6000030000", monitor[:8]), HeaderTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			stream := append(bytes.Clone(c.frame), next...)
			for what, r := range map[string]io.Reader{"at once": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream))} {
				in := bufio.NewReaderSize(r, 16) // the smallest there is
				frame, err := c.framing.ReadFrame(in, nil)
				var wrong *HeaderError
				if !errors.As(err, &wrong) || wrong.Reason != c.want || frame.Payload != nil {
					t.Fatalf("%s: %v, want %s", what, err, c.want)
				}
				if !strings.HasPrefix(wrong.Error(), "frame: ") {
					t.Errorf("text %q", wrong.Error())
				}
				if frame, err = c.framing.ReadFrame(in, nil); err != nil || !bytes.Equal(frame.Payload, []byte{8, 0x20}) {
					t.Errorf("%s: the next frame: %X, %v", what, frame.Payload, err)
				}
			}
		})
	}
	for _, reason := range []HeaderReason{HeaderTPDU, HeaderNotDecimal, HeaderUseType, HeaderDialMonitor, HeaderTruncated, "another"} {
		if text := (&HeaderError{Reason: reason}).Error(); !strings.HasPrefix(text, "frame: ") || text == "frame: " {
			t.Errorf("%s reads %q", reason, text)
		}
	}
}

// TestDialMonitor: the header is read past where it is allowed, and an answer has
// none.
func TestDialMonitor(t *testing.T) {
	framing := Framing{Header: true, DialMonitor: true}
	stream := framed(t, "x:6000030000", monitor, "x:603100310001 0800 0020000000C00012")
	r := reader(append(bytes.Clone(stream), stream...))
	for range 2 {
		frame, err := framing.ReadFrame(r, nil)
		if err != nil || frame.Header.String() != "603100310001" || !bytes.Equal(frame.Payload, message(t, "x:0800 0020000000C00012")) {
			t.Fatalf("%s %X, %v", frame.Header, frame.Payload, err)
		}
		answer, err := framing.AppendFrame(nil, frame.Answer(DemandSignIn, frame.Payload))
		if want := framed(t, "x:6000000003 603103310001 0800 0020000000C00012"); err != nil || !bytes.Equal(answer, want) {
			t.Errorf("answer %X (%v), want %X", answer, err, want)
		}
	}
	for cut := range stream {
		want := io.ErrUnexpectedEOF
		if cut == 0 {
			want = io.EOF
		}
		if _, err := framing.ReadFrame(reader(stream[:cut]), nil); err != want { //nolint:errorlint // callers may compare, like with io.Reader
			t.Errorf("stream ends after %d bytes: %v, want %v", cut, err, want)
		}
	}
	wrong := framed(t, "x:6000030000", monitor, "x:503100310001 0800 0020000000C00012")
	for cut := 1; cut < len(wrong); cut++ {
		if _, err := framing.ReadFrame(reader(wrong[:cut]), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("wrong frame ends after %d bytes: %v", cut, err)
		}
	}
}

func TestHeaderNeedsRoom(t *testing.T) {
	framing := Framing{Header: true}
	var refused *FrameError
	if _, err := framing.ReadFrame(reader([]byte("\x00\x0c")), nil); !errors.As(err, &refused) || refused.Reason != FrameTooShort || refused.Limit != 13 {
		t.Errorf("12 bytes: %v", err)
	}
	for name, frame := range map[string]Frame{
		"no header": {TPDU: testTPDU, Payload: []byte{8, 0}},
		"no TPDU":   {Header: testHeader, Payload: []byte{8, 0}},
	} {
		var wrong *HeaderError
		if out, err := framing.AppendFrame([]byte("kept"), frame); !errors.As(err, &wrong) || string(out) != "kept" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// TestHeaderCostsNothing: a frame with all its headers is read without allocating.
func TestHeaderCostsNothing(t *testing.T) {
	framing := Framing{Header: true, DialMonitor: true}
	for name, stream := range map[string][]byte{
		"plain":   framed(t, "x:6000030000 603100310001 0800"),
		"dialled": framed(t, "x:6000030000", monitor, "x:603100310001 0800"),
	} {
		buf := make([]byte, 0, 16)
		r, source := bufio.NewReader(nil), bytes.NewReader(nil)
		if n := testing.AllocsPerRun(100, func() {
			source.Reset(stream)
			r.Reset(source)
			if _, err := framing.ReadFrame(r, buf); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per frame, want none", name, n)
		}
	}
}
