package node_test

import (
	"encoding/hex"
	"math/rand/v2"
	"sync"

	"meridian/internal/loadgen"
)

// A story is one customer at the till: one to three requests and what the card
// must have moved by at their end. share is its part of a hundred.
type story struct {
	name  string
	share int
	play  func(*terminal, *rand.Rand, int)
}

// stories are what a till's day is made of; about a tenth of the requests are
// repeats, a twentieth reversals that race their originals, a twentieth malformed.
func stories() []story {
	return []story{
		{"sale", 31, (*terminal).playSale},
		{"repeated sale", 12, (*terminal).playRepeat},
		{"sale and its repeat at once", 6, (*terminal).playTwins},
		{"reversal racing its sale", 9, (*terminal).playRace},
		{"sale and void", 7, (*terminal).playVoid},
		{"cancel", 4, (*terminal).playCancel},
		{"void and its reversal", 3, (*terminal).playVoidReversal},
		{"authorization and completion", 7, (*terminal).playCompletion},
		{"authorization and reversal", 3, (*terminal).playAuthorizationReversal},
		{"partial reversal", 3, (*terminal).playPartialReversal},
		{"refund", 3, (*terminal).playRefund},
		{"echo", 2, (*terminal).playEcho},
		{"malformed", 7, (*terminal).playMalformed},
		{"untrusted length", 3, (*terminal).playBadFrame},
	}
}

// day plays stories on a line while there is more to play.
func (t *terminal) day(rng *rand.Rand, line int, more func() bool) {
	all := stories()
	for more() && !t.w.t.Failed() {
		n := rng.IntN(100)
		for _, s := range all {
			if n -= s.share; n < 0 {
				s.play(t, rng, line)
				break
			}
		}
	}
}

func (t *terminal) anyCard(rng *rand.Rand) int { return rng.IntN(len(t.w.cards)) }

func someMinor(rng *rand.Rand) int64 { return 1 + rng.Int64N(20_00) }

// sell makes a sale and brings it to its last answer.
func (t *terminal) sell(rng *rand.Rand, line int) *deal {
	d := t.sale(t.anyCard(rng), someMinor(rng))
	t.do(line, d)
	t.insist(rng, line, d)
	t.want(d, "00")
	return d
}

func (t *terminal) playSale(rng *rand.Rand, line int) {
	d := t.sell(rng, line)
	t.moved(d, -d.minor, 0)
}

func (t *terminal) playRepeat(rng *rand.Rand, line int) {
	d := t.sell(rng, line)
	t.moved(d, -d.minor, 0)
	if d.approved() {
		t.repeat(rng.IntN(2), d)
	}
}

// playTwins sends the same request on both lines at once: one effect, one answer.
func (t *terminal) playTwins(rng *rand.Rand, line int) {
	d := t.sale(t.anyCard(rng), someMinor(rng))
	twin := *d
	var both sync.WaitGroup
	both.Go(func() { t.do(1-line, &twin) })
	t.do(line, d)
	both.Wait()
	t.want(d, "00")
	t.want(&twin, "00")
	switch {
	case d.approved() && twin.approved():
		if d.answer.Field(38) != twin.answer.Field(38) {
			t.w.t.Errorf("%s, STAN %d: one key was approved with two codes", t.till.tid, d.stan)
		}
		t.moved(d, -d.minor, 0)
	case d.approved():
		t.moved(d, -d.minor, 0)
	default:
		t.moved(&twin, -d.minor, 0)
	}
}

// playRace reverses a sale on the other line before its answer is here.
func (t *terminal) playRace(rng *rand.Rand, line int) {
	d := t.sale(t.anyCard(rng), someMinor(rng))
	reversal := t.reversalOf(d, 0)
	t.w.book.giveUp(approval{t.till.tid, d.stan, false})
	var both sync.WaitGroup
	both.Go(func() { t.doReversal(1-line, reversal) })
	t.do(line, d)
	both.Wait()
	t.want(d, "00", "12") // before the reversal, or after it
	if rng.IntN(2) == 0 {
		t.do(line, d) // whatever it is: the sale does not stand
		t.want(d, "00", "12")
	}
}

func (t *terminal) playVoid(rng *rand.Rand, line int) {
	sale := t.sell(rng, line)
	if !sale.approved() {
		return
	}
	void := t.of("0200", "020000", sale, sale.minor)
	t.do(line, void)
	t.insist(rng, line, void)
	t.want(void, "00")
	if !void.approved() {
		t.moved(sale, -sale.minor, 0)
	}
}

func (t *terminal) playCancel(rng *rand.Rand, line int) {
	sale := t.sell(rng, line)
	if !sale.approved() {
		return
	}
	cancel := t.of("0200", "290000", sale, sale.minor)
	t.do(line, cancel)
	t.insist(rng, line, cancel)
	t.want(cancel, "00")
	switch {
	case !cancel.approved():
		t.moved(sale, -sale.minor, 0)
	case cancel.answer.Field(63) != "VOID R16":
		t.w.t.Errorf("%s, STAN %d: a cancel on the same day became %q", t.till.tid, cancel.stan, cancel.answer.Field(63))
	}
}

