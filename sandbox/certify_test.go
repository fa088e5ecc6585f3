//go:build unix

package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/console/certification"
	pos "meridian/host/terminal"
	"meridian/sandbox/story"
)

// certified reads a terminal's checklist as the command line does.
func certified(t *testing.T, s *running, tid string) *certification.Checklist {
	t.Helper()
	status, body := fetch(t, s.Manifest().Addresses.Ops+CertificationPath+"?tid="+tid)
	var list certification.Checklist
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	return &list
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	content, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(content)
}

// open are the cases that are to be shown yet.
func open(l *certification.Checklist) []string {
	var ids []string
	for _, c := range l.Cases {
		if c.Status == certification.Open {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// checklists tick themselves: nothing of a terminal that did nothing, each case on
// its own evidence, and all that the stories showed of theirs.
func checklists(t *testing.T, s *running) {
	t.Helper()
	m := s.Manifest().Merchants[0]
	p := &playing{t: t}
	play := func(tid string) {
		t.Helper()
		var err error
		if p.terminal, err = pos.New(pos.Options{DataDir: s.DataDir(), TID: tid, Timeout: patience, Now: s.clock.Now}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(tid string, ids ...string) *certification.Checklist {
		t.Helper()
		list := certified(t, s, tid)
		if got := open(list); !slices.Equal(got, ids) {
			t.Errorf("terminal %s: open are %v, want %v", tid, got, ids)
		}
		return list
	}
	own := m.Terminals[1].TID // NAC with a MAC
	want(own, "line", "sale", "mac", "decline", "void", "refund", "reversal", "repeat", "balanced", "upload")
	play(own)
	p.do("00", pos.Request{Operation: pos.Echo})
	p.do("51", pos.Request{Operation: pos.Sale, Amount: "40000", Card: behaviourLow})
	want(own, "sale", "mac", "decline", "void", "refund", "reversal", "repeat", "balanced", "upload")
	p.do("00", pos.Request{Operation: pos.Sale, Amount: "1"})
	want(own, "void", "refund", "reversal", "repeat", "balanced", "upload")
	// The clock of the test stands still, and what came first is told by it alone.
	tick := func() { moveClock(t, s.Manifest(), ClockChange{Do: "advance", Duration: time.Second}) }
	tick()
	p.do("63", pos.Request{Operation: pos.Sale, Amount: "1", WrongMAC: true})
	want(own, "mac", "void", "refund", "reversal", "repeat", "balanced", "upload")
	p.settle(pos.Settlement{Overstate: 100})
	want(own, "mac", "void", "refund", "reversal", "repeat", "balanced")
	p.settle(pos.Settlement{}) // nothing was sold: that balances anything
	want(own, "mac", "void", "refund", "reversal", "repeat", "balanced")
	tick()
	p.do("00", pos.Request{Operation: pos.Sale, Amount: "1"})
	p.do("00", pos.Request{Operation: pos.Sale, Repeat: true})
	want(own, "void", "refund", "reversal", "balanced")
	p.do("00", pos.Request{Operation: pos.Reversal})
	p.do("00", pos.Request{Operation: pos.Sale, Amount: "1"})
	p.do("00", pos.Request{Operation: pos.Cancel})
	p.settle(pos.Settlement{})
	if list := want(own, "refund"); list.Complete || list.Passed != list.Needed-1 {
		t.Errorf("%d of %d", list.Passed, list.Needed)
	}

	// The stories showed everything but a test of the line.
	played := m.Terminals[slices.IndexFunc(m.Terminals, func(t Terminal) bool { return t.Stories && t.Dialect == listenerNAC })].TID
	want(played, "line")
	play(played)
	p.do("00", pos.Request{Operation: pos.Logon})
	list := want(played)
	if !list.Complete || !strings.HasPrefix(list.Verdict(), "complete") {
		t.Errorf("%+v", list)
	}
	var report strings.Builder
	list.WriteMarkdown(&report)
	status, body := fetch(t, s.Manifest().Addresses.Console+"/certification/"+played+"/report/md")
	if status != http.StatusOK || !strings.HasPrefix(body, "# Certification of terminal "+played) || strings.Count(body, "\n") != strings.Count(report.String(), "\n") {
		t.Errorf("%d %s", status, body)
	}
	secrets(t, s.Manifest(), "the report", body)
	if status, body = fetch(t, s.Manifest().Addresses.Console+"/certification/"+played); status != http.StatusOK || !strings.Contains(body, "Settles a batch in balance") {
		t.Errorf("%d %s", status, body)
	}
	for path, want := range map[string]int{
		"/certification": http.StatusOK, "/certification/99999999": http.StatusNotFound,
		"/certification?tid=+" + played: http.StatusOK, "/certification?tid=..%2F..%2Fmessages": http.StatusNotFound,
		"/certification/" + played + "/report/json": http.StatusOK, "/certification/" + played + "/report/exe": http.StatusNotFound,
	} {
		if status, _ := fetch(t, s.Manifest().Addresses.Console+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _ := fetch(t, s.Manifest().Addresses.Ops+CertificationPath+"?tid=99999999"); status != http.StatusBadRequest {
		t.Errorf("a terminal that nobody knows: %d", status)
	}
	unionPay := want(m.Terminals[slices.IndexFunc(m.Terminals, func(t Terminal) bool { return t.Stories && t.Dialect == listenerUnionPay })].TID)
	if len(story.Dialects) != 3 || !unionPay.Complete {
		t.Errorf("%+v", unionPay)
	}
}
