//go:build unix

package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"meridian/internal/loadgen"
	"meridian/sandbox"
)

// till is a terminal of the sandbox's on a line of its own.
type till struct {
	lab      *lab
	line     *loadgen.Line
	tid, mid string
	cards    map[string]sandbox.Card // by behaviour
	stan     int
	batch    int32
}

// till of a merchant: its first NAC terminal with that MAC.
func (l *lab) till(merchant int, mac string) *till {
	l.t.Helper()
	m := l.Merchants[merchant]
	i := slices.IndexFunc(m.Terminals, func(t sandbox.Terminal) bool { return t.Dialect == "nac" && t.MAC == mac })
	if i < 0 {
		l.t.Fatalf("%s has no NAC terminal with MAC %s", m.MID, mac)
	}
	line, err := loadgen.Dial(l.t.Context(), loadgen.NAC(), l.Addresses.NAC)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(line.Close)
	t := &till{lab: l, line: line, tid: m.Terminals[i].TID, mid: m.MID, cards: map[string]sandbox.Card{}, batch: m.Terminals[i].Batch}
	for _, c := range slices.Backward(l.Cards) {
		if c.Currency == m.Currency {
			t.cards[c.Behaviour] = c
		}
	}
	return t
}

// message of the till with the next STAN.
func (t *till) message(mti string, fields map[int]string) loadgen.Message {
	t.stan = t.stan%999_999 + 1
	m := loadgen.Message{MTI: mti, Fields: map[int]string{11: fmt.Sprintf("%06d", t.stan), 41: t.tid, 42: t.mid}}
	maps.Copy(m.Fields, fields)
	return m
}

// purchase is a message with a card and an amount.
func (t *till) purchase(mti, processing, behaviour string, minor int) loadgen.Message {
	c := t.cards[behaviour]
	return t.message(mti, map[int]string{2: c.PAN, 3: processing, 4: fmt.Sprintf("%012d", minor), 14: c.Expiry, 22: "012", 25: "00"})
}

// ask sends and waits.
func (t *till) ask(m loadgen.Message) (loadgen.Message, error) {
	call, err := t.line.Send(m)
	if err != nil {
		return loadgen.Message{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return call.Wait(ctx)
}

// want asks and expects a response code.
func (t *till) want(code string, m loadgen.Message) loadgen.Message {
	t.lab.t.Helper()
	answer, err := t.ask(m)
	if err != nil {
		t.lab.t.Errorf("%s %s: %v", m.MTI, m.Field(3), err)
	} else if answer.Code() != code {
		t.lab.t.Errorf("%s %s was answered %q, want %s", m.MTI, m.Field(3), answer.Code(), code)
	}
	return answer
}

// round is an ordinary customer after the other: everything that a till does in a
// day, at a merchant that leaves it to the host what a cancel becomes.
func (t *till) round() {
	t.lab.t.Helper()
	t.want("00", t.message("0800", map[int]string{3: "990000"}))
	first := t.purchase("0200", "000000", "approve", 1_00)
	sold := t.want("00", first)
	t.want("00", first.Repeat())
	t.want("51", t.purchase("0200", "000000", "zero", 1_00))
	t.want("00", t.message("0200", map[int]string{3: "290000", 37: sold.Field(37)})) // void or refund, you decide
	unheard := t.purchase("0200", "000000", "approve", 2_00)
	t.want("00", unheard)
	reversal := t.message("0400", unheard.Fields)
	t.want("00", reversal)
	held := t.want("00", t.purchase("0100", "000000", "approve", 3_00))
	t.want("00", t.message("0220", map[int]string{3: "000000", 4: "000000000300", 37: held.Field(37)}))
	t.want("00", t.purchase("0200", "310000", "approve", 0))
	for range 5 {
		t.want("00", t.purchase("0200", "000000", "approve", 1_00))
	}
}

// oddities are what happens rarely: what cannot be read, who is not let in, and
// totals that differ. They are another merchant's than the load.
func (l *lab) oddities() {
	l.t.Helper()
	t := l.till(1, "none")
	stranger := *t
	stranger.tid = "99999999"
	stranger.want("97", stranger.purchase("0200", "000000", "approve", 1_00))
	sealed := l.till(1, "x919")
	sealed.want("63", sealed.purchase("0200", "000000", "approve", 1_00)) // its MAC is missing
	if call, err := t.line.SendMalformed("0200", []byte("\xff")); err != nil {
		l.t.Error(err)
	} else if _, err := call.Wait(l.t.Context()); err != nil {
		l.t.Errorf("what cannot be read: %v", err)
	}
	t.want("25", t.message("0200", map[int]string{3: "020000", 37: "000000000001"}))
	first := t.purchase("0200", "000000", "approve", 1_00)
	t.want("00", first)
	other := first
	other.Fields = maps.Clone(first.Fields)
	other.Fields[4] = "000000000200"
	t.want("94", other)
	batch := map[int]string{3: "920000", 60: fmt.Sprintf("%06d", t.batch), 63: "999000000000001"}
	t.want("95", t.message("0500", batch))
	batch[3] = "960000"
	t.want("00", t.message("0500", batch))
}
