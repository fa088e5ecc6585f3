//go:build unix

package sandbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pos "meridian/host/terminal"
	"meridian/internal/pglocal/pgtest"
)

// playing is a test terminal at a sandbox.
type playing struct {
	t        *testing.T
	terminal *pos.Terminal
	tid      string
	said     strings.Builder
}

// plays is the first UnionPay terminal of a merchant.
func plays(t *testing.T, dir string, m Merchant) *playing {
	t.Helper()
	for _, one := range m.Terminals {
		if one.Dialect != listenerUnionPay {
			continue
		}
		played, err := pos.New(pos.Options{DataDir: dir, TID: one.TID, Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		return &playing{t: t, terminal: played, tid: one.TID}
	}
	t.Fatalf("merchant %s has no UnionPay terminal", m.MID)
	return nil
}

// heard keeps what a report says.
func (p *playing) heard(into *[]*pos.Report) func(*pos.Report) error {
	return func(r *pos.Report) error {
		*into = append(*into, r)
		r.WriteText(&p.said)
		return nil
	}
}

// do sends a request and expects its response code.
func (p *playing) do(code string, r pos.Request) *pos.Report {
	p.t.Helper()
	var reports []*pos.Report
	err := p.terminal.Run(context.Background(), r, pos.Repetition{}, p.heard(&reports))
	var declined *pos.Error
	if err != nil && (!errors.As(err, &declined) || declined.Kind != pos.KindDeclined) {
		p.t.Fatalf("%s: %v\n%s", r.Operation, err, p.said.String())
	}
	if got := reports[0].Code; got != code {
		p.t.Fatalf("%s answered %s, want %s\n%s", r.Operation, got, code, p.said.String())
	}
	return reports[0]
}

func (p *playing) settle(s pos.Settlement) []*pos.Report {
	p.t.Helper()
	var reports []*pos.Report
	if err := p.terminal.Settle(context.Background(), s, p.heard(&reports)); err != nil {
		p.t.Fatalf("settle: %v\n%s", err, p.said.String())
	}
	return reports
}

// TestTerminalPlaysUnionPay: the test terminal plays all of UnionPay's dialect
// against a sandbox, from sign-in to sign-off, over a cutoff.
func TestTerminalPlaysUnionPay(t *testing.T) {
	dir := dataDir(t)
	o := options(dir)
	o.DatabaseURL = pgtest.Database(t, migrate)
	o.Now = (&realTime{tuesday}).Now
	s := start(t, o)
	merchant, _ := s.Manifest().find(t, "CNY", listenerUnionPay, "unionpay-ecb")
	p := plays(t, dir, merchant)

	request := func(o pos.Operation, amount string) pos.Request { return pos.Request{Operation: o, Amount: amount} }
	p.do("00", pos.Request{Operation: pos.Echo})
	for _, keys := range []pos.KeyForm{pos.KeysSingle, pos.KeysTrack, pos.KeysDouble, pos.KeysTrack} {
		signedIn := p.do("00", pos.Request{Operation: pos.Logon, Keys: keys})
		if len(signedIn.Keys) < 2 || signedIn.Demand != "download parameters" {
			t.Fatalf("signed in: %+v", signedIn)
		}
		p.do("00", pos.Request{Operation: pos.Sale, Amount: "1", PIN: pos.PINOfCard})
	}
	var downloads []*pos.Report
	lists := []pos.List{pos.ListParameters, pos.ListKeys, pos.ListApplications}
	if err := p.terminal.Download(t.Context(), lists, p.heard(&downloads)); err != nil {
		t.Fatal(err)
	}
	if n := len(downloads); n < 12 {
		t.Errorf("%d messages of downloads", n)
	}
	if again := p.do("00", pos.Request{Operation: pos.Logon, Keys: pos.KeysTrack}); again.Demand != "" {
		t.Errorf("after the downloads the host asks to %s", again.Demand)
	}

	// Everything that is sold, undone, held, told.
	p.do("00", pos.Request{Operation: pos.Sale, Amount: "10", SealTrack: true, PIN: pos.PINOfCard})
	p.do("00", pos.Request{Operation: pos.Sale, Repeat: true})
	p.do("00", pos.Request{Operation: pos.Void})
	p.do("12", pos.Request{Operation: pos.Void, Of: pos.Sale})
	for _, reason := range []pos.Reason{pos.ReasonNoAnswer, pos.ReasonNotFinished, pos.ReasonWrongMAC, pos.ReasonOther} {
		p.do("00", request(pos.Sale, "2"))
		p.do("00", pos.Request{Operation: pos.Reversal, Reason: reason})
	}
	p.do("00", request(pos.Preauth, "50"))
	p.do("00", pos.Request{Operation: pos.Void, Of: pos.Preauth})
	p.do("00", request(pos.Preauth, "50"))
	p.do("00", request(pos.Complete, "40"))
	p.do("00", pos.Request{Operation: pos.Cancel, Of: pos.Complete})
	p.do("00", pos.Request{Operation: pos.Complete, Amount: "45", Advice: true})
	p.do("00", request(pos.Offline, "30"))
	p.do("00", pos.Request{Operation: pos.Adjust, Amount: "33", Tip: "3"})
	p.do("00", pos.Request{Operation: pos.Script})
	if balance := p.do("00", pos.Request{Operation: pos.Balance, PIN: pos.PINOfCard}); balance.Available == "" {
		t.Error("a balance tells nothing")
	}
	p.do("55", pos.Request{Operation: pos.Sale, Amount: "1", PIN: "999999"})
	p.do("51", pos.Request{Operation: pos.Sale, Amount: "40000", Card: behaviourLow})

	// Settled with totals that agree, then with others.
	kept := p.do("00", request(pos.Sale, "20"))
	settled := p.settle(pos.Settlement{})
	if len(settled) != 2 || settled[0].Balance != "balanced" {
		t.Errorf("settled: %+v", settled)
	}
	p.do("00", request(pos.Sale, "3"))
	settled = p.settle(pos.Settlement{Totals: strings.Repeat("0", 62)})
	if len(settled) != 3 || settled[0].Balance != "unbalanced" {
		t.Errorf("settled: %+v", settled)
	}
	p.settle(pos.Settlement{Repeat: true})

	// Over the cutoff a void becomes a refund, and the terminal is told so.
	sold := p.do("00", request(pos.Sale, "7"))
	moveClock(t, s.Manifest(), ClockChange{Do: "advance", Duration: 24 * time.Hour})
	p.do("00", pos.Request{Operation: pos.Refund, RRN: kept.RRN, Amount: "5"})
	if turned := p.do("00", pos.Request{Operation: pos.Cancel, RRN: sold.RRN}); turned.Verdict != "REFUND" || turned.Text != "已结算，已转为退货" {
		t.Errorf("a void over the cutoff: verdict %q, text %q", turned.Verdict, turned.Text)
	}
	p.settle(pos.Settlement{})
	p.do("00", pos.Request{Operation: pos.SignOff})
	p.do("00", pos.Request{Operation: pos.Logon})
	verify(t, s.Manifest().DatabaseURL)

	// A strict merchant's terminal is told what to do instead.
	strict, _ := s.Manifest().find(t, "EUR", listenerUnionPay, "unionpay-ecb")
	q := plays(t, dir, strict)
	q.do("00", pos.Request{Operation: pos.Logon})
	q.do("00", request(pos.Sale, "10"))
	if refused := q.do("22", pos.Request{Operation: pos.Refund}); refused.Text != "当日请做撤销" {
		t.Errorf("a refund of the day: text %q", refused.Text)
	}
	for _, card := range s.Manifest().Cards {
		if strings.Contains(p.said.String()+q.said.String(), card.PAN) {
			t.Fatal("a card number was told")
		}
	}
}
