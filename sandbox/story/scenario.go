package story

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"meridian/host/terminal"
	"meridian/host/wire"
)

// Scenario is one file: what terminals do, and what is expected of the host.
type Scenario struct {
	// File it was read from, for errors and reports.
	File string `yaml:"-"`
	Name string `yaml:"name"`
	// Title says in a line what it shows, About in a few.
	Title string `yaml:"title"`
	About string `yaml:"about"`
	// Dialects that it applies to; all of them where none is named. The first one
	// is played unless somebody chooses.
	Dialects []string `yaml:"dialects"`
	// Merchant whose terminals play; the first of the sandbox where none is named.
	Merchant text `yaml:"merchant"`
	// Terminal that plays; the merchant's one for stories where none is named.
	Terminal text    `yaml:"terminal"`
	Steps    []*Step `yaml:"steps"`
}

// Step is one thing that happens, and what is expected of it.
type Step struct {
	Line int `yaml:"-"`
	// ID by which later steps speak of it.
	ID text `yaml:"id"`
	// Tell is the step in words.
	Tell string `yaml:"tell"`
	// In names the dialects that have the step; all where it names none.
	In []string `yaml:"in"`

	// One of these four.

	// Send is an operation of the test terminal, or settle.
	Send string `yaml:"send"`
	// Repeat sends the message of an earlier step again, byte for byte.
	Repeat text `yaml:"repeat"`
	// Clock is before-cutoff, after-cutoff, freeze, real, a duration such as +1h
	// or an instant in RFC 3339.
	Clock text `yaml:"clock"`
	// Wait lets time pass, such as 200ms.
	Wait text `yaml:"wait"`

	// What belongs to a message.
	Terminal  text `yaml:"terminal"`
	Card      text `yaml:"card"`      // behaviour or position in sandbox.json
	Amount    text `yaml:"amount"`    // decimal, in the merchant's currency
	Cashback  text `yaml:"cashback"`  // part of a sale's amount
	Remaining text `yaml:"remaining"` // after a reversal in part
	Of        text `yaml:"of"`        // the step that it speaks of
	STAN      text `yaml:"stan"`      // six digits, or the step whose STAN it takes
	PIN       text `yaml:"pin"`       // card for the card's own
	Keyed     bool `yaml:"keyed"`
	Advice    bool `yaml:"advice"`
	Lose      text `yaml:"lose"` // request or answer
	WrongMAC  bool `yaml:"wrong_mac"`
	Overstate text `yaml:"overstate"` // added to a settlement's totals

	Expect *Expect `yaml:"expect"`
}

// Expect is what has to come of a step; what is empty may be anything.
type Expect struct {
	Line int `yaml:"-"`
	// Code is the response code, which dialects may have different ones for.
	Code perDialect `yaml:"code"`
	// Outcome for the terminal: approved, declined or unknown.
	Outcome text `yaml:"outcome"`
	// Became is what the host made of a cancel: VOID, REFUND, REVIEW or DECLINE. It
	// and the rule are the answer's, or the books' where a dialect's answers do not
	// tell them.
	Became text `yaml:"became"`
	// Rule of the decision table that decided.
	Rule text `yaml:"rule"`
	// SameAs is an earlier step whose answer this one's has to be: the same RRN and
	// approval code.
	SameAs text `yaml:"same_as"`
	// State of the transaction in the books, and the reason of its answer.
	State  text `yaml:"state"`
	Reason text `yaml:"reason"`
	// OriginalState of the transaction that it speaks of.
	OriginalState text `yaml:"original_state"`
	// Settled is what the host found of a settlement's totals: balanced or unbalanced.
	Settled text `yaml:"settled"`
	// Balances are what the scenario has moved so far, by whose money it is.
	Balances map[string]text `yaml:"balances"`
	// Batch is the host's view of the batch that was settled, or is open.
	Batch *ExpectBatch `yaml:"batch"`
}

// ExpectBatch is the host's view of a batch.
type ExpectBatch struct {
	State         text `yaml:"state"`
	Sales         text `yaml:"sales"`
	SalesAmount   text `yaml:"sales_amount"`
	Voids         text `yaml:"voids"`
	VoidsAmount   text `yaml:"voids_amount"`
	Refunds       text `yaml:"refunds"`
	RefundsAmount text `yaml:"refunds_amount"`
	Differences   text `yaml:"differences"`
}

