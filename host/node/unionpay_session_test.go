package node

import (
	"errors"
	"strings"
	"testing"

	"meridian/internal/loadgen"
)

// TestUnionPayKeys: a sign-in hands out keys of the length it was asked for, each
// with its check value, new ones each time; under another master key they are none.
func TestUnionPayKeys(t *testing.T) {
	t.Parallel()
	w := newTownWith(t, (*town).seedUnionPay, unionPayListener(), profiled("spp"))
	p := w.apart(posTill)
	seen := map[string]bool{}
	for _, c := range []struct {
		code          string
		pik, mak, tdk int
	}{
		{loadgen.SignInSingle, 8, 8, 0},
		{loadgen.SignInDouble, 16, 16, 0},
		{loadgen.SignInTrack, 16, 16, 16},
		{loadgen.SignInDouble, 16, 16, 0},
	} {
		p.signIn(c.code)
		k := p.Keys()
		if len(k.PIK) != c.pik || len(k.MAK) != c.mak || len(k.TDK) != c.tdk {
			t.Fatalf("sign-in %s gave keys of %d, %d and %d bytes", c.code, len(k.PIK), len(k.MAK), len(k.TDK))
		}
		for _, one := range [][]byte{k.PIK, k.MAK, k.TDK} {
			if len(one) > 0 && seen[string(one)] {
				t.Fatalf("sign-in %s gave a key that there has been", c.code)
			}
			seen[string(one)] = true
		}
		p.do("00", p.sale(1_00, p.pinOf(pay(everyday))))
	}
	ctx, cancel := w.patiently()
	defer cancel()
	other := loadgen.NewPOS(posTill2, shop, masterKey(posTill))
	w.must(other.Connect(ctx, w.node.Addresses()["unionpay"]))
	defer other.Close()
	if _, err := other.SignIn(ctx, loadgen.SignInDouble); !errors.Is(err, loadgen.ErrCheckValue) {
		t.Fatalf("keys under another terminal's master key: %v", err)
	}
	// The spp host's terminals have a MAC key of one DES key whatever they ask for,
	// and its settlements a code beside the digit.
	w.must(p.Connect(ctx, w.node.Addresses()["unionpay-spp"]))
	p.signIn(loadgen.SignInDouble)
	if k := p.Keys(); len(k.PIK) != 16 || len(k.MAK) != 8 {
		t.Fatalf("keys of %d and %d bytes", len(k.PIK), len(k.MAK))
	}
	p.do("00", p.sale(1_00, p.pinOf(pay(everyday))))
	if answer := p.ask(p.Settlement(p.Totals())).answer; answer.Code() != "00" || answer.Field(48)[30] != '1' {
		t.Fatalf("settlement answered %q and %q", answer.Code(), answer.Field(48))
	}
}

// TestUnionPayWithoutSession: what needs a session and has none is answered 77,
// with the demand to sign in, and nothing is kept.
func TestUnionPayWithoutSession(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.apart(posTill)
	p.SetKeys(loadgen.Keys{MAK: []byte("no key at all..."), PIK: []byte("no key at all...")})
	p.SetBatch(1)
	refused := func(m loadgen.Message) {
		t.Helper()
		before := w.stored()
		got := p.just("77", m)
		if got.answer.Demand() != 3 || got.rrn() != "" || got.answer.Field(38) != "" {
			t.Fatalf("%s answered with demand %d and fields %v", m.MTI, got.answer.Demand(), got.answer.Fields)
		}
		if after := w.stored(); before != after {
			t.Fatalf("%s: rows before %+v, after %+v", m.MTI, before, after)
		}
	}
	everything := func() {
		t.Helper()
		for _, m := range []loadgen.Message{
			p.sale(1_00), p.Reversal(p.sale(1_00), "98"), p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(1_00)),
			p.Request(loadgen.Inquiry, pay(everyday).Swiped()), p.Request(loadgen.OfflineSale, pay(everyday).Keyed(), loadgen.Amount(1_00)),
			p.Settlement(p.Totals()), p.End(loadgen.EndBalanced, 0),
		} {
			refused(m)
		}
	}
	everything()
	// What needs none: the line, and what the terminal holds.
	p.do("00", p.Management("0820", loadgen.Echo))
	p.do("00", p.Management("0820", loadgen.StatusOfKeys, map[int]string{62: "100"}))
	p.signIn(loadgen.SignInDouble)
	sale := p.do("00", p.sale(1_00))

	// Another batch than its own.
	for _, batch := range []int{p.Batch() + 1, p.Batch() - 1, 999_999} {
		for _, m := range []loadgen.Message{p.sale(1_00).But(60, "22"+six(batch)), p.about(loadgen.SaleVoid, of(sale), 1_00).But(60, "23"+six(batch))} {
			refused(m)
		}
	}
	w.shows(p.just("77", p.sale(1_00).But(60, "22"+six(p.Batch()+1))), "请向网络中心签到")

	p.do("00", p.Management("0820", loadgen.SignOff))
	p.do("00", p.Management("0820", loadgen.SignOff)) // once more changes nothing
	everything()
	refused(sale.request)
	p.signIn(loadgen.SignInDouble)
	w.again(sale)
	w.spent(everyday, 1_00)
}

