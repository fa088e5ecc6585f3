//go:build unix

package sandbox

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/host/dialect"
	pos "meridian/host/terminal"
	"meridian/host/wire"
	"meridian/internal/hsm/mac"
	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox/scenario"
	"meridian/switch"
)

// timer is an answer that a scenario holds back, until a test lets it go.
type timer struct {
	after time.Duration
	fire  func()
}

// stage is a sandbox whose scenarios wait for the test and not for the time.
type stage struct {
	t      *testing.T
	dir    string
	url    string
	m      *Manifest
	timers chan timer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: dataDir(t), timers: make(chan timer, 100)}
	o := options(s.dir)
	o.DatabaseURL = pgtest.Database(t, migrate)
	o.after = func(d time.Duration, f func()) { s.timers <- timer{d, f} }
	s.m = start(t, o).Manifest()
	s.url = s.m.DatabaseURL
	return s
}

// timer is the next one that was set; it is for the time given.
func (s *stage) timer(want time.Duration) timer {
	s.t.Helper()
	select {
	case got := <-s.timers:
		if got.after != want {
			s.t.Errorf("an answer is held back for %s, want %s", got.after, want)
		}
		return got
	case <-time.After(patience):
		s.t.Fatal("no answer is held back")
		return timer{}
	}
}

// balance of a card.
func (s *stage) balance(c Card) int64 {
	s.t.Helper()
	return value[int64](s.t, s.url, `SELECT balance_minor - held_minor FROM card_accounts WHERE card_id = $1`, s.cardID(c))
}

func (s *stage) cardID(c Card) int64 {
	s.t.Helper()
	all := merchants()
	for i := range all {
		list, err := all[i].cards()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, one := range list {
			if one.pan.Reveal() == c.PAN {
				return one.id
			}
		}
	}
	s.t.Fatal("no such card")
	return 0
}

// talk is one terminal with a MAC, at a connection of its own.
type talk struct {
	*line
	s        *stage
	merchant Merchant
	terminal Terminal
	mac      wire.MACAlgorithm
	stan     int
}

func (s *stage) talk(currency, name string) *talk {
	s.t.Helper()
	k := &talk{s: s, stan: 100}
	k.merchant, k.terminal = s.m.find(s.t, currency, name, "x919")
	key, err := hex.DecodeString(k.terminal.MAK)
	if err != nil {
		s.t.Fatal(err)
	}
	if k.mac, err = mac.New(mac.X919, key); err != nil {
		s.t.Fatal(err)
	}
	k.dial()
	return k
}

func (k *talk) dial() {
	k.s.t.Helper()
	k.line = dial(k.s.t, k.s.m, k.terminal.Dialect)
	if err := k.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		k.s.t.Fatal(err)
	}
}

// sale with the next STAN.
func (k *talk) sale(c Card, minor int) map[int]string {
	k.stan++
	return request(k.merchant, k.terminal, c, k.stan, int64(minor))
}

// send writes a message and reads nothing.
func (k *talk) send(mti string, fields map[int]string) {
	k.s.t.Helper()
	m := wire.NewMessage(mti)
	for number, text := range fields {
		m.Set(number, text)
	}
	payload, err := k.spec.AppendPackWithMAC(nil, m, k.mac)
	if mti[1] == '8' {
		payload, err = k.spec.Pack(m)
	}
	if err != nil {
		k.s.t.Fatal(err)
	}
	frame, err := k.framing.AppendFrame(nil, wire.Frame{TPDU: wire.TPDU{0x60, 0, 1, 0, 0}, Payload: payload})
	if err != nil {
		k.s.t.Fatal(err)
	}
	if _, err := k.conn.Write(frame); err != nil {
		k.s.t.Fatal(err)
	}
}

// heard is an answer as its bytes are, and what they say.
type heard struct {
	*wire.Message

	payload []byte
	mac     error
}

func (k *talk) hear() heard {
	k.s.t.Helper()
	frame, err := k.framing.ReadFrame(k.reader, nil)
	if err != nil {
		k.s.t.Fatalf("no answer: %v", err)
	}
	h := heard{payload: bytes.Clone(frame.Payload), mac: k.spec.VerifyMAC(frame.Payload, k.mac)}
	if h.Message, err = k.spec.Parse(h.payload); err != nil {
		k.s.t.Fatal(err)
	}
	return h
}

