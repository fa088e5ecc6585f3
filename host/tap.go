package host

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meridian/host/wire"
	"meridian/switch"
)

// Tap lets people watch messages as they pass. A message looks at one number when
// nobody watches. Otherwise it is rendered once for everybody, masked, and kept in
// a ring; a viewer reads from the ring at its own pace, so that one who stops
// reading is in nobody's way and misses what has left the ring meanwhile.
//
// Nothing of a card number, a track, a PIN block or a key gets in: what is kept is
// what [wire.Spec.MaskedDump] shows.
//
// The nil Tap is watched by nobody.
type Tap struct {
	watching atomic.Int32

	mu      sync.Mutex
	ring    [tapKept]*Passed // message n at n % tapKept
	last    uint64           // number of the newest message; 0 before the first
	unseen  uint64           // passed while more came than are shown
	span    time.Time        // begin of the span that shown counts in
	shown   int
	changed chan struct{} // closed at the next message
	lease   *time.Timer   // of those who look without staying
}

const (
	// tapKept messages: some hundred kilobytes, and 25 seconds of the fastest stream.
	tapKept = 512
	// tapPerSpan messages are rendered in each tapSpan, 20 a second: more than anybody
	// can read. Each goes to every viewer, so this bounds what they cost together.
	tapPerSpan = 5
	tapSpan    = 250 * time.Millisecond
	// tapWatchers is far more than look at one host.
	tapWatchers = 1000
)

// Passed is a message that went by, with its answer.
type Passed struct {
	Number   uint64
	At       time.Time // when its last byte was read
	Listener string
	Dialect  string
	Remote   string
	Conn     uint64
	TID      string
	Kind     string // empty where nobody looked, such as after a wrong MAC
	// Reason of the answer, and the RRN it gives; zero without one.
	Reason string
	RRN    int64
	// Problem says which field of a message that was refused unread or unasked is
	// wrong, and how; empty where the switch was asked. No value is in it.
	Problem string
	// Scenario that had the answer leave as it did; empty without one.
	Scenario string
	// MAC: right, wrong, missing, replayed, none, or unseen where it was not looked at.
	MAC             string
	Request, Answer Shown // Answer's MTI is empty without one
	// Internal is from the last byte read to the answer built; Queue and Ledger are
	// of those that went through a lane.
	Internal, Queue, Ledger time.Duration
}

// Shown is one message as people may see it.
type Shown struct {
	MTI    string
	Bytes  int
	Fields []wire.MaskedField
	Parts  []wire.MaskedPart
}

// Field is the value that is shown of a field; empty without it.
func (s *Shown) Field(number int) string {
	for i := range s.Fields {
		if s.Fields[i].Field == number {
			return s.Fields[i].Value
		}
	}
	return ""
}

// NewTap returns a tap that nobody watches.
func NewTap() *Tap { return &Tap{changed: make(chan struct{})} }

// Watched tells whether anybody does.
func (t *Tap) Watched() bool { return t != nil && t.watching.Load() > 0 }

// admit tells whether one more message may be rendered now.
func (t *Tap) admit(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.span) >= tapSpan || now.Before(t.span) {
		t.span, t.shown = now, 0
	}
	if t.shown == tapPerSpan {
		t.unseen++
		return false
	}
	t.shown++
	return true
}

// pass keeps a message and wakes the viewers.
func (t *Tap) pass(p *Passed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	p.Number = t.last
	t.ring[t.last%tapKept] = p
	close(t.changed)
	t.changed = make(chan struct{})
}

// Find returns a message that is still kept; nil if it is not.
func (t *Tap) Find(number uint64) *Passed {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.ring[number%tapKept]; p != nil && p.Number == number {
		return p
	}
	return nil
}

// Latest returns the newest messages that are kept, the newest first, of those
// that fit; a nil fit takes all.
func (t *Tap) Latest(most int, fit func(*Passed) bool) []*Passed {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*Passed
	for n := t.last; n > 0 && n+tapKept > t.last && len(list) < most; n-- {
		if p := t.ring[n%tapKept]; p != nil && (fit == nil || fit(p)) {
			list = append(list, p)
		}
	}
	return list
}

// Look keeps the tap open for a while without staying: for a page that is loaded
// again and again.
func (t *Tap) Look(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// One that cannot be stopped any more is about to end its own look, and waits for the lock.
	if t.lease != nil && t.lease.Stop() {
		t.lease.Reset(d)
		return
	}
	t.watching.Add(1)
	var lease *time.Timer
	lease = time.AfterFunc(d, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.watching.Add(-1)
		if t.lease == lease {
			t.lease = nil
		}
	})
	t.lease = lease
}

// View is one viewer.
type View struct {
	tap    *Tap
	read   uint64 // the last message that it has
	unseen uint64 // as of then
	closed sync.Once
}