// TestUnionPayMAC: a wrong or missing MAC is answered A0, with one row in the
// audit log and the demand to sign in, and nothing else happens.
func TestUnionPayMAC(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.signedIn(posTill)
	sale := p.do("00", p.sale(10_00))
	keys := p.Keys()
	for name, make := range map[string]func(m loadgen.Message) ([]byte, error){
		"wrong":  func(m loadgen.Message) ([]byte, error) { return loadgen.Seal([]byte("fedcba9876543210"), m) },
		"single": func(m loadgen.Message) ([]byte, error) { return loadgen.Seal(keys.MAK[:8], m) },
		"changed": func(m loadgen.Message) ([]byte, error) {
			body, err := p.Body(m)
			w.must(err)
			other, err := p.Body(m.But(4, "000000009999"))
			return append(other[:len(other)-8], body[len(body)-8:]...), err
		},
		"missing": func(m loadgen.Message) ([]byte, error) { return loadgen.UnionPay().Body(m) },
	} {
		for _, m := range []loadgen.Message{
			p.sale(10_00), p.about(loadgen.SaleVoid, of(sale), 10_00), p.Reversal(sale.request, "98"), sale.request,
			p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(1_00)),
			p.Request(loadgen.OfflineSale, pay(everyday).Keyed(), loadgen.Amount(1_00)),
		} {
			p.ask(sale.request) // a right one in between keeps the terminal from being locked
			before := w.stored()
			body, err := make(m)
			w.must(err)
			answer := w.raw(p, m, body)
			if answer.Code() != "A0" || answer.Demand() != 3 || answer.Field(37) != "" || answer.Field(38) != "" || answer.Field(15) != "" {
				t.Fatalf("%s with a %s MAC answered %s, demand %d, fields %v", m.MTI, name, answer.Code(), answer.Demand(), answer.Fields)
			}
			if _, sealed := answer.Fields[64]; sealed {
				t.Fatal("the answer has a MAC, with which a stranger could make others")
			}
			after := w.stored()
			if after.audits != before.audits+1 {
				t.Fatalf("%s with a %s MAC: %d rows in the audit log, before %d", m.MTI, name, after.audits, before.audits)
			}
			before.audits = after.audits
			if after != before {
				t.Fatalf("%s with a %s MAC: rows before %+v, after %+v", m.MTI, name, before, after)
			}
			row := one[string](w, `SELECT kind || ': ' || subject || ': ' || detail FROM audit_log ORDER BY audit_id DESC LIMIT 1`)
			problem := map[bool]string{true: "missing", false: "wrong"}[name == "missing"]
			if want := "mac_failure: terminal " + posTill + ": MAC " + problem + " in " + m.MTI + " from 127.0.0.1"; row != want {
				t.Fatalf("audited %q, want %q", row, want)
			}
			w.spent(everyday, 10_00)
		}
	}
	w.again(sale)
	w.settle()
}

