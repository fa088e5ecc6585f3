package scenario

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meridian/host"
	"meridian/switch"
)

// Options of an engine.
type Options struct {
	// Cards are the published card numbers, and what each does: [CardBehaviour] or a
	// [Behaviour].
	Cards map[string]string
	// Known tells whether there is a terminal; nil takes any.
	Known func(tid string) bool
	// After calls f later, as [time.AfterFunc] does, which nil is.
	After func(d time.Duration, f func())
	// Random is from 0 up to 1; nil is drawn.
	Random func() float64
}

// Engine plays scenarios: it is a sandbox's [host.Scenarios].
type Engine struct {
	cards  map[string]act // by card number; Do is empty where the amount decides
	ends   map[int]act
	known  func(tid string) bool
	after  func(time.Duration, func())
	random func() float64

	// ruled tells whether there are rules, so that without any no lock is taken.
	ruled atomic.Bool
	mu    sync.Mutex
	rules []*Rule
	last  int // ID
	held  held
}

// New returns an engine without rules.
func New(o Options) *Engine {
	e := &Engine{cards: map[string]act{}, ends: byAmount(), known: o.Known, after: o.After, random: o.Random}
	for pan, behaviour := range o.Cards {
		if behaviour == CardBehaviour {
			e.cards[pan] = act{}
		} else {
			e.cards[pan] = act{name: behaviour, do: Behaviour(behaviour)}
		}
	}
	if e.known == nil {
		e.known = func(string) bool { return true }
	}
	if e.after == nil {
		e.after = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	}
	if e.random == nil {
		e.random = rand.Float64
	}
	return e
}

// Play is [host.Scenarios]'.
func (e *Engine) Play(r *switching.Request) *host.Departure {
	var released func()
	if r.Kind == switching.KindReversal {
		released = e.held.release(r)
	}
	a, found := e.choose(r)
	if !found {
		if released == nil {
			return nil
		}
		return &host.Departure{Sent: released}
	}
	r.Scenario = &switching.Scenario{Name: a.name}
	if a.do == Code {
		r.Scenario.Answer, r.Scenario.Decline = a.code, !Approves(a.code)
	}
	d := e.departure(r, &a)
	d.Sent = released
	return d
}

// choose finds what is played with a request: the first rule of its terminal that
// fits, else what its card and amount say.
func (e *Engine) choose(r *switching.Request) (act, bool) {
	if e.ruled.Load() {
		if a, found := e.byRule(r); found {
			return a, true
		}
	}
	return e.byCard(r)
}

// byCard looks at purchases on the published cards.
func (e *Engine) byCard(r *switching.Request) (act, bool) {
	if r.PAN.IsZero() {
		return act{}, false
	}
	switch r.Kind {
	case switching.KindAuthorization, switching.KindSale, switching.KindAdvice, switching.KindBalance:
	default:
		return act{}, false
	}
	a, published := e.cards[r.PAN.Reveal()]
	if published && a.do == "" {
		if !r.HasAmount || r.AmountMinor <= 0 {
			return act{}, false
		}
		a, published = e.ends[int(r.AmountMinor%amountEnds)]
	}
	if a.do == LateAfterReversal && !reversible(r.Kind) {
		return act{}, false
	}
	return a, published
}

func (e *Engine) byRule(r *switching.Request) (act, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, rule := range e.rules {
		if !rule.fits(r) || rule.Probability < 1 && e.random() >= rule.Probability {
			continue
		}
		rule.Played++
		if rule.Count > 0 {
			rule.Left--
		}
		return act{name: rule.name(), do: rule.Do, code: rule.Code, delay: delay(rule.Delay), rule: rule}, true
	}
	return act{}, false
}

// giveBack undoes that a rule was used.
func (e *Engine) giveBack(rule *Rule) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rule.Played--
	if rule.Count > 0 {
		rule.Left++
	}
}

// departure of the answer.
func (e *Engine) departure(r *switching.Request, a *act) *host.Departure {
	d := &host.Departure{Name: a.name}
	if rule := a.rule; rule != nil {
		d.Played = func(played bool) {
			if !played {
				e.giveBack(rule)
			}
		}
	}
	switch a.do {
	case Code:
	case Delay:
		d.Withhold = e.hold(a.delay.or(DefaultDelay))
	case PastTimeout:
		d.Withhold = e.hold(a.delay.or(DefaultPastTimeout))
	case NoAnswer:
		d.Lost = true
	case LateAfterReversal:
		d.Withhold = e.untilReversed(r)
	case DisconnectBefore:
		d.CloseBefore = true
	case DisconnectAfter:
		d.CloseAfter = true
	case Duplicate:
		d.Copies = 1
	case WrongMAC:
		d.WrongMAC = true
	case Pieces:
		d.Pieces = pieces
	case WrongSTAN:
		d.WrongSTAN = true
	}
	return d
}

// Set adds a rule, behind those that its terminal has, and returns it as it is kept.
func (e *Engine) Set(rule Rule) (Rule, error) {
	if err := rule.check(); err != nil {
		return Rule{}, err
	}
	if !e.known(rule.TID) {
		return Rule{}, fmt.Errorf("there is no terminal %q", rule.TID)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.rules) == MaxRules {
		return Rule{}, fmt.Errorf("there are %d rules already: clear some", MaxRules)
	}
	e.last++
	rule.ID = e.last
	e.rules = append(e.rules, &rule)
	e.ruled.Store(true)
	return rule, nil
}

// ErrNoRule: there is none to clear.
var ErrNoRule = errors.New("there is no such rule")

// Clear removes the rule with an ID, or those of a terminal, or with neither all of
// them, and returns how many that were. It fails with [ErrNoRule] where an ID or a
// terminal has none.
func (e *Engine) Clear(id int, tid string) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.rules)
	e.rules = slices.DeleteFunc(e.rules, func(r *Rule) bool { return (id == 0 || r.ID == id) && (tid == "" || r.TID == tid) })
	e.ruled.Store(len(e.rules) > 0)
	cleared := before - len(e.rules)
	if cleared == 0 && (id != 0 || tid != "") {
		return 0, ErrNoRule
	}
	return cleared, nil
}

// Rules as they stand, in the order that they are tried in.
func (e *Engine) Rules() []Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]Rule, len(e.rules))
	for i, r := range e.rules {
		list[i] = *r
	}
	return list
}
