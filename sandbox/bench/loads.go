//go:build unix

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// amountMinor of every purchase.
const amountMinor = 100

// refundMinor is a part of a settled sale, of which there can be many.
const refundMinor = 1

var errDeclined = errors.New("not approved")

// stage is what one measurement over TCP is about.
type stage struct {
	connections int
	// step does one thing on a line and says how many messages it took.
	step func(l *line, r *rand.Rand, cards []string) (messages int, err error)
	// every is the pause between two arrivals of an open loop; 0 is a closed one.
	every time.Duration
	// unionPay has terminals of that dialect play it.
	unionPay bool
}

// outcome of a measurement.
type outcome struct {
	messages int
	elapsed  time.Duration
	latency  latencies
}

func (o outcome) perSecond() float64 { return float64(o.messages) / o.elapsed.Seconds() }

// connect the first terminals of the world for a stage. What it returns is to be closed,
// after an error, too.
func (w *world) connect(ctx context.Context, address string, s stage) (lines lines, err error) {
	for i := range s.connections {
		// One terminal of each merchant before the second of any, so that load
		// spreads over merchants as it does in the field.
		terminals := w.terminals
		if s.unionPay {
			terminals = w.unionPay
		}
		n := len(terminals) / terminalsEach
		t := terminals[i%n*terminalsEach+i/n]
		if err := t.signIn(ctx, address, s.unionPay); err != nil {
			return lines, err
		}
		l, err := dial(ctx, address, t)
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// run plays the stage on the first terminals of the world for the given time.
func (w *world) run(ctx context.Context, address string, s stage, each time.Duration) (outcome, error) {
	lines, err := w.connect(ctx, address, s)
	defer lines.close()
	if err != nil {
		return outcome{}, err
	}
	var (
		playing sync.WaitGroup
		parts   = make([]latencies, len(lines))
		counts  = make([]int, len(lines))
		errs    = make([]error, len(lines))
	)
	started := time.Now()
	until := started.Add(each)
	for i, l := range lines {
		playing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), uint64(started.UnixNano())))
			if s.every > 0 {
				parts[i], counts[i], errs[i] = w.open(l, s, r, started, until, i, len(lines))
				return
			}
			parts[i], counts[i], errs[i] = w.closed(l, s, r, until)
		})
	}
	playing.Wait()
	o := outcome{elapsed: time.Since(started), latency: merge(parts)}
	for _, n := range counts {
		o.messages += n
	}
	if err := errors.Join(errs...); err != nil {
		return outcome{}, fmt.Errorf("%d connections: %w", s.connections, firstOf(err))
	}
	return o, nil
}

// firstOf many connections' errors: they mostly say the same.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// closed asks again as soon as it has its answer.
func (w *world) closed(l *line, s stage, r *rand.Rand, until time.Time) (took latencies, messages int, err error) {
	_ = l.conn.SetDeadline(until.Add(patience))
	for before := time.Now(); before.Before(until); {
		n, err := s.step(l, r, w.numbers)
		if err != nil {
			return took, messages, err
		}
		after := time.Now()
		took = append(took, after.Sub(before)/time.Duration(n))
		messages += n
		before = after
	}
	return took, messages, nil
}

// open asks at its times, whether the answer before has come or not, and counts
// from when it should have asked: a host that stalls is not spared the requests
// that a stall keeps from being sent.
func (w *world) open(l *line, s stage, r *rand.Rand, started, until time.Time, i, of int) (took latencies, messages int, err error) {
	_ = l.conn.SetDeadline(until.Add(patience))
	due := started.Add(s.every * time.Duration(i) / time.Duration(of))
	for ; due.Before(until); due = due.Add(s.every) {
		time.Sleep(time.Until(due))
		n, err := s.step(l, r, w.numbers)
		if err != nil {
			return took, messages, err
		}
		took = append(took, time.Since(due))
		messages += n
	}
	return took, messages, nil
}

// sell is an approved sale.
func sell(l *line, r *rand.Rand, cards []string) (int, error) {
	_, err := l.approved(l.sale.fill(l.terminal.nextSTAN(), cards[r.IntN(len(cards))], amountMinor, nil, l.mac))
	return 1, err
}

// echo is a test of the line.
func echo(l *line, _ *rand.Rand, _ []string) (int, error) {
	_, err := l.approved(l.echo.fill(l.terminal.nextSTAN(), "", 0, nil, l.mac))
	return 1, err
}

func (l *line) approved(frame []byte) (reply, error) {
	answer, err := l.ask(frame)
	if err == nil && !answer.approved() {
		err = fmt.Errorf("%w: %s", errDeclined, answer.code)
	}
	return answer, err
}

// The mix, in hundredths of its steps.
const (
	mixSales          = 70
	mixAuthorizations = mixSales + 10
	mixVoids          = mixAuthorizations + 8
	mixRefunds        = mixVoids + 5
	mixReversals      = mixRefunds + 5
)

// mixed plays what a day's terminals do: of a hundred steps 70 are sales, 10
// authorizations with their completions, 8 sales with their voids, 5
// refunds of a part of a settled sale, 5 reversals, 2 repeats.
func mixed(l *line, r *rand.Rand, cards []string) (int, error) {
	card := cards[r.IntN(len(cards))]
	stan := l.terminal.nextSTAN()
	kind := r.IntN(100)
	switch {
	case kind < mixSales:
		_, err := l.approved(l.sale.fill(stan, card, amountMinor, nil, l.mac))
		return 1, err
	case kind < mixAuthorizations:
		return l.twice(l.authorization, l.completion, stan, card)
	case kind < mixVoids:
		return l.twice(l.sale, l.void, stan, card)
	case kind < mixRefunds:
		of := l.terminal.settled[r.IntN(len(l.terminal.settled))]
		_, err := l.approved(l.refund.fill(stan, of.card, refundMinor, of.rrn[:], l.mac))
		return 1, err
	case kind < mixReversals:
		if _, err := l.approved(l.sale.fill(stan, card, amountMinor, nil, l.mac)); err != nil {
			return 1, err
		}
		_, err := l.approved(l.reversal.fill(stan, card, amountMinor, nil, l.mac))
		return 2, err
	default:
		frame := l.sale.fill(stan, card, amountMinor, nil, l.mac)
		first, err := l.approved(frame)
		if err != nil {
			return 1, err
		}
		again, err := l.approved(frame)
		if err == nil && again != first {
			err = fmt.Errorf("%w: a repeat was answered otherwise", errDeclined)
		}
		return 2, err
	}
}

// twice asks, and then asks something about what it asked for.
func (l *line) twice(first, second *message, stan int32, card string) (int, error) {
	original, err := l.approved(first.fill(stan, card, amountMinor, nil, l.mac))
	if err != nil {
		return 1, err
	}
	_, err = l.approved(second.fill(l.terminal.nextSTAN(), card, amountMinor, original.rrn[:], l.mac))
	return 2, err
}
