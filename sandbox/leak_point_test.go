//go:build unix

package sandbox

import (
	"context"
	"strings"

	"meridian/internal/loadgen"
)

// newPoint is a UnionPay terminal that has signed in.
func (tr *traffic) newPoint(m Merchant, terminal Terminal) *loadgen.POS {
	tr.t.Helper()
	p := loadgen.NewPOS(terminal.TID, m.MID, unhex(tr.t, terminal.TMK))
	tr.s.must(p.Connect(tr.t.Context(), tr.s.manifest.Addresses.UnionPay))
	tr.signIn(p, loadgen.SignInDouble)
	return p
}

// patiently is a context that a test does not hang with.
func (tr *traffic) patiently() context.Context {
	ctx, cancel := context.WithTimeout(tr.t.Context(), patience)
	tr.t.Cleanup(cancel)
	return ctx
}

func (tr *traffic) signIn(p *loadgen.POS, code string) {
	tr.t.Helper()
	answer, err := p.SignIn(tr.patiently(), code)
	tr.s.must(err)
	if answer.Code() != "00" {
		tr.t.Fatalf("sign-in %s answered %s", code, answer.Code())
	}
	tr.count(listenerUnionPay, "unionpay sign-in")
	keys := p.Keys()
	for name, key := range map[string][]byte{"PIK": keys.PIK, "MAK": keys.MAK, "TDK": keys.TDK} {
		if len(key) > 0 {
			tr.s.secrets.Bytes(name+" of a session of terminal "+p.TID, key)
		}
	}
}

// point sends the next message of a UnionPay terminal.
func (tr *traffic) point(p *loadgen.POS, turn int) {
	tr.t.Helper()
	c := tr.card("CNY")
	card := loadgen.Card{PAN: c.PAN, Expiry: c.Expiry, Track2: c.Track2, PIN: c.PIN}
	amount := loadgen.Amount(tr.amount())
	pin := func(pin string) map[int]string {
		key, format := p.Keys().PIK, "2000000000000000"
		if len(key) == 16 {
			format = "2600000000000000"
		}
		return map[int]string{26: "12", 52: string(tr.pinBlock(key, pin, c.PAN)), 53: format}
	}
	switch kind := turn % 10; kind {
	case 0, 5:
		read := map[int]string{22: "051", 55: string(chip(tr.t, c)), 23: "001"}
		request := p.Request(loadgen.Sale, amount, card.Swiped(), read, pin(card.PIN))
		answer := tr.do(p, request, "swiped", "PIN", "unionpay PIN")
		if answer.Code() != "00" {
			return
		}
		tr.counts["unionpay approved with a PIN"]++
		if kind == 5 {
			tr.do(p, p.Request(loadgen.SaleVoid, map[int]string{4: request.Fields[4]}, card.Keyed(), loadgen.Original(request, answer)), "void", "keyed")
		}
	case 1:
		request := p.Request(loadgen.Sale, amount, card.Keyed(), pin(card.PIN))
		tr.do(p, request, "keyed", "PIN")
		tr.do(p, p.Reversal(request, "98"), "reversal")
	case 2:
		request := p.Request(loadgen.Preauth, amount, card.Swiped(), pin(card.PIN))
		answer := tr.do(p, request, "authorization", "PIN", "swiped")
		if answer.Code() == "00" {
			tr.do(p, p.Request(loadgen.Completion, amount, card.Keyed(), loadgen.Original(request, answer)), "completion")
		}
	case 3:
		keys := p.Keys()
		p.SetKeys(loadgen.Keys{PIK: keys.PIK, MAK: wrongKey[:len(keys.MAK)], TDK: keys.TDK})
		tr.do(p, p.Request(loadgen.Sale, amount, card.Swiped(), pin(card.PIN)), "wrong MAC", "unionpay wrong MAC")
		p.SetKeys(keys)
	case 4:
		tr.signIn(p, []string{loadgen.SignInSingle, loadgen.SignInDouble, loadgen.SignInTrack}[turn/10%3])
	case 6:
		tr.cutShort(p, p.Request(loadgen.Sale, amount, card.Swiped(), pin(card.PIN)))
	case 7:
		tr.do(p, p.Request(loadgen.Inquiry, card.Swiped(), pin("987654")), "wrong PIN", "PIN")
	case 8:
		tr.enciphered(p, card)
	default:
		tr.do(p, p.Request(loadgen.OfflineSale, amount, card.Keyed()), "keyed")
	}
}

// enciphered sends a track under the session's track key.
func (tr *traffic) enciphered(p *loadgen.POS, card loadgen.Card) {
	tr.t.Helper()
	tr.signIn(p, loadgen.SignInTrack)
	sealed, err := loadgen.SealTrack(p.Keys().TDK, card.Track2)
	tr.s.must(err)
	swiped := card.Swiped()
	swiped[35], swiped[53] = sealed, "0010000000000000"
	tr.do(p, p.Request(loadgen.Sale, loadgen.Amount(tr.amount()), swiped), "unionpay enciphered track")
}

// cutShort sends the beginning of a message, at least up to its trace number: the
// answer is told apart by that.
func (tr *traffic) cutShort(p *loadgen.POS, m loadgen.Message) {
	tr.t.Helper()
	body, err := p.Body(m)
	tr.s.must(err)
	const toTrace = 2 + 8 + 3 + 6 + 3 // type, bitmap, F3, F4 and F11 itself
	call, err := p.Line().SendBody(m, body[:toTrace+tr.random.IntN(len(body)-toTrace)])
	tr.s.must(err)
	answer, err := call.Wait(tr.patiently())
	tr.s.must(err)
	tr.count(listenerUnionPay, "unionpay cut short", "answered "+answer.Code())
}

func (tr *traffic) do(p *loadgen.POS, m loadgen.Message, kinds ...string) loadgen.Message {
	tr.t.Helper()
	answer, err := p.Do(tr.patiently(), m)
	if err != nil && answer.MTI == "" {
		tr.t.Fatal(err)
	}
	tr.count(listenerUnionPay, append(kinds, "answered "+answer.Code())...)
	return answer
}

// settlePoint ends a terminal's batch with wrong totals, so that it shows every card
// number again.
func (tr *traffic) settlePoint(p *loadgen.POS) {
	tr.t.Helper()
	tr.signIn(p, loadgen.SignInDouble)
	tr.do(p, p.Settlement(strings.Repeat("0", 62)), "unionpay settlement")
	for _, m := range p.Uploads() {
		tr.do(p, m, "unionpay upload")
	}
	tr.do(p, p.End(loadgen.EndUnbalanced, p.Entries()))
}