// Whose money a balance is.
const (
	// balanceCard is what the cards' accounts have more or less.
	balanceCard = "card"
	// balanceMerchant is what merchants have coming more or less.
	balanceMerchant = "merchant"
	// balanceHeld is what is reserved on cards.
	balanceHeld = "held"
)

var balanceNames = []string{balanceCard, balanceMerchant, balanceHeld}

// Dialects of the sandbox, in the order in which they are told.
var Dialects = []string{wire.NameNAC, wire.NameASCII87, wire.NameUnionPay}

// sendSettle is the settlement with all the messages that it takes.
const sendSettle = "settle"

// sends are what a step may send.
var sends = []terminal.Operation{
	terminal.Echo, terminal.Logon, terminal.Sale, terminal.Preauth, terminal.Complete, terminal.Void, terminal.Refund, terminal.Cancel,
	terminal.Reversal, terminal.Balance, terminal.Offline, terminal.Adjust, terminal.SignOff, sendSettle,
}

// Clock words.
const (
	clockBefore = "before-cutoff"
	clockAfter  = "after-cutoff"
	clockFreeze = "freeze"
	clockReal   = "real"
)

const (
	// maxSteps is more than anybody reads; a load is the bench's.
	maxSteps = 1000
	// maxWait keeps a scenario from hanging in a build.
	maxWait = time.Minute
)

// Plays tells whether a scenario applies to a dialect.
func (s *Scenario) Plays(dialect string) bool { return slices.Contains(s.Dialects, dialect) }

// check looks at what the types cannot say.
func (s *Scenario) check() error {
	if s.Name == "" {
		return at(1, "a scenario has a name")
	}
	if len(s.Dialects) == 0 {
		s.Dialects = Dialects
	}
	if err := dialectsAt(1, s.Dialects); err != nil {
		return err
	}
	switch n := len(s.Steps); {
	case n == 0:
		return at(1, "a scenario has steps")
	case n > maxSteps:
		return at(1, "%d steps: %d at most", n, maxSteps)
	}
	earlier := map[string]*Step{}
	for _, step := range s.Steps {
		if step == nil {
			return at(1, "a step is empty")
		}
		if err := step.check(earlier); err != nil {
			return err
		}
		if id := string(step.ID); id != "" {
			if earlier[id] != nil {
				return at(step.Line, "a step %q stands in line %d already", id, earlier[id].Line)
			}
			earlier[id] = step
		}
	}
	return nil
}

func dialectsAt(line int, names []string) error {
	for _, name := range names {
		if !slices.Contains(Dialects, name) {
			return at(line, "%q is no dialect: there are %s", name, strings.Join(Dialects, ", "))
		}
	}
	return nil
}

func (s *Step) check(earlier map[string]*Step) error {
	if err := dialectsAt(s.Line, s.In); err != nil {
		return err
	}
	if err := s.checkAction(); err != nil {
		return err
	}
	for key, id := range map[string]text{"repeat": s.Repeat, "of": s.Of} {
		if other := earlier[string(id)]; id != "" && (other == nil || !other.sends()) {
			return at(s.Line, "%s: %s: no step before this one has the id and sends something", key, id)
		}
	}
	if s.Repeat != "" && earlier[string(s.Repeat)].Send == sendSettle {
		return at(s.Line, "repeat: %s: a settlement is more than one message", s.Repeat)
	}
	if other := earlier[string(s.STAN)]; s.STAN != "" && (other == nil || !other.sends()) && !isSTAN(string(s.STAN)) {
		return at(s.Line, "stan: %s: it is up to six digits, or a step before this one that sends something", s.STAN)
	}
	if s.Lose != "" && s.Lose != text(terminal.LoseRequest) && s.Lose != text(terminal.LoseAnswer) {
		return at(s.Line, "lose: it is %s or %s", terminal.LoseRequest, terminal.LoseAnswer)
	}
	if !s.sends() && (s.Expect.ofAnswer() || s.hasMessage()) {
		return at(s.Line, "only a step that sends has an answer, a card or an amount")
	}
	return s.Expect.check(earlier)
}