// want checks an answer's type, trace number and code.
func (k *talk) want(h heard, mti, stan, code string) heard {
	k.s.t.Helper()
	if h.MTI() != mti || h.Get(11) != stan || h.Get(39) != code {
		k.s.t.Fatalf("heard %s for STAN %s with %s, want %s for %s with %s", h.MTI(), h.Get(11), h.Get(39), mti, stan, code)
	}
	if mti[1] != '8' && h.mac != nil {
		k.s.t.Fatalf("%s for STAN %s: %v", mti, stan, h.mac)
	}
	return h
}

// nothing proves that no answer is on its way: an echo's comes first.
func (k *talk) nothing() {
	k.s.t.Helper()
	k.send("0800", map[int]string{3: "990000", 11: "999999", 41: k.terminal.TID, 70: "301"})
	k.want(k.hear(), "0810", "999999", "00")
}

// gone waits for the end of the connection, and makes another.
func (k *talk) gone() {
	k.s.t.Helper()
	if rest, err := io.ReadAll(k.reader); err != nil || len(rest) > 0 {
		k.s.t.Fatalf("heard % x, %v; want the end of the connection", rest, err)
	}
	k.dial()
}

// repeat sends a sale again and returns the stored answer.
func (k *talk) repeat(fields map[int]string) heard {
	k.s.t.Helper()
	k.send("0201", fields)
	return k.want(k.hear(), "0210", fields[11], "00")
}

func (k *talk) reverse(fields map[int]string) {
	k.s.t.Helper()
	k.send("0400", reversalOf(k, fields))
}

// reversalOf a sale whose answer did not come.
func reversalOf(k *talk, sale map[int]string) map[int]string {
	fields := maps.Clone(sale)
	if k.terminal.Dialect == "ascii" {
		fields[90] = "0200" + sale[11] + "00000000000000000000000000000000"
	}
	return fields
}