// Watch begins with the next message. It is nil when too many watch already.
func (t *Tap) Watch() *View {
	if t.watching.Add(1) > tapWatchers {
		t.watching.Add(-1)
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return &View{tap: t, read: t.last, unseen: t.unseen}
}

// Next waits for messages and returns them in their order, and how many others
// went by that this viewer does not get. It fails when ctx ends.
func (v *View) Next(ctx context.Context) (list []*Passed, missed uint64, err error) {
	for {
		v.tap.mu.Lock()
		changed := v.tap.changed
		if v.tap.last > v.read {
			first := v.read + 1
			if v.tap.last-v.read > tapKept {
				first = v.tap.last - tapKept + 1
				missed = first - v.read - 1
			}
			for n := first; n <= v.tap.last; n++ {
				list = append(list, v.tap.ring[n%tapKept])
			}
			missed += v.tap.unseen - v.unseen
			v.read, v.unseen = v.tap.last, v.tap.unseen
		}
		v.tap.mu.Unlock()
		if len(list) > 0 {
			return list, missed, nil
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-changed:
		}
	}
}

// Close ends the viewing.
func (v *View) Close() { v.closed.Do(func() { v.tap.watching.Add(-1) }) }

// Verdicts on a MAC, beside those of the metrics.
const (
	macRight  = "right"
	macNone   = "none"
	macUnseen = "unseen"
)

// show hands the message to those who watch, before what it says is wiped.
// Nothing that goes wrong here is in the way of the answer.
func (x *exchange) show(a Answer) {
	defer func() {
		if cause := recover(); cause != nil {
			x.pipeline.log.Error("showing a message panicked", "panic", fmt.Sprintf("%T", cause), "mti", x.attempt.MTI)
			x.pipeline.metrics.panics.Inc()
		}
	}()
	tap, now := x.pipeline.o.Tap, time.Now()
	if !tap.admit(now) {
		return
	}
	spec := x.dialect.Spec()
	p := &Passed{
		At: x.message.Received, Listener: x.message.Listener, Dialect: x.dialect.Name(), Remote: x.message.Remote.Addr().String(),
		Conn: x.message.Conn, TID: printableTID(x.attempt.TID), MAC: x.macVerdict, Problem: x.problem, Request: Show(spec, x.message.Payload),
	}
	if p.MAC == "" {
		p.MAC = macUnseen
	}
	if a.Payload != nil {
		p.Answer = Show(spec, a.Payload)
	}
	if a.departure != nil {
		p.Scenario = a.departure.Name
	}
	if x.submitted != nil {
		p.Kind = x.submitted.Kind.String()
	}
	if r := x.watched; r != nil {
		if p.Reason = r.Reason.String(); x.submitted != nil && hasTransaction(x.submitted.Kind) {
			p.RRN = r.RRN
		}
		p.Queue, p.Ledger = r.Spent.Queue, r.Spent.Ledger
	}
	if !p.At.IsZero() {
		p.Internal = now.Sub(p.At)
	}
	tap.pass(p)
}

// hasTransaction tells whether the RRN of an answer leads to something stored: one
// to a sign-in leads nowhere.
func hasTransaction(kind switching.Kind) bool {
	switch kind {
	case switching.KindLogon, switching.KindSignOff, switching.KindEcho, switching.KindStatus, switching.KindDownload, switching.KindDownloadEnd:
		return false
	default:
		return true
	}
}

// Show renders a message as people may see it.
func Show(spec *wire.Spec, payload []byte) Shown {
	s := Shown{Bytes: len(payload)}
	m, fields, parts := spec.MaskedDump(payload)
	if m != nil {
		s.MTI = m.MTI()
	}
	s.Fields, s.Parts = fields, parts
	s.hideCryptogram()
	return s
}

// fieldICC holds chip data in every dialect.
const fieldICC = 55

// cryptogram is the tag by which a chip signs a transaction.
var cryptogram = regexp.MustCompile(`(^| )9F26=[0-9A-F]+`)

// hideCryptogram keeps a chip's signature, which [wire.Spec.MaskedFields] shows to
// whoever decodes a message of their own, out of what everybody may watch.
func (s *Shown) hideCryptogram() {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Field == fieldICC {
			f.Value, f.Hidden = cryptogram.ReplaceAllString(f.Value, "${1}9F26=(8 bytes)"), true
		}
	}
	for i := range s.Parts {
		if part := &s.Parts[i]; part.Field == fieldICC {
			part.Hex, part.Hidden = "", true
		}
	}
}

// printableTID is a terminal's name as it was claimed, if it can be one.
func printableTID(tid string) string {
	const most = 8 // F41
	if len(tid) > most {
		return ""
	}
	for i := range len(tid) {
		if tid[i] < ' ' || tid[i] > '~' {
			return ""
		}
	}
	return strings.Clone(tid) // it may be a part of memory that serves again
}