// checkAction: a step does one thing.
func (s *Step) checkAction() error {
	actions := 0
	for _, action := range []string{s.Send, string(s.Repeat), string(s.Clock), string(s.Wait)} {
		if action != "" {
			actions++
		}
	}
	if actions != 1 {
		return at(s.Line, "a step does one thing: send, repeat, clock or wait")
	}
	switch {
	case s.Send != "":
		if !slices.Contains(sends, terminal.Operation(s.Send)) {
			names := make([]string, len(sends))
			for i, one := range sends {
				names[i] = string(one)
			}
			return at(s.Line, "send: %s: a terminal sends %s", s.Send, strings.Join(names, ", "))
		}
	case s.Clock != "":
		if _, err := s.move(); err != nil {
			return err
		}
	case s.Wait != "":
		if d, err := time.ParseDuration(string(s.Wait)); err != nil || d <= 0 || d > maxWait {
			return at(s.Line, "wait: %s: it is a duration up to %s, such as 200ms", s.Wait, maxWait)
		}
	}
	return nil
}

func isSTAN(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n > 0 && len(value) <= 6
}

func (s *Step) sends() bool { return s.Send != "" || s.Repeat != "" }

func (s *Step) hasMessage() bool {
	for _, value := range []text{s.Terminal, s.Card, s.Amount, s.Cashback, s.Remaining, s.Of, s.STAN, s.PIN, s.Lose, s.Overstate} {
		if value != "" {
			return true
		}
	}
	return s.Keyed || s.Advice || s.WrongMAC
}

// ofAnswer tells whether it expects something of an answer.
func (e *Expect) ofAnswer() bool {
	return e != nil && (len(e.Code) > 0 || e.Outcome != "" || e.Became != "" || e.Rule != "" || e.SameAs != "" || e.State != "" ||
		e.Reason != "" || e.OriginalState != "" || e.Settled != "")
}

func (e *Expect) check(earlier map[string]*Step) error {
	if e == nil {
		return nil
	}
	for dialect := range e.Code {
		if dialect != "" {
			if err := dialectsAt(e.Line, []string{dialect}); err != nil {
				return err
			}
		}
	}
	for _, one := range []struct {
		key   string
		value text
		known []string
	}{
		{"outcome", e.Outcome, []string{string(terminal.Approved), string(terminal.Declined), string(terminal.Unknown)}},
		{"became", e.Became, []string{"VOID", "REFUND", "REVIEW", "DECLINE"}},
		{"settled", e.Settled, []string{settledBalanced, settledUnbalanced}},
	} {
		if one.value != "" && !slices.Contains(one.known, string(one.value)) {
			return at(e.Line, "%s: %s: it is %s", one.key, one.value, strings.Join(one.known, ", "))
		}
	}
	if other := earlier[string(e.SameAs)]; e.SameAs != "" && (other == nil || !other.sends()) {
		return at(e.Line, "same_as: %s: no step before this one has the id and sends something", e.SameAs)
	}
	for name := range e.Balances {
		if !slices.Contains(balanceNames, name) {
			return at(e.Line, "balances: %s: there are %s", name, strings.Join(balanceNames, ", "))
		}
	}
	return nil
}

// What a host finds of totals.
const (
	settledBalanced   = "balanced"
	settledUnbalanced = "unbalanced"
)

// Move is a change of the sandbox's clock.
type Move struct {
	Do       string // advance, set, freeze or real; empty reads it
	Duration time.Duration
	Instant  time.Time
}

// move is what the step does to the clock. Cutoffs are looked up when it is played.
func (s *Step) move() (Move, error) {
	what := string(s.Clock)
	switch what {
	case clockBefore, clockAfter:
		return Move{Do: what}, nil
	case clockFreeze, clockReal:
		return Move{Do: what}, nil
	}
	if strings.HasPrefix(what, "+") || strings.HasPrefix(what, "-") {
		if d, err := time.ParseDuration(what); err == nil {
			return Move{Do: "advance", Duration: d}, nil
		}
	}
	if to, err := time.Parse(time.RFC3339, what); err == nil {
		return Move{Do: "set", Instant: to}, nil
	}
	return Move{}, at(s.Line, "clock: %s: it is %s, %s, %s, %s, a duration such as +1h or -30m, or an instant such as 2026-03-29T01:59:59+01:00",
		what, clockBefore, clockAfter, clockFreeze, clockReal)
}

// lineError is what is wrong with a file, and where.
type lineError struct {
	line int
	what string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.what) }

func at(line int, format string, args ...any) error {
	return &lineError{line, fmt.Sprintf(format, args...)}
}