// ends finds what an amount ends with that forces a scenario.
func ends(t *testing.T, name string) int {
	t.Helper()
	for _, e := range scenario.Table() {
		if e.Name == name {
			n, err := strconv.Atoi(e.AmountEnds)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s is not published", name)
	return 0
}

// Every code of every dialect's table is published; 00 is no scenario, and 10 needs
// what this host does not do.
func TestEveryResponseCodeIsPublished(t *testing.T) {
	published := map[string]bool{"00": true, "10": true}
	for _, code := range scenario.Codes() {
		published[code] = true
	}
	for _, name := range []string{wire.NameNAC, wire.NameASCII87, wire.NameUnionPay} {
		for _, code := range dialect.ResponseCodes(name) {
			if !published[code] {
				t.Errorf("%s answers %s, which no amount forces", name, code)
			}
		}
	}
}

// TestScenarios plays everything at one sandbox, over TCP, and the books hold after it.
func TestScenarios(t *testing.T) {
	s := newStage(t)
	t.Run("response codes", func(t *testing.T) { s.at(t).forcesCodes() })
	t.Run("answers go astray", func(t *testing.T) { s.at(t).leadsAstray() })
	t.Run("unionpay", func(t *testing.T) { s.at(t).playsUnionPay() })
	t.Run("rules", func(t *testing.T) { s.at(t).playsRules() })
	verify(t, s.url)
}

// at is the stage in a test of its own.
func (s *stage) at(t *testing.T) *stage {
	t.Helper()
	other := *s
	other.t = t
	return &other
}

// forcesCodes forces every response code by an amount: it is told, stored with its
// evidence, told again to a repeat, and booked only where it says that the money
// moves.
func (s *stage) forcesCodes() {
	t := s.t
	forced := map[string]string{} // by RRN
	for _, side := range []struct{ dialect, currency string }{{"nac", "CNY"}, {"ascii", "EUR"}} {
		k := s.talk(side.currency, side.dialect)
		card := s.m.card(t, side.currency, scenario.CardBehaviour)
		before, spent := s.balance(card), int64(0)
		for _, code := range scenario.Codes() {
			minor := 20_000 + ends(t, "code-"+code)
			fields := k.sale(card, minor)
			k.send("0200", fields)
			first := k.want(k.hear(), "0210", fields[11], code)
			k.send("0201", fields)
			again := k.want(k.hear(), "0210", fields[11], code)
			if first.Get(37) != again.Get(37) || first.Get(37) == "" || first.Has(38) != scenario.Approves(code) {
				t.Errorf("%s %s: %v, then %v", side.dialect, code, first.Message, again.Message)
			}
			if scenario.Approves(code) {
				spent += int64(minor)
			}
			forced[first.Get(37)] = code
		}
		if got := before - s.balance(card); got != spent {
			t.Errorf("%s: %d are gone, want %d", side.dialect, got, spent)
		}
		// No other card's amount is looked at, and of this card only those that are published.
		for _, plain := range []map[int]string{
			k.sale(s.m.card(t, side.currency, behaviourApprove), 20_000+ends(t, "code-51")), k.sale(card, 20_000), k.sale(card, 20_999),
		} {
			k.send("0200", plain)
			k.want(k.hear(), "0210", plain[11], "00")
		}
	}
	s.wantEvidence(forced)
}

// wantEvidence of the codes that amounts forced, by RRN.
func (s *stage) wantEvidence(forced map[string]string) {
	s.t.Helper()
	rows, err := connectTo(s.t, s.url).Query(s.t.Context(), `SELECT lpad(rrn::text, 12, '0'), reason, decision FROM transactions WHERE decision IS NOT NULL`)
	if err != nil {
		s.t.Fatal(err)
	}
	var rrn string
	var reason int16
	var decision []byte
	_, err = pgx.ForEachRow(rows, []any{&rrn, &reason, &decision}, func() error {
		code := forced[rrn]
		delete(forced, rrn)
		want := switching.ScenarioDecided
		if scenario.Approves(code) {
			want = switching.Approved
		}
		var evidence switching.Evidence
		if err := json.Unmarshal(decision, &evidence); err != nil {
			return err
		}
		if got := evidence.Scenario; got == nil || got.Name != "code-"+code || got.Answer != code || switching.Reason(reason) != want {
			s.t.Errorf("%s is stored as %s with %+v", code, switching.Reason(reason), got)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(forced) > 0 {
		s.t.Errorf("stored without evidence: %v", forced)
	}
}

// leadsAstray plays every misbehaviour, by its card at NAC terminals and by amount
// at ASCII ones. Whatever becomes of the answer, the sale is booked once, a repeat
// gets its answer and a reversal takes it back.
func (s *stage) leadsAstray() {
	for _, side := range []struct{ dialect, currency string }{{"nac", "CNY"}, {"ascii", "EUR"}} {
		for _, b := range scenario.Behaviours() {
			s.t.Run(side.dialect+" "+string(b), func(t *testing.T) {
				s := s.at(t)
				k := s.talk(side.currency, side.dialect)
				k.stan += 1000 * ends(t, string(b))
				card, minor := s.m.card(t, side.currency, string(b)), 30_000
				if side.dialect == "ascii" {
					card, minor = s.m.card(t, side.currency, scenario.CardBehaviour), 30_000+ends(t, string(b))
				}
				before := s.balance(card)
				stands := astray[b](k, k.sale(card, minor))
				want := before
				if stands {
					want -= int64(minor)
				}
				if got := s.balance(card); got != want {
					t.Errorf("the card has %d, want %d of %d", got, want, before)
				}
			})
		}
	}
}

// astray plays a sale with each misbehaviour, and returns whether it stands in the end.
var astray = map[scenario.Behaviour]func(k *talk, sale map[int]string) (stands bool){
	scenario.Delay: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		held := k.s.timer(scenario.DefaultDelay)
		k.nothing()
		held.fire()
		k.want(k.hear(), "0210", sale[11], "00")
		return true
	},
	scenario.PastTimeout: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		held := k.s.timer(scenario.DefaultPastTimeout)
		k.reverse(sale)
		k.want(k.hear(), "0410", sale[11], "00")
		held.fire()
		k.want(k.hear(), "0210", sale[11], "00") // and yet it does not stand
		return false
	},
	scenario.NoAnswer: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		k.nothing()
		first := k.repeat(sale)
		if second := k.repeat(sale); second.Get(37) != first.Get(37) || second.Get(38) != first.Get(38) {
			k.s.t.Errorf("repeated as %s, then as %s", first.Get(37), second.Get(37))
		}
		return true
	},
	scenario.LateAfterReversal: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		k.s.timer(scenario.HoldFor)
		k.nothing()
		k.reverse(sale)
		k.want(k.hear(), "0410", sale[11], "00")
		k.want(k.hear(), "0210", sale[11], "00")
		return false
	},
	scenario.DisconnectBefore: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		k.gone()
		k.repeat(sale)
		return true
	},
	scenario.DisconnectAfter: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		k.want(k.hear(), "0210", sale[11], "00")
		k.gone()
		k.repeat(sale)
		return true
	},
	scenario.Duplicate: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		first := k.want(k.hear(), "0210", sale[11], "00")
		if second := k.hear(); !bytes.Equal(first.payload, second.payload) {
			k.s.t.Errorf("the second answer is % x, the first % x", second.payload, first.payload)
		}
		k.nothing()
		return true
	},
	scenario.WrongMAC: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		first := k.hear()
		if !errors.Is(first.mac, wire.ErrMACWrong) || first.Get(39) != "00" || first.Get(11) != sale[11] {
			k.s.t.Errorf("heard %s with a MAC that is %v", first.Get(39), first.mac)
		}
		k.reverse(sale)
		k.want(k.hear(), "0410", sale[11], "00")
		return false
	},
	scenario.Pieces: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		buffer := make([]byte, 4096)
		n, err := k.conn.Read(buffer)
		if err != nil || n != 1 {
			k.s.t.Fatalf("the first piece has %d bytes: %v", n, err)
		}
		more, err := k.conn.Read(buffer[n:])
		if err != nil || more > 200 {
			k.s.t.Fatalf("the second piece has %d bytes: %v", more, err)
		}
		k.reader.Reset(io.MultiReader(bytes.NewReader(buffer[:n+more]), k.conn))
		k.want(k.hear(), "0210", sale[11], "00")
		return true
	},
	scenario.WrongSTAN: func(k *talk, sale map[int]string) bool {
		k.send("0200", sale)
		stan, err := strconv.Atoi(sale[11])
		if err != nil {
			k.s.t.Fatal(err)
		}
		k.want(k.hear(), "0210", fmt.Sprintf("%06d", stan+1), "00")
		k.reverse(sale)
		k.want(k.hear(), "0410", sale[11], "00")
		return false
	},
}

