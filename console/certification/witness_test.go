package certification

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/host"
	"meridian/switch"
)

func TestAWitnessKeepsWhatItSaw(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	w := NewWitness(func() time.Time { return now })
	for _, a := range []host.Answered{
		{TID: "1", Kind: switching.KindEcho, Reason: switching.Approved},
		{TID: "1", Kind: switching.KindSale, Reason: switching.Approved, RRN: 7},
		{TID: "2", Kind: switching.KindSale, Reason: switching.Approved, Repeat: true, RRN: 8},
		{TID: "2", Kind: switching.KindSale, Reason: switching.MACWrong, Repeat: true, RRN: 9},
		{TID: "3", Kind: switching.KindLogon, Reason: switching.MACWrong},
	} {
		w.See(a)
	}
	path := filepath.Join(t.TempDir(), "seen.json")
	if kept, err := w.Keep(path); err != nil || !kept {
		t.Fatal(kept, err)
	}
	if kept, err := w.Keep(path); err != nil || kept {
		t.Errorf("nothing is new, and yet it was kept: %t %v", kept, err)
	}
	again := NewWitness(func() time.Time { return now })
	if err := again.Load(path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tid  string
		what sight
		rrn  int64
		saw  bool
	}{
		{"1", sawEcho, 0, true}, {"1", sawLogon, 0, false}, {"1", sawRepeat, 0, false}, {"2", sawRepeat, 8, true}, {"3", sawLogon, 0, false},
	} {
		got, saw := again.of(c.tid, c.what)
		if saw != c.saw || got.RRN != c.rrn || saw && !got.At.Equal(now) {
			t.Errorf("%s %s: %+v, %t", c.tid, c.what, got, saw)
		}
	}
	if err := again.Load(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.Load(path); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("half a file: %v", err)
	}
	if _, saw := (*Witness)(nil).of("1", sawEcho); saw {
		t.Error("nobody saw something")
	}
}

func TestAWitnessIsBounded(t *testing.T) {
	w := NewWitness(time.Now)
	for i := range maxWitnessed + 10 {
		w.note(fmt.Sprint(i), sawEcho, 0)
	}
	if len(w.saw) != maxWitnessed {
		t.Errorf("%d terminals are kept", len(w.saw))
	}
}

func TestReportsAreWhole(t *testing.T) {
	l := &Checklist{TID: "1|2", Merchant: "A <b>", Cases: []Case{
		{ID: "sale", Title: "Sells", Status: Passed, Evidence: "x | y", RRN: "000000000007"},
		{ID: "preauth", Title: "Reserves", Status: Passed, Evidence: "z"},
		{ID: "void", Title: "Voids", Status: Open, Evidence: "do it"},
		{ID: "mac", Title: "MACs", Status: NotApplicable, Evidence: "it has none"},
	}}
	if l.count(); l.Needed != 2 || l.Passed != 1 || l.Complete {
		t.Errorf("%+v", l)
	}
	var text strings.Builder
	l.WriteMarkdown(&text)
	for _, want := range []string{`# Certification of terminal 1\|2`, "1 of 2 cases are passed.", `| Sells | passed | x \| y, RRN 000000000007 |`, "A &lt;b>"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not say %s:\n%s", want, text.String())
		}
	}
	text.Reset()
	if l.WriteText(&text); !strings.Contains(text.String(), "[x] Sells") || !strings.Contains(text.String(), "[ ] Voids") {
		t.Error(text.String())
	}
}
