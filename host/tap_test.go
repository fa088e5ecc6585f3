package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"meridian/host/wire"
)

func newTappedRig(t testing.TB) (*pipelineRig, *Tap) {
	t.Helper()
	r := newPipelineRig(t)
	r.pipeline.o.Tap = NewTap()
	return r, r.pipeline.o.Tap
}

func TestTapShowsMessagesWithoutSecrets(t *testing.T) {
	for _, listener := range []string{"nac", "ascii"} {
		r, tap := newTappedRig(t)
		icc := "9F260800112233445566779F360200015703476199"
		m := sale("0200", openTID, map[int]string{45: "B" + pipelinePAN + "^LEE/ANN^3012", 43: "CARD 4761739001010119 OF ANN            "})
		b, err := hexBytes(icc)
		if err != nil {
			t.Fatal(err)
		}
		m.SetBytes(55, b)
		view := tap.Watch()
		r.answered(listener, r.pack(listener, m, nil))
		list, missed, err := view.Next(t.Context())
		if err != nil || len(list) != 1 || missed != 0 {
			t.Fatalf("%d messages, %d missed, %v", len(list), missed, err)
		}
		view.Close()
		p := list[0]
		if p.Request.MTI != "0200" || p.Answer.MTI != "0210" || p.TID != openTID || p.Kind != "sale" || p.Reason != "approved" ||
			p.MAC != macNone || p.RRN != 606900000042 || p.Listener != listener || p.Remote != "192.0.2.7" || p.Internal <= 0 || p.Number != 1 {
			t.Errorf("%s: %+v", listener, p)
		}
		if p.Request.Field(4) != "000000001234" || p.Answer.Field(39) != "00" || p.Request.Field(2) != wire.MaskPAN(pipelinePAN) ||
			p.Request.Field(55) != "9F26=(8 bytes) 9F36=0001 57=(3 bytes)" {
			t.Errorf("%s: fields %+v", listener, p.Request.Fields)
		}
		if p.Request.Field(43) != "CARD 476173******0119 OF ANN            " || p.Request.Field(42) != "104110000000001" {
			t.Errorf("%s: fields %+v", listener, p.Request.Fields)
		}
		everything := fmt.Sprintf("%+v", *p)
		for _, secret := range []string{pipelinePAN, pipelineTrack, "4761739001010119", fmt.Sprintf("%X", "4761739001010119"), "1122334455667788", "LEE/ANN", "476199", "0011223344556677", fmt.Sprintf("%X", pipelinePAN), fmt.Sprintf("%X", "1122334455667788"), "3012"} {
			if strings.Contains(everything, secret) {
				t.Errorf("%s shows %s: %s", listener, secret, everything)
			}
		}
		bytes := 0
		for _, part := range p.Request.Parts {
			bytes += part.Bytes
			if part.Hidden == (part.Hex != "") || part.Hex != "" && len(part.Hex) != 2*part.Bytes {
				t.Errorf("%s: part %+v", listener, part)
			}
		}
		if bytes != p.Request.Bytes {
			t.Errorf("%s: parts of %d bytes, the message has %d", listener, bytes, p.Request.Bytes)
		}
		if tap.Watched() || tap.Find(1) != p || tap.Find(2) != nil || tap.Find(1+tapKept) != nil {
			t.Errorf("%s: watched %t", listener, tap.Watched())
		}
	}
}

func hexBytes(text string) (b []byte, err error) {
	_, err = fmt.Sscanf(text, "%x", &b)
	return b, err
}

