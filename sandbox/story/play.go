package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meridian/host/terminal"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/switch"
)

// Player plays a scenario.
type Player struct {
	World World
	// Step hears of every step as soon as it is over; nil for nobody.
	Step func(t *Telling, s *Told) error
	// Begin hears of a telling before its first step; nil for nobody.
	Begin func(t *Telling) error
	// Timeout of a connection and of each answer; the test terminal's own when 0.
	Timeout time.Duration
}

// ErrUnexpected: something was not as the scenario expects.
var ErrUnexpected = errors.New("not as expected")

// Play plays a scenario to its end or to the first step that is not as it should
// be. The telling is there as far as it got, also beside an error: one that wraps
// [ErrUnexpected] where an expectation was not met, [ErrNobody] where nobody plays
// it, and others where the sandbox does not let it come to its end.
func (p *Player) Play(ctx context.Context, s *Scenario, c Choice) (*Telling, error) {
	who, err := p.World.cast(s, c)
	if err != nil {
		return nil, err
	}
	play := &play{
		player: p, scenario: s, who: who, terminals: map[string]*terminal.Terminal{}, signedIn: map[string]bool{}, done: map[string]*Told{},
	}
	if play.directory, err = switching.LoadDirectory(ctx, p.World.Pool); err != nil {
		return nil, fmt.Errorf("read the sandbox's merchants: %w", err)
	}
	if m := play.directory.Merchant(who.MID); m != nil {
		play.currency = m.Currency
	}
	if err := play.turn(ctx, Move{}); err != nil {
		return nil, fmt.Errorf("read the sandbox's clock: %w", err)
	}
	begun := time.Now()
	t := &Telling{
		Scenario: card.MaskDigits(s.Name), Title: card.MaskDigits(s.Title), About: card.MaskDigits(s.About), File: s.File,
		Dialect: who.Dialect, TID: who.TID, MID: who.MID,
		StartedAt: play.now().UTC(), RealTime: begun.UTC(), Outcome: Running, Steps: []*Told{},
	}
	t.ID = begun.UTC().Format("20060102T150405.000000Z") + "-" + who.TID
	play.telling = t
	err = play.all(ctx)
	t.Took = time.Since(begun)
	switch {
	case err == nil:
		t.Outcome = Passed
	case errors.Is(err, ErrUnexpected):
		t.Outcome = Failed
	default:
		t.Outcome, t.Error = Broken, err.Error()
	}
	return t, err
}

// play is one scenario while it is played.
type play struct {
	player    *Player
	scenario  *Scenario
	who       Terminal
	directory *switching.Directory
	currency  money.Currency
	clock     Reading
	clockRead time.Time // when, by this machine
	telling   *Telling
	terminals map[string]*terminal.Terminal
	signedIn  map[string]bool
	done      map[string]*Told // steps with an id
	batch     int32            // that was settled last
}

// now is the time in the sandbox.
func (p *play) now() time.Time {
	if p.clock.Frozen {
		return p.clock.Now
	}
	return p.clock.Now.Add(time.Since(p.clockRead))
}

// turn moves the sandbox's clock, or reads it.
func (p *play) turn(ctx context.Context, move Move) (err error) {
	p.clock, err = p.player.World.Clock(ctx, move)
	p.clockRead = time.Now()
	return err
}

func (p *play) all(ctx context.Context) error {
	if begin := p.player.Begin; begin != nil {
		if err := begin(p.telling); err != nil {
			return err
		}
	}
	for _, step := range p.scenario.Steps {
		if !step.in(p.who.Dialect) {
			continue
		}
		told := &Told{Line: step.Line, ID: string(step.ID), Tell: card.MaskDigits(step.Tell), At: p.now().UTC()}
		p.telling.Steps = append(p.telling.Steps, told)
		err := p.step(ctx, step, told)
		if err == nil {
			err = p.look(ctx, step, told)
		}
		if step.ID != "" {
			p.done[string(step.ID)] = told
		}
		if hear := p.player.Step; hear != nil {
			err = errors.Join(err, hear(p.telling, told))
		}
		switch {
		case err != nil:
			return fmt.Errorf("line %d: %w", step.Line, err)
		case len(told.Differences) > 0:
			return fmt.Errorf("line %d: %w: %s", step.Line, ErrUnexpected, told.Differences[0])
		}
	}
	return nil
}

