package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"meridian/host/wire"
)

func (b *bench) terminal(change ...func(*Options)) *Terminal {
	b.t.Helper()
	t, err := New(b.options(change...))
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

// What is composed is what Run sends, and what is delivered is remembered as by Run.
func TestComposeAndDeliver(t *testing.T) {
	for _, c := range []struct{ dialect, tid string }{{dialectNAC, "10000001"}, {dialectNAC, "10000002"}, {dialectASCII, "10000004"}} {
		t.Run(c.tid, func(t *testing.T) {
			b := newBench(t, c.dialect, approve)
			term := b.terminal(func(o *Options) { o.TID = c.tid })
			if term.mac != macNone {
				b.host.mac, _ = term.sealing(&state{})
			}
			sale := Request{Operation: Sale, Amount: "12.34"}
			frame, err := term.Compose(sale)
			if err != nil {
				t.Fatal(err)
			}
			if st, err := term.store.read(); err != nil || len(st.Records) != 0 || st.STAN != 1 {
				t.Fatalf("a message that was not sent is remembered: %+v, %v", st, err)
			}
			d, err := term.Deliver(t.Context(), sale, frame)
			if err != nil || d.Problem != "" || d.Report == nil || d.Report.Outcome != Approved || d.Report.RRN != "900000000001" {
				t.Fatalf("%+v %v", d, err)
			}
			read, err := term.ReadFrame(frame)
			if got := b.host.frames()[0]; err != nil || !bytes.Equal(got.Payload, read.Payload) {
				t.Errorf("the host received %X, composed was %X", got.Payload, frame)
			}
			if back, err := term.ReadFrame(d.Frame); err != nil || !bytes.Equal(back.Payload, d.Answer.Payload) {
				t.Errorf("the answer's frame %X: %v", d.Frame, err)
			}
			// A void finds it without a name.
			void, err := term.Compose(Request{Operation: Void})
			if err != nil {
				t.Fatal(err)
			}
			read, _ = term.ReadFrame(void)
			if m, err := term.spec.Parse(read.Payload); err != nil || m.Get(37) != "900000000001" || m.Get(11) != "000002" {
				t.Errorf("the void refers to %q: %v", m.Get(37), err)
			}
			// An edited amount is what is remembered, its MAC mended.
			m, _ := term.spec.Parse(read.Payload)
			edited := bytes.Clone(void)
			at := amountAt(term.spec, read.Payload) + len(void) - len(read.Payload)
			if c.dialect == dialectNAC {
				copy(edited[at:], "\x00\x00\x00\x00\x00\x77")
			} else {
				copy(edited[at:], "000000000077")
			}
			if m.Get(4) != "000000001234" {
				t.Fatalf("F4 %s", m.Get(4))
			}
			mended, err := term.Mend(edited)
			if err != nil {
				t.Fatal(err)
			}
			if term.mac != macNone && bytes.Equal(mended, edited) {
				t.Error("the MAC of a changed message is the old one")
			}
			if d, err = term.Deliver(t.Context(), Request{Operation: Void}, mended); err != nil || d.Report == nil || d.Report.Outcome != Approved {
				t.Fatalf("%+v %v", d, err)
			}
			st, err := term.store.read()
			if last := st.Records[len(st.Records)-1]; err != nil || last.Operation != Void || last.Fields[4] != "000000000077" || last.Outcome != Approved {
				t.Errorf("remembered as %+v, %v", last, err)
			}
		})
	}
}

func amountAt(spec *wire.Spec, payload []byte) int {
	for _, span := range spec.Layout(payload) {
		if span.Field == 4 {
			return span.Start
		}
	}
	return -1
}

func TestDeliverWhatIsBroken(t *testing.T) {
	b := newBench(t, dialectNAC, func(_ *fakeHost, m *wire.Message) reply {
		if m.Get(3) == "990000" {
			return reply{raw: []byte{0, 0}}
		}
		return reply{raw: []byte{0, 9, 0x60}, hangUp: true}
	})
	term := b.terminal(func(o *Options) { o.Timeout = 5 * time.Second })
	for _, c := range []struct {
		operation Operation
		change    func([]byte) []byte
		want      string
	}{
		{Echo, nil, "length is zero"},
		{Sale, nil, "closed the connection within its answer"},
		{Sale, func(f []byte) []byte { return append([]byte{0, 4}, f[2:6]...) }, "closed the connection without an answer"},
	} {
		r := Request{Operation: c.operation, Amount: map[bool]string{true: "1.00"}[c.operation == Sale]}
		frame, err := term.Compose(r)
		if err != nil {
			t.Fatal(err)
		}
		if c.change != nil {
			frame = c.change(frame)
		}
		d, err := term.Deliver(t.Context(), r, frame)
		if err != nil || d.Report != nil || !strings.Contains(d.Problem, c.want) {
			t.Errorf("%s: %+v %v", c.operation, d, err)
		}
	}
	if _, err := term.Compose(Request{Operation: Sale}); err == nil || !strings.Contains(err.Error(), "amount") {
		t.Errorf("a sale of nothing: %v", err)
	}
	if _, err := term.Mend([]byte{1}); err == nil {
		t.Error("one byte was mended")
	}
	if mended, err := term.Mend([]byte{9, 9, 0x60, 0, 1, 0, 0, 2, 0}); err != nil || mended[0] != 0 || mended[1] != 7 {
		t.Errorf("%X %v", mended, err)
	}
	for frame, want := range map[string]string{"\x00\x09\x60": "shorter", "\x00\x07\x60\x00\x01\x00\x00\x02\x00\x00": "1 bytes longer"} {
		if _, err := term.ReadFrame([]byte(frame)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%X: %v", frame, err)
		}
	}
	b.host.ln.Close()
	if _, err := term.Deliver(t.Context(), Request{Operation: Echo}, []byte{0}); err == nil || !strings.Contains(err.Error(), "connect to the host") {
		t.Errorf("a host that is not there: %v", err)
	}
}

func TestReadKnown(t *testing.T) {
	b := newBench(t, dialectNAC, approve)
	known, err := ReadKnown(b.dir)
	if err != nil || len(known.Terminals) != 6 || len(known.Cards) != 4 || known.Cards[1].Behaviour != "approve" || strings.Contains(known.Cards[1].Masked, "1111111") {
		t.Errorf("%+v %v", known, err)
	}
	if _, err := ReadKnown(t.TempDir()); err == nil {
		t.Error("a directory without a sandbox lists terminals")
	}
}