func TestTapTellsTheMACsVerdict(t *testing.T) {
	r, tap := newTappedRig(t)
	tap.Look(time.Hour)
	defer tap.lease.Stop()
	r.answered("nac", r.pack("nac", sale("0200", sealedTID, nil), r.mac))
	forged := r.pack("nac", sale("0200", sealedTID, nil), r.mac)
	forged[len(forged)-1] ^= 1
	r.answered("nac", forged)
	r.answered("nac", r.pack("nac", sale("0200", sealedTID, nil), nil))
	r.handle("nac", []byte{0x02, 0x00, 0xFF})
	r.handle("nac", []byte("\xFF"))
	var got []string
	for _, p := range tap.Latest(10, nil) {
		got = append(got, p.MAC+" "+p.Answer.Field(39))
		for _, part := range append(p.Request.Parts, p.Answer.Parts...) {
			if part.Field == 64 && !part.Hidden {
				t.Error("a MAC is shown")
			}
		}
	}
	if want := "unseen , unseen 30, missing 63, wrong 63, right 00"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	if n := len(tap.Latest(10, func(p *Passed) bool { return p.MAC == macRight })); n != 1 {
		t.Errorf("%d messages fit", n)
	}
	tap.lease.Reset(0)
	for tap.Watched() { // for ever, if its end is not the end of the look
		runtime.Gosched()
	}
}

// What a message was refused for names the field, as the log does, and no value.
func TestTapTellsWhatIsWrong(t *testing.T) {
	r, tap := newTappedRig(t)
	tap.Look(time.Hour)
	defer tap.lease.Stop()
	r.answered("nac", r.pack("nac", sale("0200", openTID, nil), nil))
	r.answered("nac", r.pack("nac", sale("0200", openTID, map[int]string{4: "", 11: ""}), nil))
	short := r.pack("nac", sale("0200", openTID, nil), nil)
	r.answered("nac", short[:len(short)-1])
	r.answered("nac", append(r.pack("nac", sale("0200", openTID, nil), nil), 0))
	r.handle("nac", []byte{0x02, 0x00, 0xFF})
	var got []string
	for _, p := range tap.Latest(10, nil) {
		got = append(got, p.Problem)
	}
	const want = "bitmap, byte 3: message ends inside the bitmap | byte 86: 1 bytes after the last field | " +
		"field 52, byte 85: message ends inside the field: 8 bytes announced, 7 left | field 11: missing | "
	if text := strings.Join(got, " | "); text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}

// A viewer who is behind gets what is still kept, and is told of the rest.
func TestTapIsBounded(t *testing.T) {
	tap := NewTap()
	slow := tap.Watch()
	const passed = tapKept + 100
	for range passed {
		tap.pass(&Passed{})
	}
	list, missed, err := slow.Next(t.Context())
	if err != nil || len(list) != tapKept || missed != 100 || list[0].Number != 101 {
		t.Errorf("%d messages from %d, %d missed, %v", len(list), list[0].Number, missed, err)
	}
	begin := time.Now()
	shown := 0
	for range 100 {
		if tap.admit(begin) {
			shown++
		}
	}
	if shown != tapPerSpan || !tap.admit(begin.Add(tapSpan)) || tap.unseen != 100-tapPerSpan {
		t.Errorf("%d rendered, %d unseen", shown, tap.unseen)
	}
	tap.pass(&Passed{})
	if _, missed, _ := slow.Next(t.Context()); missed != 100-tapPerSpan {
		t.Errorf("%d missed", missed)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := slow.Next(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	slow.Close()
	slow.Close()
	for range tapWatchers {
		if tap.Watch() == nil {
			t.Fatal("too few may watch")
		}
	}
	if tap.Watch() != nil || tap.watching.Load() != tapWatchers {
		t.Error("there is no bound")
	}
}

// A tap that nobody watches costs a message nothing.
// A page that is loaded at the moment when the look before it ends counts once.
func TestTapLooksEndOnce(t *testing.T) {
	const looks = 100
	tap := NewTap()
	for range looks {
		tap.Look(time.Nanosecond)
		tap.mu.Lock()
		for begun := time.Now(); time.Since(begun) < 50*time.Microsecond; { // in which it ends, and waits for the lock
			runtime.Gosched()
		}
		tap.mu.Unlock()
		tap.Look(time.Nanosecond)
	}
	for tap.Watched() {
		runtime.Gosched()
	}
	if n := tap.watching.Load(); n != 0 {
		t.Errorf("%d watch after every look has ended", n)
	}
}