// raw sends bytes of its own making for a message and takes the answer as it is.
func (w *town) raw(p *apartPOS, m loadgen.Message, body []byte) loadgen.Message {
	w.t.Helper()
	ctx, cancel := w.patiently()
	defer cancel()
	call, err := p.Line().SendBody(m, body)
	w.must(err)
	answer, err := call.Wait(ctx)
	w.must(err)
	return answer
}

// TestUnionPaySignInsUnderWay: two sign-ins, one from another connection, while
// messages of the session before are under way lose none of them.
func TestUnionPaySignInsUnderWay(t *testing.T) {
	t.Parallel()
	const some = 40
	w := newUnionPayTown(t)
	p := w.signedIn(posTill)
	ctx, cancel := w.patiently()
	defer cancel()
	var under []*loadgen.Exchange
	var sent []loadgen.Message
	send := func() {
		t.Helper()
		for range some {
			m := p.sale(1_00, p.pinOf(pay(everyday)))
			x, err := p.Send(m)
			w.must(err)
			under, sent = append(under, x), append(sent, m)
		}
	}
	for range 2 {
		send()
		second := &apartPOS{loadgen.NewPOS(posTill, shop, masterKey(posTill)), w}
		w.must(second.Connect(ctx, w.node.Addresses()["unionpay"]))
		send() // under the old keys, before the sign-in has its answer or after
		second.signIn(loadgen.SignInDouble)
		send() // and still: the sign-in's answer has not reached whoever sends these
		p.SetKeys(second.Keys())
		w.must(second.Close())
		send()
	}
	for i, x := range under {
		answer, err := x.Answer(ctx)
		w.must(err)
		if answer.Code() != "00" {
			t.Fatalf("message %d answered %s (%s)", i, answer.Code(), text(answer))
		}
		p.took(sent[i], answer)
	}
	w.settle()
	w.spent(everyday, int64(len(sent))*1_00)
}

// TestUnionPayPIN: a wrong PIN is 55 and counted, too many are 75 whatever comes
// after, a block that is none is 99 and asks for new keys, and no PIN where the
// entry mode says that there was one is 55.
func TestUnionPayPIN(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.signedIn(posTill)
	wrong := func() map[int]string {
		card := pay(everyday)
		card.PIN = "9999"
		return p.pinOf(card)
	}
	right := func() map[int]string { return p.pinOf(pay(everyday)) }

	bad := p.twice("55", p.sale(1_00, wrong())) // and its repeat is not another try
	w.shows(bad, "密码错，请重试")
	p.do("55", p.Request(loadgen.Inquiry, pay(everyday).Swiped(), wrong()))
	p.do("00", p.sale(1_00, right())) // which forgets them
	w.spent(everyday, 1_00)
	p.do("55", p.sale(1_00, wrong()))
	p.do("55", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(1_00), wrong()))
	p.do("55", p.sale(1_00, wrong()))
	w.shows(p.do("75", p.sale(1_00, right())), "密码错误次数超限")
	p.do("75", p.sale(1_00, wrong()))
	p.do("00", p.sale(1_00)) // without a PIN the card is as good as before
	w.spent(everyday, 2_00)

	other := pay(second)
	swiped := other.Swiped()
	enter := func() map[int]string { return p.pinOf(other) }
	garbled := enter()
	garbled[52] = strings.Repeat("\x5A", 8)
	none := p.do("99", p.sale(1_00, swiped, garbled))
	w.shows(none, "校验错，请重新签到")
	if none.answer.Demand() != 3 {
		t.Fatalf("a block that is none asks for %d", none.answer.Demand())
	}
	p.do("55", p.sale(1_00, swiped, map[int]string{22: "021"}))
	p.do("99", p.sale(1_00, swiped, enter(), map[int]string{53: "9600000000000000"}))
	before := enter()
	p.signIn(loadgen.SignInDouble)
	p.do("00", p.sale(1_00, swiped, enter()))
	p.do("99", p.sale(1_00, swiped, before)) // of the session before, in a message of this one
	w.spent(second, 1_00)
}