// playVoidReversal voids a sale and reverses the void: the sale stands.
func (t *terminal) playVoidReversal(rng *rand.Rand, line int) {
	sale := t.sell(rng, line)
	if !sale.approved() {
		return
	}
	void := t.of("0200", "020000", sale, sale.minor)
	t.do(line, void)
	t.insist(rng, line, void)
	t.want(void, "00")
	t.doReversal(line, t.reversalOf(void, 0))
	t.moved(sale, -sale.minor, 0)
}

func (t *terminal) authorize(rng *rand.Rand, line int) *deal {
	d := t.request("0100", "000000", t.anyCard(rng), someMinor(rng), nil)
	t.do(line, d)
	t.insist(rng, line, d)
	t.want(d, "00")
	return d
}

func (t *terminal) playCompletion(rng *rand.Rand, line int) {
	hold := t.authorize(rng, line)
	if !hold.approved() {
		return
	}
	completion := t.of("0220", "000000", hold, 1+rng.Int64N(hold.minor))
	t.do(line, completion)
	t.insist(rng, line, completion)
	t.want(completion, "00")
	if completion.approved() {
		t.moved(completion, -completion.minor, 0)
	} else {
		t.moved(hold, 0, hold.minor)
	}
}

func (t *terminal) playAuthorizationReversal(rng *rand.Rand, line int) {
	hold := t.authorize(rng, line)
	t.doReversal(line, t.reversalOf(hold, 0))
	if t.troubled {
		t.w.book.giveUp(approval{t.till.tid, hold.stan, false})
	}
}

func (t *terminal) playPartialReversal(rng *rand.Rand, line int) {
	sale := t.sell(rng, line)
	if !sale.approved() || sale.minor < 2 {
		t.moved(sale, -sale.minor, 0)
		return
	}
	left := 1 + rng.Int64N(sale.minor-1)
	t.doReversal(line, t.reversalOf(sale, left))
	t.moved(sale, -left, 0)
}

// playRefund pays back a part of a sale of an earlier day: never more than it was.
func (t *terminal) playRefund(rng *rand.Rand, line int) {
	t.refund.Lock()
	defer t.refund.Unlock()
	if len(t.settled) == 0 {
		t.playSale(rng, line)
		return
	}
	sale := t.settled[rng.IntN(len(t.settled))]
	refund := t.of("0200", "200000", sale, 1+rng.Int64N(20_00))
	t.do(line, refund)
	t.insist(rng, line, refund)
	if refund.minor > sale.minor { // what is left of it
		t.want(refund, "61")
		return
	}
	t.want(refund, "00")
	t.moved(refund, refund.minor, 0)
	if refund.approved() {
		sale.minor -= refund.minor
	}
}

func (t *terminal) playEcho(_ *rand.Rand, line int) {
	d := t.request("0800", "990000", -1, 0, map[int]string{4: "", 49: ""})
	answer, err := t.once(line, d.request)
	if err != nil && !t.troubled {
		t.w.t.Errorf("%s: echo: %v", t.till.tid, err)
	}
	if d.answer = answer; err == nil {
		t.want(d, "00")
	}
}

// playMalformed sends what cannot be parsed behind a readable type: 30.
func (t *terminal) playMalformed(rng *rand.Rand, line int) {
	rest := make([]byte, 8+rng.IntN(60))
	for i := range rest {
		rest[i] = byte(rng.Uint32())
	}
	rest[0] |= 0x80 // a second bitmap follows, and with it a field 65 or a cut
	copy(rest[8:], "\x80")
	if t.till.dialect == "ascii" {
		rest = append([]byte("F0"), hex.AppendEncode(nil, rest[:8])...)
		rest[3] = 'x' // no digit of a bitmap
	}
	l, err := t.line(line)
	if err != nil {
		if !t.troubled {
			t.w.t.Errorf("%s: %v", t.till.tid, err)
		}
		return
	}
	call, err := l.SendMalformed("0200", rest)
	if err == nil {
		var answer loadgen.Message
		if answer, err = t.await(call); err == nil && answer.Code() != "30" {
			t.w.t.Errorf("%s: a malformed message was answered %+v", t.till.tid, answer)
		}
	}
	if err != nil && !t.troubled {
		t.w.t.Errorf("%s: malformed message: %v", t.till.tid, err)
	}
}

// playBadFrame ends a connection of its own with a length that cannot be
// trusted; the other lines must not notice.
func (t *terminal) playBadFrame(rng *rand.Rand, _ int) {
	host := t.host.address(t.till.dialect)
	l, err := loadgen.Dial(t.w.t.Context(), t.dialect, host)
	if err != nil {
		if !t.troubled {
			t.w.t.Errorf("%s: %v", t.till.tid, err)
		}
		return
	}
	defer l.Close()
	if err := l.SendRaw([][]byte{{0, 0}, {0xFF, 0xFF, 0x60}, {0, 1, 2}}[rng.IntN(3)]); err != nil {
		return
	}
	<-l.Ended()
}
