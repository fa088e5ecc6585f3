package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/host"
	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/internal/loadgen"
)

// Terminals that speak UnionPay, all with sessions.
const (
	posTill  = "70000001" // of shop
	posTill2 = "70000002" // of shop
)

// masterKey of a UnionPay terminal.
func masterKey(tid string) []byte { return []byte("master" + tid + "..") }

// unionPayListener is a listener of the dialect, by name "unionpay", on any port.
func unionPayListener() Listener {
	return Listener{Dialect: wire.NameUnionPay, ListenerConfig: host.ListenerConfig{
		Name: wire.NameUnionPay, Address: "127.0.0.1:0", Framing: wire.Framing{TPDU: true, Header: true},
	}}
}

// profiled is the same for a profile, by name "unionpay-" and the profile's.
func profiled(profile string) Listener {
	l := unionPayListener()
	l.Name, l.Profile = l.Name+"-"+profile, profile
	return l
}

// newUnionPayTown is a town with terminals that speak UnionPay, and change besides.
func newUnionPayTown(t testing.TB, change ...func(*town)) *town {
	t.Helper()
	return newTownWith(t, func(w *town) {
		w.seedUnionPay()
		for _, c := range change {
			c(w)
		}
	}, unionPayListener())
}

func (w *town) seedUnionPay() {
	w.t.Helper()
	keys := hsm.NewSoftware(w.vault, w.vault.FirstDataKeys())
	for _, tid := range []string{posTill, posTill2} {
		tmk, err := keys.Enter(hsm.UseTerminalMaster, hsm.TDES2, masterKey(tid))
		w.must(err)
		w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, tpdu, mac_algorithm, key_scheme, tmk_wrapped)
			SELECT 700 + right($1, 1)::int, $1, merchant_id, 'unionpay', '6000030000', 'unionpay-ecb', 'session', $2
			FROM merchants WHERE mid = $3`, tid, tmk.Bytes(), shop)
	}
}

// apartPOS is a UnionPay terminal written apart from the host, and its town.
type apartPOS struct {
	*loadgen.POS

	w *town
}

// apart connects a terminal that has not signed in.
func (w *town) apart(tid string) *apartPOS {
	w.t.Helper()
	p := &apartPOS{loadgen.NewPOS(tid, shop, masterKey(tid)), w}
	ctx, cancel := w.patiently()
	defer cancel()
	w.must(p.Connect(ctx, w.node.Addresses()[wire.NameUnionPay]))
	w.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			w.t.Errorf("%s: %v", tid, err)
		}
	})
	return p
}

func (w *town) patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// signedIn is a terminal in a session with keys of double length.
func (w *town) signedIn(tid string) *apartPOS {
	w.t.Helper()
	p := w.apart(tid)
	p.signIn(loadgen.SignInDouble)
	return p
}

// told is a message of a terminal and its answer.
type told struct {
	by              *apartPOS
	request, answer loadgen.Message
}

func (t *told) rrn() string { return t.answer.Field(37) }

// of are the fields by which a void, a refund or a completion names this one.
func of(t *told) map[int]string { return loadgen.Original(t.request, t.answer) }

// holdOf names an authorization as UnionPay does: by its code, not by its RRN.
func holdOf(t *told) map[int]string {
	fields := of(t)
	delete(fields, 37)
	return fields
}

func (p *apartPOS) signIn(code string) loadgen.Message {
	p.w.t.Helper()
	ctx, cancel := p.w.patiently()
	defer cancel()
	answer, err := p.SignIn(ctx, code)
	p.w.must(err)
	if answer.Code() != "00" {
		p.w.t.Fatalf("sign-in %s answered %s", code, answer.Code())
	}
	return answer
}

// ask sends a message and takes its answer, which the terminal itself holds
// against the request; what every answer owes the reference is held here.
func (p *apartPOS) ask(m loadgen.Message) *told {
	p.w.t.Helper()
	ctx, cancel := p.w.patiently()
	defer cancel()
	answer, err := p.Do(ctx, m)
	p.w.must(err)
	return p.took(m, answer)
}

func (p *apartPOS) took(m, answer loadgen.Message) *told {
	p.w.t.Helper()
	p.w.complete(m, answer)
	if stored(m, answer) {
		p.w.approved.add(answer.Field(37))
	}
	return &told{p, m, answer}
}

// stored tells whether an approval must be found in the ledger's records.
func stored(m, answer loadgen.Message) bool {
	if f48 := answer.Field(48); m.MTI == "0500" && len(f48) >= 31 {
		return f48[30] == '1'
	}
	return answer.Code() == "00" && m.MTI[1] != '8'
}

// do asks and expects a response code; the ledger must be right after it.
func (p *apartPOS) do(code string, m loadgen.Message) *told {
	p.w.t.Helper()
	t := p.just(code, m)
	p.w.settle()
	return t
}

// just is do on the way to what a test is about.
func (p *apartPOS) just(code string, m loadgen.Message) *told {
	p.w.t.Helper()
	t := p.ask(m)
	if got := t.answer.Code(); got != code {
		p.w.t.Fatalf("%s %s answered %q (%s), want %q", m.MTI, m.Field(60), got, text(t.answer), code)
	}
	return t
}

// answerBits are the fields that UnionPay's centre answers with (reference:
// mandatory bitmaps), by what the request is.
func answerBits(m loadgen.Message) string {
	kind, network := m.Field(60)[:2], ""
	if len(m.Field(60)) >= 11 {
		network = m.Field(60)[8:11]
	}
	switch m.MTI {
	case "0400":
		return "703E00810AD08811"
	case "0500":
		return "003A000108C18012"
	case "0320":
		return "003800010AC10010"
	case "0800", "0820":
		switch network {
		case "001", "003", "004":
			return "003800010AC00014"
		case "002":
			return "003800010AC00010"
		case "301":
			return "0018000002C00010"
		case "360", "370", "380":
			return "001800000AC00014"
		case "361", "371", "381":
			return "001800000AC00010"
		default:
			return "0018000002C00014"
		}
	case "0620":
		return ""
	}
	return map[string]string{
		"01": "603C00810AD08C11", "22": "703E00810ED08813", "23": "703E00810ED08813", "25": "703E00810AD08813",
		"10": "703E00810ED08813", "11": "703E00810ED08813", "20": "703E00810ED08813", "21": "703E00810ED08813",
		"24": "703E00810ED08813", "30": "703E00810ED08813", "32": "703E00810ED08813", "34": "703E00810ED08813",
	}[kind]
}

// complete holds an approval against the reference's bitmap: every field of it is
// there. Expiry and security control come back to those who sent them, the network
// field 63 of a settlement as well.
func (w *town) complete(m, answer loadgen.Message) {
	w.t.Helper()
	if !stored(m, answer) && (answer.Code() != "00" || m.MTI[1] != '8') {
		return
	}
	bitmap, err := hex.DecodeString(answerBits(m))
	w.must(err)
	var missing []int
	for i := range 8 * len(bitmap) {
		n := i + 1
		if bitmap[i/8]&(0x80>>(i%8)) == 0 {
			continue
		}
		if _, has := answer.Fields[n]; !has && (n != 53 && n != 14 && n != 4 || m.Field(n) != "") {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		w.t.Fatalf("%s %s: the answer has no fields %v", m.MTI, m.Field(60), missing)
	}
}

// Texts for the terminal's display, in GBK.
var displays = func() map[string]string {
	texts := map[string]string{}
	for words, encoded := range map[string]string{
		"已结算，请做退货":        "D2D1BDE1CBE3A3ACC7EBD7F6CDCBBBF5",
		"当日请做撤销":          "B5B1C8D5C7EBD7F6B3B7CFFA",
		"退货审核中":           "CDCBBBF5C9F3BACBD6D0",
		"已结算，已转为退货":       "D2D1BDE1CBE3A3ACD2D1D7AACEAACDCBBBF5",
		"未结算，已转为撤销":       "CEB4BDE1CBE3A3ACD2D1D7AACEAAB3B7CFFA",
		"交易成功":            "BDBBD2D7B3C9B9A6",
		"请向网络中心签到":        "C7EBCFF2CDF8C2E7D6D0D0C4C7A9B5BD",
		"校验错，请重新签到":       "D0A3D1E9B4EDA3ACC7EBD6D8D0C2C7A9B5BD",
		"密码错，请重试":         "C3DCC2EBB4EDA3ACC7EBD6D8CAD4",
		"密码错误次数超限":        "C3DCC2EBB4EDCEF3B4CECAFDB3ACCFDE",
		"余额不足，请查询":        "D3E0B6EEB2BBD7E3A3ACC7EBB2E9D1AF",
		"交易失败，请重试":        "BDBBD2D7CAA7B0DCA3ACC7EBD6D8CAD4",
		"交易失败，请联系发卡行":     "BDBBD2D7CAA7B0DCA3ACC7EBC1AACFB5B7A2BFA8D0D0",
		"交易失败":            "BDBBD2D7CAA7B0DC",
		"交易失败，请稍后重试":      "BDBBD2D7CAA7B0DCA3ACC7EBC9D4BAF3D6D8CAD4",
		"终端无效，请联系收单行或银联":  "D6D5B6CBCEDED0A7A3ACC7EBC1AACFB5CAD5B5A5D0D0BBF2D2F8C1AA",
		"终端未登记，请联系收单行或银联": "D6D5B6CBCEB4B5C7BCC7A3ACC7EBC1AACFB5CAD5B5A5D0D0BBF2D2F8C1AA",
		"无效卡号，请联系发卡行":     "CEDED0A7BFA8BAC5A3ACC7EBC1AACFB5B7A2BFA8D0D0",
		"操作有误，请重试":        "B2D9D7F7D3D0CEF3A3ACC7EBD6D8CAD4",
		"交易金额超限，请重试":      "BDBBD2D7BDF0B6EEB3ACCFDEA3ACC7EBD6D8CAD4",
		"交易金额与原交易不匹配":     "BDBBD2D7BDF0B6EED3EBD4ADBDBBD2D7B2BBC6A5C5E4",
		"金额太大":            "BDF0B6EECCABB4F3",
		"商户未登记":           "C9CCBBA7CEB4B5C7BCC7",
	} {
		b, err := hex.DecodeString(encoded)
		if err != nil {
			panic(err)
		}
		texts[string(b)] = words
	}
	return texts
}()

// text is F63.2 of an answer in words; in hexadecimal characters where these
// tests have no words for it.
func text(answer loadgen.Message) string {
	f63 := answer.Field(63)
	if len(f63) <= 3 {
		return ""
	}
	var shown strings.Builder
	for line := range slices.Chunk([]byte(f63[3:]), 20) {
		shown.WriteString(strings.TrimRight(string(line), " "))
	}
	if words, known := displays[shown.String()]; known {
		return words
	}
	return fmt.Sprintf("%X", shown.String())
}

// shows asserts the text for the terminal.
func (w *town) shows(t *told, want string) {
	w.t.Helper()
	if got := text(t.answer); got != want {
		w.t.Fatalf("%s %s shows %q, want %q", t.request.MTI, t.request.Field(60), got, want)
	}
}

// again sends exactly what was sent before and expects exactly the same answer,
// but for the MAC of another session; nothing else comes of it, and the ledger is
// right.
func (w *town) again(t *told) {
	w.t.Helper()
	before := w.stored()
	w.clock.set(w.clock.Now().Add(7 * time.Second))
	repeat := t.by.ask(t.request)
	if !bytes.Equal(unsealed(repeat.answer), unsealed(t.answer)) {
		w.t.Fatalf("repeat of %s %s answered\n%X\nfirst\n%X", t.request.MTI, t.request.Field(60), repeat.answer.Raw, t.answer.Raw)
	}
	if after := w.stored(); before != after {
		w.t.Fatalf("repeat of %s %s: rows before %+v, after %+v", t.request.MTI, t.request.Field(60), before, after)
	}
	w.settle()
}

// unsealed is a message without its MAC.
func unsealed(m loadgen.Message) []byte { return m.Raw[:len(m.Raw)-len(m.Field(64))] }

// twice sends a message, and again, and expects a response code.
func (p *apartPOS) twice(code string, m loadgen.Message) *told {
	p.w.t.Helper()
	t := p.just(code, m)
	p.w.again(t)
	return t
}

// pay is a card of the town as a cardholder puts it down.
func pay(i int) loadgen.Card {
	pan, expiry := cardNumber(i).Reveal(), expiryOf(i)
	return loadgen.Card{PAN: pan, Expiry: expiry, Track2: (pan + "=" + expiry + trackTail)[:37], PIN: everyPIN}
}

// pinOf is the card's PIN as it is entered at the terminal.
func (p *apartPOS) pinOf(c loadgen.Card) map[int]string {
	p.w.t.Helper()
	fields, err := p.PIN(c)
	p.w.must(err)
	return fields
}

// sale of a swiped card.
func (p *apartPOS) sale(minor int64, change ...map[int]string) loadgen.Message {
	return p.Request(loadgen.Sale, append([]map[int]string{pay(everyday).Swiped(), loadgen.Amount(minor)}, change...)...)
}

// about is a message about an original: the card by its number.
func (p *apartPOS) about(t loadgen.Transaction, original map[int]string, minor int64, change ...map[int]string) loadgen.Message {
	return p.Request(t, append([]map[int]string{{2: pay(everyday).PAN}, loadgen.Amount(minor), original}, change...)...)
}
