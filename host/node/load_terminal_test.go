package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/internal/loadgen"
)

// hangTimeout is how long a request may be without an answer while its line
// lives. Far above what the host promises, because the machine may be busy:
// what is not answered by then never is.
const hangTimeout = time.Minute

// terminal plays one till over two connections to a host.
type terminal struct {
	w       *world
	till    till
	host    *running
	dialect loadgen.Dialect
	stan    atomic.Int32
	mu      sync.Mutex
	lines   [2]*loadgen.Line
	// settled are sales of an earlier day, to be refunded.
	settled []*deal
	refund  sync.Mutex
	// troubled: the host or its database is being hurt, so that 91, 96 and lost
	// lines are answers like others.
	troubled bool
}

func newTerminal(w *world, h *running, t till) *terminal {
	dialect := loadgen.NAC()
	if t.dialect == "ascii" {
		dialect = loadgen.ASCII()
	}
	term := &terminal{w: w, till: t, host: h, dialect: dialect}
	w.t.Cleanup(term.close)
	return term
}

func (t *terminal) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lines {
		if l == nil {
			continue
		}
		l.Close()
		for _, stray := range l.Strays() {
			t.w.t.Errorf("%s received an answer it never asked for: %+v", t.till.tid, stray)
		}
	}
	t.lines = [2]*loadgen.Line{}
}

