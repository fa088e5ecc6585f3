package host

import (
	"context"
	"testing"

	"meridian/host/wire"
)

func withHeader(c *ListenerConfig) {
	c.Name, c.Framing = "unionpay", wire.Framing{Header: true, DialMonitor: true}
}

func dialWithHeader(t *testing.T, addr string) *peer {
	t.Helper()
	p := dial(t, addr)
	p.framing = wire.Framing{Header: true}
	return p
}

// The application header reaches the handler, and comes back with its demand.
func TestApplicationHeader(t *testing.T) {
	d := newDesk(10)
	_, addr := start(t, d.handle, withHeader)
	p := dialWithHeader(t, addr)
	p.send("one", "two")
	first, second := d.take(t), d.take(t)
	for _, r := range []request{first, second} {
		if r.message.Header != peerHeader || r.message.TPDU != peerTPDU {
			t.Errorf("%q came with header %s, TPDU %s", r.payload, r.message.Header, r.message.TPDU)
		}
	}
	first.message.Header = wire.Header{} // the session has its own
	second.answer(Answer{Payload: []byte("TWO"), Demand: wire.DemandSignIn})
	first.answer(Answer{Payload: []byte("ONE")})
	for _, want := range []struct{ payload, header string }{{"ONE", "603100310007"}, {"TWO", "603103310007"}} {
		frame, err := p.framing.ReadFrame(p.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if string(frame.Payload) != want.payload || frame.Header.String() != want.header || frame.TPDU != peerTPDU.Swapped() {
			t.Errorf("%s: header %s, TPDU %s; want header %s", frame.Payload, frame.Header, frame.TPDU, want.header)
		}
	}
}

var (
	wrongTPDU = []byte("\x00\x0d\x68\x00\x01\x00\x02\x60\x31\x00\x31\x00\x07no")
	wrongUse  = []byte("\x00\x0d\x60\x00\x01\x00\x02\x50\x31\x00\x31\x00\x07no")
)

// A frame with a wrong TPDU or header has no answer, and the connection goes on.
func TestWrongHeaderIsDropped(t *testing.T) {
	r, addr := start(t, echo, withHeader)
	p := dialWithHeader(t, addr)
	for _, bad := range [][]byte{wrongTPDU, wrongUse, wrongUse} {
		p.sendRaw(bad)
	}
	p.send("one")
	p.sendRaw(wrongTPDU)
	p.send("two")
	p.expect("one", "two")
	_ = p.conn.Close()

	line := r.closedWith(ClosePeer)
	if line["frames_received"] != 2.0 || line["frames_sent"] != 2.0 || line["frames_dropped"] != 4.0 {
		t.Errorf("the log has %v received, %v sent, %v dropped", line["frames_received"], line["frames_sent"], line["frames_dropped"])
	}
	for reason, want := range map[string]float64{"tpdu_id": 2, "header_use_type": 2} {
		if got := r.metric("meridian_frames_dropped_total", "listener", "unionpay", "reason", reason); got != want {
			t.Errorf("%v frames counted as %s, want %v", got, reason, want)
		}
	}
}

// A peer that sends nothing else is sent away; one message that has an answer makes it a
// terminal again, and a frame that has none does not.
func TestTooManyWrongHeaders(t *testing.T) {
	r, addr := start(t, func(ctx context.Context, m *Message, answer func(Answer)) {
		if string(m.Payload) == "nothing" {
			answer(Answer{})
			return
		}
		echo(ctx, m, answer)
	}, withHeader)
	p := dialWithHeader(t, addr)
	for _, payload := range []string{"one", "two"} {
		for range maxDroppedInRow - 1 {
			p.sendRaw(wrongUse)
		}
		p.send(payload)
		p.expect(payload)
	}
	for range maxDroppedInRow - 1 {
		p.sendRaw(wrongUse)
	}
	p.send("nothing")
	p.sendRaw(wrongUse)
	p.expectEnd()
	_ = p.conn.Close()
	if line := r.closedWith(CloseBadFrame); line["error"] != "frame: use type of the application header is not 60 to 69" {
		t.Errorf("closed for %v", line["error"])
	}
}

func TestDialMonitorNeedsHeader(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	if _, err := r.server.Listen(ListenerConfig{Name: "nac", Address: "127.0.0.1:0", Framing: wire.Framing{TPDU: true, DialMonitor: true}}); err == nil {
		t.Error("a dial-monitor header without an application header was taken")
	}
	r.serve()
}
