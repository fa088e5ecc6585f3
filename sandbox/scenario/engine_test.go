package scenario

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"meridian/host"
	"meridian/internal/card"
	"meridian/switch"
)

const till = "10000001"

func pan(t *testing.T, number int) card.PAN {
	t.Helper()
	p, err := card.WithCheckDigit(fmt.Sprintf("476173000000%03d", number))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sale(minor int64, p card.PAN) *switching.Request {
	return &switching.Request{Kind: switching.KindSale, TID: till, STAN: 7, AmountMinor: minor, HasAmount: true, PAN: p}
}

// What the published endings do, and that nobody else's amounts are looked at.
func TestAmounts(t *testing.T) {
	published, plain, lost := pan(t, 800), pan(t, 1), pan(t, 803)
	e := New(Options{Cards: map[string]string{published.Reveal(): CardBehaviour, lost.Reveal(): string(NoAnswer)}})
	seen := map[string]bool{}
	for _, entry := range Table() {
		var ends int64
		if _, err := fmt.Sscanf(entry.AmountEnds, "%d", &ends); err != nil || len(entry.AmountEnds) != 3 || seen[entry.AmountEnds] || ends == 0 {
			t.Errorf("%s: amounts end with %q: %v", entry.Name, entry.AmountEnds, err)
		}
		seen[entry.AmountEnds] = true
		r := sale(5000+ends, published)
		d := e.Play(r)
		if d == nil || r.Scenario == nil || r.Scenario.Name != entry.Name || r.Scenario.Answer != entry.Code {
			t.Fatalf("%s: %+v, %+v", entry.Name, r.Scenario, d)
		}
		if r.Scenario.Decline != (entry.Do == Code && !Approves(entry.Code)) {
			t.Errorf("%s: declines %t", entry.Name, r.Scenario.Decline)
		}
		for _, other := range []*switching.Request{
			sale(5000+ends, plain), sale(5000+ends, card.PAN{}),
			{Kind: switching.KindVoid, TID: till, AmountMinor: 5000 + ends, HasAmount: true, PAN: published},
			{Kind: switching.KindCompletion, TID: till, AmountMinor: 5000 + ends, HasAmount: true, PAN: published},
		} {
			if d := e.Play(other); d != nil || other.Scenario != nil {
				t.Errorf("%s: played with %s", entry.Name, other.Kind)
			}
		}
	}
	for _, minor := range []int64{0, -51, 5000, 5200, 5999} {
		if d := e.Play(sale(minor, published)); d != nil {
			t.Errorf("%d plays %q", minor, d.Name)
		}
	}
	if d := e.Play(sale(5051, lost)); d == nil || !d.Lost {
		t.Errorf("the card that loses answers: %+v", d)
	}
}

func TestRules(t *testing.T) {
	drawn := 0.0
	e := New(Options{Known: func(tid string) bool { return tid == till }, Random: func() float64 { return drawn }})
	set := func(r Rule) Rule {
		t.Helper()
		r.TID = till
		kept, err := e.Set(r)
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	play := func() *host.Departure { return e.Play(sale(100, card.PAN{})) }
	half := set(Rule{Do: NoAnswer, Probability: 0.5, Count: 2})
	always := set(Rule{Do: WrongSTAN})
	if half.ID == always.ID || half.Left != 2 || always.Probability != 1 {
		t.Errorf("kept %+v and %+v", half, always)
	}
	drawn = 0.5
	if d := play(); !d.WrongSTAN {
		t.Errorf("passed over, and yet %+v", d)
	}
	drawn = 0.49
	first := play()
	if !first.Lost {
		t.Errorf("the first rule: %+v", first)
	}
	first.Played(false) // a repeat: it does not count
	play().Played(true)
	play().Played(true)
	if d := play(); !d.WrongSTAN {
		t.Errorf("the first rule is used up, and yet %+v", d)
	}
	if got := e.Rules(); len(got) != 2 || got[0].Left != 0 || got[0].Played != 2 || got[1].Played != 2 {
		t.Errorf("rules: %+v", got)
	}
	if d := e.Play(&switching.Request{Kind: switching.KindReversal, TID: till}); d.Name != "" {
		t.Errorf("a reversal is played with by %q", d.Name)
	}
	if d := e.Play(&switching.Request{Kind: switching.KindEcho, TID: till}); d != nil {
		t.Errorf("an echo is played with: %+v", d)
	}
	if n, err := e.Clear(always.ID, ""); n != 1 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	if _, err := e.Clear(0, "10000002"); !errors.Is(err, ErrNoRule) {
		t.Errorf("cleared nobody's: %v", err)
	}
	if n, err := e.Clear(0, ""); n != 1 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	if n, err := e.Clear(0, ""); n != 0 || err != nil || play() != nil {
		t.Errorf("cleared %d of none, %v", n, err)
	}
}

func TestRulesAreChecked(t *testing.T) {
	e := New(Options{Known: func(tid string) bool { return tid == till }})
	for name, r := range map[string]Rule{
		"no terminal":             {Do: NoAnswer},
		"an unknown one":          {TID: "10000009", Do: NoAnswer},
		"nothing to do":           {TID: till},
		"something else":          {TID: till, Do: "explode"},
		"no code":                 {TID: till, Do: Code},
		"half a code":             {TID: till, Do: Code, Code: "5"},
		"a code in small letters": {TID: till, Do: Code, Code: "a0"},
		"approved":                {TID: till, Do: Code, Code: "00"},
		"a code for nothing":      {TID: till, Do: NoAnswer, Code: "51"},
		"a delay of nothing":      {TID: till, Do: NoAnswer, Delay: time.Second},
		"back in time":            {TID: till, Do: Delay, Delay: -time.Second},
		"too late":                {TID: till, Do: Delay, Delay: HoldFor + 1},
		"more than certain":       {TID: till, Do: NoAnswer, Probability: 1.01},
		"less than never":         {TID: till, Do: NoAnswer, Probability: -0.1},
		"no number":               {TID: till, Do: NoAnswer, Probability: math.NaN()},
		"a count below 0":         {TID: till, Do: NoAnswer, Count: -1},
		"a decline for good":      {TID: till, Do: Code, Code: "96", Kinds: []switching.Kind{switching.KindReversal}},
		"what is never reversed":  {TID: till, Do: LateAfterReversal, Kinds: []switching.Kind{switching.KindSettlement}},
	} {
		if _, err := e.Set(r); err == nil {
			t.Errorf("%s: set", name)
		}
	}
	for range MaxRules {
		if _, err := e.Set(Rule{TID: till, Do: NoAnswer}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Set(Rule{TID: till, Do: NoAnswer}); err == nil {
		t.Error("there is no end of rules")
	}
}

// Answers that are held back are bounded, and leave once: with their reversal, or
// when their time has come.
func TestHeldAnswers(t *testing.T) {
	var later []func()
	e := New(Options{Known: nil, After: func(_ time.Duration, f func()) { later = append(later, f) }})
	if _, err := e.Set(Rule{TID: till, Do: LateAfterReversal}); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for range maxHeld {
		e.Play(sale(100, card.PAN{})).Withhold(func() { sent++ })
	}
	if sent != 0 {
		t.Errorf("%d were sent at once", sent)
	}
	e.Play(sale(100, card.PAN{})).Withhold(func() { sent++ })
	if sent != 1 {
		t.Errorf("%d were sent beyond the bound, want 1", sent)
	}
	reversal := func(stan int32) *host.Departure {
		return e.Play(&switching.Request{Kind: switching.KindReversal, TID: till, STAN: stan})
	}
	reversal(8).Sent()
	if sent != 1 {
		t.Errorf("another transaction's reversal let %d go", sent-1)
	}
	named := &switching.Request{Kind: switching.KindReversal, TID: till, STAN: 9, Original: switching.Reference{STAN: 7, HasSTAN: true}}
	e.Play(named).Sent()
	if sent != 1+maxHeld {
		t.Errorf("%d were sent, want all", sent)
	}
	reversal(7).Sent()
	for _, f := range later {
		f()
	}
	if sent != 1+maxHeld || e.held.waiting.Load() != 0 || len(e.held.answers) != 0 {
		t.Errorf("%d sent, %d waiting, %d kept", sent, e.held.waiting.Load(), len(e.held.answers))
	}
	// Without a reversal it is dropped, and its place is free again.
	later = nil
	e.Play(sale(100, card.PAN{})).Withhold(func() { sent++ })
	later[0]()
	reversal(7).Sent()
	if sent != 1+maxHeld || e.held.waiting.Load() != 0 {
		t.Errorf("%d sent, %d waiting after it was dropped", sent, e.held.waiting.Load())
	}
}