func (s *Step) in(dialect string) bool {
	return len(s.In) == 0 || slices.Contains(s.In, dialect)
}

// step does what a step says.
func (p *play) step(ctx context.Context, s *Step, told *Told) error {
	switch {
	case s.Clock != "":
		return p.moveClock(ctx, s, told)
	case s.Wait != "":
		d, err := time.ParseDuration(string(s.Wait))
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		told.Did = d.String() + " went by"
		return pause(ctx, d)
	default:
		return p.send(ctx, s, told)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const (
	// beforeCutoff is how long there is for what a scenario does before a cutoff.
	beforeCutoff = time.Minute
	// afterCutoff is past the instant, for clocks that people read.
	afterCutoff = time.Second
)

func (p *play) moveClock(ctx context.Context, s *Step, told *Told) error {
	move, err := s.move()
	if err != nil {
		return err
	}
	if move.Do == clockBefore || move.Do == clockAfter {
		cutoff, err := NextCutoff(ctx, p.player.World.Pool, p.directory, p.who.MID, p.now())
		if err != nil {
			return err
		}
		if move.Do == clockAfter {
			move.Instant = cutoff.Add(afterCutoff)
		} else if move.Instant = cutoff.Add(-beforeCutoff); move.Instant.Before(p.now()) {
			told.Did = "it is just before the cutoff already"
			return nil
		}
		move.Do = "set"
	}
	was := p.now()
	if err := p.turn(ctx, move); err != nil {
		return fmt.Errorf("move the clock: %w", err)
	}
	told.Did = fmt.Sprintf("from %s to %s", stamp(was), stamp(p.clock.Now))
	told.At = p.clock.Now.UTC()
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// terminal that a step is played on.
func (p *play) terminal(tid string) (*terminal.Terminal, error) {
	if t := p.terminals[tid]; t != nil {
		return t, nil
	}
	t, err := terminal.New(terminal.Options{DataDir: p.player.World.DataDir, TID: tid, Timeout: p.player.Timeout, Now: p.now})
	if err != nil {
		return nil, fmt.Errorf("terminal %s: %w", tid, err)
	}
	p.terminals[tid] = t
	return t, nil
}

// send sends the step's messages and keeps what came back.
func (p *play) send(ctx context.Context, s *Step, told *Told) error {
	tid := first(string(s.Terminal), p.who.TID)
	t, err := p.terminal(tid)
	if err != nil {
		return err
	}
	if err := p.signIn(ctx, t, tid, s); err != nil {
		return err
	}
	hear := func(r *terminal.Report) error {
		told.Exchanges = append(told.Exchanges, &Exchange{r})
		return nil
	}
	if s.Send == sendSettle {
		overstate, err := p.minor(s.Overstate)
		if err != nil {
			return err
		}
		return p.outcome(s, told, t.Settle(ctx, terminal.Settlement{Overstate: overstate}, hear))
	}
	request, err := p.request(s)
	if err != nil {
		return err
	}
	return p.outcome(s, told, t.Run(ctx, request, terminal.Repetition{}, hear))
}

// signIn gets a UnionPay terminal its keys, unless the scenario does it itself.
func (p *play) signIn(ctx context.Context, t *terminal.Terminal, tid string, s *Step) error {
	if s.Send == string(terminal.Logon) {
		p.signedIn[tid] = true
	}
	d := p.directory.Terminal(tid)
	if p.signedIn[tid] || d == nil || d.Dialect != wire.NameUnionPay || s.Send == string(terminal.Echo) {
		return nil
	}
	told := &Told{Line: s.Line, Tell: "The terminal signs in for its working keys.", At: p.now().UTC()}
	err := t.Run(ctx, terminal.Request{Operation: terminal.Logon}, terminal.Repetition{}, func(r *terminal.Report) error {
		told.Exchanges = append(told.Exchanges, &Exchange{r})
		return nil
	})
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	p.signedIn[tid] = true
	own := len(p.telling.Steps) - 1 // the step that needs it comes after it
	p.telling.Steps = append(p.telling.Steps[:own:own], told, p.telling.Steps[own])
	if hear := p.player.Step; hear != nil {
		return hear(p.telling, told)
	}
	return nil
}

// outcome of an exchange: a decline is an answer like another, and a terminal that
// is left without one may be what the scenario wants.
func (p *play) outcome(s *Step, told *Told, err error) error {
	if n := len(told.Exchanges); n > 0 {
		if batch := told.Exchanges[n-1].Batch; batch != "" {
			_, _ = fmt.Sscanf(batch, "%d", &p.batch)
		}
	}
	wrong, isOurs := errors.AsType[*terminal.Error](err)
	switch {
	case err == nil:
		return nil
	case isOurs && wrong.Kind == terminal.KindDeclined:
		return nil
	case isOurs && len(told.Exchanges) > 0 && (s.Lose != "" || s.Expect.wantsUnknown()):
		return nil
	default:
		return fmt.Errorf("terminal: %w", err)
	}
}

func (e *Expect) wantsUnknown() bool { return e != nil && e.Outcome == text(terminal.Unknown) }

// request is a step as the test terminal takes it.
func (p *play) request(s *Step) (terminal.Request, error) {
	r := terminal.Request{
		Operation: terminal.Operation(s.Send), Amount: string(s.Amount), Cashback: string(s.Cashback), Replacement: string(s.Remaining),
		Card: string(s.Card), Keyed: s.Keyed, PIN: string(s.PIN), STAN: string(s.STAN), Advice: s.Advice,
		Lose: terminal.Loss(s.Lose), WrongMAC: s.WrongMAC,
	}
	if other := p.done[string(s.STAN)]; other != nil && len(other.Exchanges) > 0 {
		r.STAN = other.Exchanges[0].STAN
	}
	if s.Repeat != "" {
		original, err := p.earlier(s.Repeat)
		if err != nil {
			return r, err
		}
		r.Operation, r.Repeat, r.STAN = original.Operation, true, original.STAN
		return r, nil
	}
	if s.Of == "" {
		return r, nil
	}
	original, err := p.earlier(s.Of)
	if err != nil {
		return r, err
	}
	// A reversal names what it repairs by its STAN, everything else an original by
	// its RRN. A terminal that was left without an answer has none.
	if r.Operation == terminal.Reversal || original.RRN == "" {
		r.OriginalSTAN = original.STAN
	} else {
		r.RRN = original.RRN
	}
	if original.Operation != terminal.Cancel && original.Operation != terminal.Refund && original.Operation != terminal.Void {
		r.Of = original.Operation
	}
	return r, nil
}

// earlier is the first message of an earlier step.
func (p *play) earlier(id text) (*Exchange, error) {
	told := p.done[string(id)]
	if told == nil || len(told.Exchanges) == 0 {
		return nil, fmt.Errorf("step %s was not played in the %s dialect", id, p.who.Dialect)
	}
	return told.Exchanges[0], nil
}

// minor is an amount of a file in minor units.
func (p *play) minor(amount text) (int64, error) {
	if amount == "" {
		return 0, nil
	}
	digits, negative := string(amount), false
	if digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	minor, err := money.ParseMinor(digits, p.currency)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", amount, err)
	}
	if negative {
		minor = -minor
	}
	return minor, nil
}