// line number i of the terminal, connected again when it has ended.
func (t *terminal) line(i int) (*loadgen.Line, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.lines[i]; l != nil {
		select {
		case <-l.Ended():
		default:
			return l, nil
		}
		for _, stray := range l.Strays() {
			t.w.t.Errorf("%s received an answer it never asked for: %+v", t.till.tid, stray)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	l, err := loadgen.Dial(ctx, t.dialect, t.host.address(t.till.dialect))
	if err != nil {
		return nil, err
	}
	t.lines[i] = l
	return l, nil
}

// deal is one request under one key and what became of it.
type deal struct {
	request  loadgen.Message
	answer   loadgen.Message
	card     int
	minor    int64
	stan     int
	reversal bool
}

func (d *deal) approved() bool { return d.answer.Code() == "00" }

// request of a message type and processing code for a card and an amount.
func (t *terminal) request(mti, processing string, card int, minor int64, more map[int]string) *deal {
	stan := int(t.stan.Add(1))
	fields := map[int]string{
		3: processing, 4: fmt.Sprintf("%012d", minor), 11: fmt.Sprintf("%06d", stan),
		41: t.till.tid, 42: t.till.mid, 49: "156",
	}
	if t.till.dialect == "ascii" {
		fields[7], fields[12], fields[13] = "0310120000", "120000", "0310"
	} else {
		fields[24] = "001"
	}
	if card >= 0 {
		fields[2], fields[14] = t.w.cards[card].Reveal(), "3012"
	}
	maps.Copy(fields, more)
	maps.DeleteFunc(fields, func(_ int, v string) bool { return v == "" })
	return &deal{request: loadgen.Message{MTI: mti, Fields: fields}, card: card, minor: minor, stan: stan}
}

func (t *terminal) sale(card int, minor int64) *deal {
	return t.request("0200", "000000", card, minor, nil)
}

// of is a request that refers to an earlier one by its RRN, without the card.
func (t *terminal) of(mti, processing string, original *deal, minor int64) *deal {
	d := t.request(mti, processing, -1, minor, map[int]string{37: original.answer.Field(37)})
	d.card = original.card
	return d
}

// reversalOf a deal, by its STAN as terminals do that have no answer. left is
// what a partial one leaves standing.
func (t *terminal) reversalOf(d *deal, leftMinor int64) *deal {
	fields := maps.Clone(d.request.Fields)
	delete(fields, 37)
	delete(fields, 62)
	if leftMinor > 0 {
		fields[95] = fmt.Sprintf("%012d%030d", leftMinor, 0)
	}
	return &deal{
		request: loadgen.Message{MTI: "0400", Fields: fields}, card: d.card, minor: d.minor, stan: d.stan, reversal: true,
	}
}

// errUnanswered: the line ended before the answer came.
var errUnanswered = errors.New("no answer")

// send puts a message on a line, on a new one if need be.
func (t *terminal) send(line int, m loadgen.Message) (*loadgen.Call, error) {
	l, err := t.line(line)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	call, err := l.Send(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	return call, nil
}

// await an answer. A line that is silent and does not end is a hang.
func (t *terminal) await(call *loadgen.Call) (loadgen.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	answer, err := call.Wait(ctx)
	switch {
	case ctx.Err() != nil:
		t.w.t.Errorf("%s: neither an answer nor the end of its line within %s", t.till.tid, hangTimeout)
		return answer, fmt.Errorf("%w: %w", errUnanswered, err)
	case err != nil:
		return answer, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	t.w.book.count(answer.MTI, answer.Code())
	return answer, nil
}

// once sends a message and waits for what comes of it.
func (t *terminal) once(line int, m loadgen.Message) (loadgen.Message, error) {
	call, err := t.send(line, m)
	if err != nil {
		return loadgen.Message{}, err
	}
	return t.await(call)
}

// pause between two tries at a host that is not there.
const pause = 20 * time.Millisecond

// do sends a deal until it is answered, as a repeat from the second time on,
// and notes an approval.
func (t *terminal) do(line int, d *deal) {
	m, lost := d.request, false
	for {
		answer, err := t.once(line, m)
		if err == nil {
			d.answer = answer
			break
		}
		if !t.troubled {
			t.w.t.Errorf("%s, STAN %d: %v", t.till.tid, d.stan, err)
			return
		}
		if t.w.t.Failed() {
			return // a host that stays away would be asked for ever
		}
		time.Sleep(pause)
		m, lost = d.request.Repeat(), true
	}
	if d.approved() {
		if err := t.w.book.approve(approval{t.till.tid, d.stan, d.reversal}, d.answer.Field(37)); err != nil {
			t.w.t.Errorf("%s, STAN %d: %v", t.till.tid, d.stan, err)
		}
		if lost { // the answer to a repeat is the answer to every repeat
			t.repeat(line, d)
		}
	}
}

// want checks the answer against those allowed; a troubled host may also say
// that it cannot.
func (t *terminal) want(d *deal, codes ...string) {
	if t.troubled {
		codes = append(codes, "91", "96")
	}
	if !slices.Contains(codes, d.answer.Code()) {
		t.w.t.Errorf("%s, STAN %d: %s F3 %s was answered %q, want one of %q", t.till.tid, d.stan,
			d.request.MTI, d.request.Field(3), d.answer.Code(), codes)
	}
}

// doReversal repeats a reversal until it is taken, as terminals do. The host
// may hold an answer back, but never say 00 and mean nothing.
func (t *terminal) doReversal(line int, d *deal) {
	for {
		t.do(line, d)
		t.want(d, "00")
		if d.approved() || !t.troubled || t.w.t.Failed() {
			return
		}
		time.Sleep(pause)
	}
}

// repeat asks again and expects the same answer, byte for byte.
func (t *terminal) repeat(line int, d *deal) {
	again := *d
	again.request = d.request.Repeat()
	t.do(line, &again)
	if t.troubled && (again.answer.Code() == "91" || again.answer.Code() == "96") {
		return
	}
	if !maps.Equal(again.answer.Fields, d.answer.Fields) {
		t.w.t.Errorf("%s, STAN %d: the repeat was answered %v, the first time %v", t.till.tid, d.stan, again.answer.Fields, d.answer.Fields)
	}
}

// repeatSame is repeat for what has no approval to be compared byte for byte.
func (t *terminal) repeatSame(line int, d *deal) {
	again := *d
	again.request = d.request.Repeat()
	t.do(line, &again)
	if again.answer.Code() != d.answer.Code() {
		t.w.t.Errorf("%s, STAN %d: answered %q, and its repeat %q", t.till.tid, d.stan, d.answer.Code(), again.answer.Code())
	}
}

// insist repeats what was answered 91 or 96, some of the time: a till may try
// again or take it for a decline, and the money must be right either way.
func (t *terminal) insist(rng *rand.Rand, line int, d *deal) {
	for tries := 0; t.troubled && tries < 20 && (d.answer.Code() == "91" || d.answer.Code() == "96") && rng.IntN(3) > 0; tries++ {
		time.Sleep(pause)
		again := *d
		again.request = d.request.Repeat()
		t.do(line, &again)
		d.answer = again.answer
	}
}

// moved notes a deal's effect on its card if it was approved.
func (t *terminal) moved(d *deal, balanceMinor, heldMinor int64) {
	if d.approved() {
		t.w.book.move(d.card, balanceMinor, heldMinor)
	}
}

// parallel runs f for every item at once, each with a random source of its own.
// The seed is logged, and MERIDIAN_TEST_SEED sets it.
func parallel[T any](tb testing.TB, list []T, f func(item T, rng *rand.Rand)) {
	tb.Helper()
	seed := rand.Uint64()
	if fixed, err := strconv.ParseUint(os.Getenv("MERIDIAN_TEST_SEED"), 10, 64); err == nil {
		seed = fixed
	}
	tb.Logf("MERIDIAN_TEST_SEED=%d", seed)
	var all sync.WaitGroup
	for i, item := range list {
		all.Go(func() { f(item, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	all.Wait()
}