// playsUnionPay plays the same at a UnionPay terminal.
func (s *stage) playsUnionPay() {
	t := s.t
	merchant, _ := s.m.find(t, "CNY", listenerUnionPay, "unionpay-ecb")
	p := plays(t, s.dir, merchant)
	p.do("00", pos.Request{Operation: pos.Logon})
	for _, code := range []string{"05", "07", "11", "51", "68", "96", "A0", "A7"} {
		amount := 20_000 + ends(t, "code-"+code)
		sold := p.do(code, pos.Request{Operation: pos.Sale, Amount: fmt.Sprintf("%d.%02d", amount/100, amount%100), Card: scenario.CardBehaviour})
		if sold.Problem != "" {
			t.Errorf("%s: %s", code, sold.Problem)
		}
	}
	sell := func(b scenario.Behaviour) (pos.Report, error) {
		var reports []*pos.Report
		err := p.terminal.Run(t.Context(), pos.Request{Operation: pos.Sale, Amount: "300.00", Card: string(b)}, pos.Repetition{}, p.heard(&reports))
		return *reports[0], err
	}
	before := map[scenario.Behaviour]int64{}
	for _, b := range scenario.Behaviours() {
		before[b] = s.balance(s.m.card(t, "CNY", string(b)))
	}
	wantGone := func(b scenario.Behaviour, want int64) {
		t.Helper()
		if got := before[b] - s.balance(s.m.card(t, "CNY", string(b))); got != want {
			t.Errorf("%s: %d are gone, want %d", b, got, want)
		}
	}
	if _, err := sell(scenario.DisconnectBefore); err == nil {
		t.Error("a connection that was closed gave an answer")
	}
	p.do("00", pos.Request{Operation: pos.Sale, Repeat: true})
	wantGone(scenario.DisconnectBefore, 300_00)
	hasty, err := pos.New(pos.Options{DataDir: s.dir, TID: p.tid, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	patient := p.terminal
	p.terminal = hasty
	if _, err := sell(scenario.NoAnswer); err == nil {
		t.Error("what has no answer gave one")
	}
	p.terminal = patient
	p.do("00", pos.Request{Operation: pos.Sale, Repeat: true})
	wantGone(scenario.NoAnswer, 300_00)
	if got, err := sell(scenario.WrongMAC); err == nil || got.Problem != "the answer's MAC is wrong" {
		t.Errorf("wrong MAC: %v, %q", err, got.Problem)
	}
	p.do("00", pos.Request{Operation: pos.Reversal, Reason: pos.ReasonWrongMAC})
	wantGone(scenario.WrongMAC, 0)
	for _, b := range []scenario.Behaviour{scenario.Duplicate, scenario.Pieces} {
		if got, err := sell(b); err != nil || got.Code != "00" {
			t.Errorf("%s: %v, %s", b, err, got.Code)
		}
		wantGone(b, 300_00)
	}
}

// playsRules sets rules over the ops address, as the command does.
func (s *stage) playsRules() {
	t := s.t
	k := s.talk("USD", "nac")
	card := s.m.card(t, "USD", behaviourApprove)
	before := s.balance(card)
	set := func(r scenario.Rule) scenario.Rule {
		t.Helper()
		r.TID = k.terminal.TID
		state := s.change(ScenarioChange{Do: "set", Rule: &r}, http.StatusOK)
		if state.Set == nil {
			t.Fatal("no rule was set")
		}
		return *state.Set
	}
	// The reversal's answer is lost, once; its repeat gets the stored one, and is not
	// what uses the rule up.
	set(scenario.Rule{Do: scenario.NoAnswer, Kinds: []switching.Kind{switching.KindReversal}, Count: 2})
	sale := k.sale(card, 10_00)
	k.send("0200", sale)
	k.want(k.hear(), "0210", sale[11], "00")
	k.reverse(sale)
	k.nothing()
	k.reverse(sale)
	k.want(k.hear(), "0410", sale[11], "00")
	if rules := s.change(ScenarioChange{}, http.StatusOK).Rules; len(rules) != 1 || rules[0].Played != 1 || rules[0].Left != 1 {
		t.Errorf("after one reversal and its repeat: %+v", rules)
	}
	if got := s.balance(card); got != before {
		t.Errorf("the card has %d, want %d", got, before)
	}
	// A code for the next sale and no other terminal's, whatever the card.
	set(scenario.Rule{Do: scenario.Code, Code: "Z3", Count: 1, Kinds: []switching.Kind{switching.KindSale, switching.KindVoid}})
	other := s.talk("EUR", "nac")
	free := other.sale(s.m.card(t, "EUR", behaviourApprove), 10_00)
	other.send("0200", free)
	other.want(other.hear(), "0210", free[11], "00")
	refused := k.sale(card, 10_00)
	k.send("0200", refused)
	k.want(k.hear(), "0210", refused[11], "Z3")
	sold := k.sale(card, 10_00)
	k.send("0200", sold)
	k.want(k.hear(), "0210", sold[11], "00")
	// A delay of one's own, for an echo.
	set(scenario.Rule{Do: scenario.Delay, Delay: 7 * time.Second, Kinds: []switching.Kind{switching.KindEcho}, Count: 1})
	k.send("0800", map[int]string{3: "990000", 11: "000777", 41: k.terminal.TID})
	held := s.timer(7 * time.Second)
	k.nothing()
	held.fire()
	k.want(k.hear(), "0810", "000777", "00")

	for what, change := range map[string]ScenarioChange{
		"no terminal": {Do: "set", Rule: &scenario.Rule{TID: "99999999", Do: scenario.NoAnswer}},
		"no rule":     {Do: "clear", ID: 999},
		"nothing":     {Do: "play"},
		"half a rule": {Do: "set"},
	} {
		if s.change(change, http.StatusBadRequest); t.Failed() {
			t.Error(what)
		}
	}
	if state := s.change(ScenarioChange{Do: "clear", TID: k.terminal.TID}, http.StatusOK); state.Cleared != 3 || len(state.Rules) != 0 {
		t.Errorf("cleared: %+v", state)
	}
}

// change asks the running sandbox; an empty change only reads.
func (s *stage) change(c ScenarioChange, want int) (state ScenarioState) {
	s.t.Helper()
	method, body := http.MethodGet, []byte(nil)
	if c.Do != "" {
		var err error
		if body, err = json.Marshal(c); err != nil {
			s.t.Fatal(err)
		}
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.m.Addresses.Ops+ScenarioPath, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		s.t.Errorf("%s: status %d, want %d", c.Do, response.StatusCode, want)
	}
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&state); err != nil {
			s.t.Fatal(err)
		}
	}
	return state
}
