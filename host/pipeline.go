package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

// Pipeline is the way of one message, from its bytes to its answer's. It stands
// behind the sessions as their [Handler].
//
//	parse ─▶ guard, certificate ─▶ MAC over the raw bytes ─▶ guard ─▶ request ─▶ switch ┄┄▶ answer ─▶ pack and MAC
type Pipeline struct {
	o       PipelineOptions
	log     *slog.Logger
	lines   *lines // about single messages
	metrics *pipelineMetrics
	pages   sync.Pool // *pages
}

// Submitter is the switch as the pipeline needs it. Submit calls done once, from
// itself or from another goroutine.
type Submitter interface {
	Submit(r *switching.Request, done func(switching.Response))
	// Terminal finds a terminal by its TID; nil if there is none.
	Terminal(tid string) *switching.Terminal
	// Keys calls use with a terminal's keys, from itself or from another goroutine,
	// for the messages of one terminal in their order; see [switching.Switch.Keys].
	Keys(t *switching.Terminal, stale *switching.KeySet, use func(set *switching.KeySet, fresh bool, err error))
	// Network of a card number; empty if it is of none that is known.
	Network(pan card.PAN) string
}

// Recorder is the audit log: Record calls done once the entry is written, or
// cannot be.
type Recorder interface {
	Record(entry switching.AuditEntry, done func())
}

// PipelineOptions of a pipeline.
type PipelineOptions struct {
	Switch Submitter
	// Dialects by listener name.
	Dialects map[string]dialect.Dialect
	// Guard decides whom the pipeline listens to.
	Guard Guard
	// Tap shows messages to people; nil shows none.
	Tap *Tap
	// Witness hears of every answer; nil for nobody.
	Witness func(Answered)
	// Scenarios of a test host; nil in production.
	Scenarios Scenarios
	// Logger; nil logs nothing.
	Logger *slog.Logger
	// Registerer of the pipeline's metrics; nil registers none.
	Registerer prometheus.Registerer
}

// NewPipeline returns the handler for every listener that has a dialect.
func NewPipeline(o PipelineOptions) *Pipeline {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pipeline{o: o, log: o.Logger, lines: newLines(o.Logger, messageLines), metrics: newPipelineMetrics(o.Registerer, maps.Keys(o.Dialects))}
}

// pages are what a message and its answer are read from and written on. They serve
// one exchange after the other, wiped: what an exchange's request and answer have
// beyond it are copies.
type pages struct{ request, answer wire.Message }

// exchange is one message and its answer.
type exchange struct {
	pipeline *Pipeline
	dialect  dialect.Dialect
	message  *Message
	pages    *pages        // nil once the answer is sent
	request  *wire.Message // of the pages
	attempt  Attempt
	answer   func(Answer)
	// certificate of the peer; zero without one.
	certificate [sha256.Size]byte

	keys        *switching.KeySet // nil: nothing here needs one
	ksn         []byte            // where keys are derived
	seal        wire.MACAlgorithm // of the answer; nil before the message is verified
	credentials switching.Credentials
	// submitted is what the switch was asked; nil before it was.
	submitted *switching.Request
	network   string // of its card, as metrics have it
	response  switching.Response
	sent      bool
	departure *Departure // of a scenario; nil without one
	// For those who watch: what was found about the MAC, and what was decided.
	macVerdict string
	watched    *switching.Response
	problem    string // why it was refused before it got that far; no value is in it
}

// Handle takes one message. It answers from here, or from a lane's goroutine.
func (p *Pipeline) Handle(ctx context.Context, m *Message, answer func(Answer)) {
	x := &exchange{pipeline: p, dialect: p.o.Dialects[m.Listener], message: m, answer: answer, pages: p.take()}
	x.request = &x.pages.request
	if err := x.dialect.Spec().ParseInto(x.request, m.Payload); err != nil {
		x.unparsable(ctx, err)
		return
	}
	if !x.dialect.Answers(x.request.MTI()) {
		x.ignored()
		return
	}
	x.identify()
	switch {
	case !x.passes(p.o.Guard.Allow(x.attempt)):
	case !x.certified():
		x.denied(switching.SecurityViolation)
	default:
		x.withKeys(ctx, (*exchange).authenticate)
	}
}

// certified tells whether the sender has the certificate that the terminal is bound
// to, if it is bound to one. It comes before the MAC: who has it not must not be
// able to get the terminal locked.
func (x *exchange) certified() bool {
	t := x.attempt.Terminal
	if t == nil || t.CertificateSHA256 == nil {
		return true
	}
	return x.message.Certificate != nil && bytes.Equal(t.CertificateSHA256, x.certificate[:])
}

func (p *Pipeline) take() *pages {
	if used, ok := p.pages.Get().(*pages); ok {
		return used
	}
	return &pages{}
}

// maxPageBytes of a message are kept for the next one: far above a sale's, and
// below those of a frame that somebody made as long as he could.
const maxPageBytes = 16 << 10

// release gives the pages to the next exchange.
func (x *exchange) release() {
	used := x.pages
	x.pages, x.request = nil, nil
	if used == nil || used.request.MemoryBytes() > maxPageBytes || used.answer.MemoryBytes() > maxPageBytes {
		return
	}
	used.request.Wipe()
	used.answer.Wipe()
	x.pipeline.pages.Put(used)
}

// authenticated goes on with a message whose MAC was right, or whose terminal or
// type has none.
func (x *exchange) authenticated(sealed bool) {
	x.macVerdict = macNone
	if sealed {
		x.macVerdict = macRight
	}
	if !x.passes(x.pipeline.o.Guard.Verified(x.attempt, sealed)) {
		return
	}
	request, refusal := x.dialect.Request(x.request)
	if refusal != nil {
		x.refused(refusal)
		return
	}
	request.CertificateSHA256 = x.certificate
	request.Received, request.Credentials = x.message.Received, x.credentials
	request.Credentials.Stranger = x.attempt.Terminal == nil
	x.submitted, x.network = request, networkOf(x.pipeline.o.Switch, request)
	x.pipeline.metrics.requested(x)
	if s := x.pipeline.o.Scenarios; s != nil {
		x.play(s)
	}
	x.pipeline.o.Switch.Submit(request, func(r switching.Response) {
		x.response = r
		x.decided(&x.response)
	})
}

// identify says for the guard who sends the message, by what it claims.
func (x *exchange) identify() {
	x.attempt = Attempt{
		Listener: x.message.Listener, Remote: x.message.Remote.Addr(),
		TID: x.dialect.TerminalID(x.request), MTI: x.request.MTI(),
	}
	if t := x.pipeline.o.Switch.Terminal(x.attempt.TID); t != nil && t.Dialect == x.dialect.Name() {
		x.attempt.Terminal = t
	}
	if c := x.message.Certificate; c != nil {
		x.certificate = sha256.Sum256(c.Raw)
	}
}

// passes does what the guard says with a message, and reports whether it goes on.
func (x *exchange) passes(v Verdict) bool {
	switch v {
	case Pass:
		return true
	case Busy:
		x.denied(switching.RateLimited)
	case Locked:
		x.denied(switching.TerminalLocked)
	default:
		x.send(Answer{})
	}
	return false
}

// denied refuses a message that the guard does not let in. Its terminal's MAC
// is on the answer if there is one that can be used.
func (x *exchange) denied(reason switching.Reason) {
	x.withKeysIfAny(func() {
		x.pipeline.o.Guard.Denied(x.attempt, reason, func() { x.turnAway(reason) })
	})
}

// turnAway answers a sender that is not let in. His message's fields are not to be
// trusted, but he may know which rule refused him.
func (x *exchange) turnAway(reason switching.Reason) {
	response := &switching.Response{Reason: reason}
	if request, refusal := x.dialect.Request(x.request); refusal == nil && request.Kind.Cancels() {
		response.Rule = switching.RuleAdmission
	}
	x.reply(response)
}

// decided answers what the switch decided; a sender that it did not let in is on
// record before that.
func (x *exchange) decided(r *switching.Response) {
	switch r.Reason {
	case switching.Approved:
		x.reply(r)
	case switching.MACWrong: // a replay: the MAC was right once
		x.pipeline.metrics.macFailures.WithLabelValues(x.message.Listener, macReplayed).Inc()
		x.macVerdict = macReplayed
		x.pipeline.o.Guard.MACFailed(x.attempt, false, func() { x.reply(r) })
	default:
		x.pipeline.o.Guard.Denied(x.attempt, r.Reason, func() { x.reply(r) })
	}
}

// reply builds the answer and hands it to the session.
func (x *exchange) reply(r *switching.Response) {
	defer x.contain("building an answer") // a lane's goroutine runs this
	x.testify(r)
	if x.pipeline.o.Tap.Watched() {
		kept := *r
		x.watched = &kept
	}
	x.settleScenario(r)
	m := &x.pages.answer
	if !x.dialect.Answer(m, x.request, r) {
		x.pipeline.metrics.answered(x, nil, r)
		x.send(Answer{})
		return
	}
	if x.departure != nil && x.departure.WrongSTAN {
		spoilSTAN(m)
	}
	payload, err := x.pack(m)
	if err != nil {
		x.pipeline.log.Error("cannot build an answer", "mti", m.MTI(), "error", err)
		x.pipeline.metrics.answered(x, nil, r)
		x.send(Answer{})
		return
	}
	x.pipeline.metrics.answered(x, m, r)
	a := Answer{Payload: payload, Demand: dialect.Demand(r)}
	x.depart(&a)
	x.send(a)
}

// contain keeps a panic to its message, whosoever goroutine runs it.
func (x *exchange) contain(doing string) {
	if cause := recover(); cause != nil {
		x.pipeline.log.Error("handling a message panicked", "doing", doing, "panic", fmt.Sprintf("%T", cause), "mti", x.attempt.MTI)
		x.pipeline.metrics.panics.Inc()
		x.pages = nil // somebody may be reading them still
		x.send(Answer{})
	}
}

// send hands the answer to the session, once. What the message said in secret is
// wiped first: the payload's memory is the session's from then on.
func (x *exchange) send(a Answer) {
	if x.sent {
		return
	}
	x.sent = true
	if x.pipeline.o.Tap.Watched() {
		x.show(a)
	}
	clear(x.message.Payload)
	if x.submitted != nil && x.submitted.PIN != nil {
		clear(x.submitted.PIN.Block)
	}
	x.release()
	x.answer(a)
}

func (x *exchange) pack(m *wire.Message) ([]byte, error) {
	spec, room := x.dialect.Spec(), x.message.Room[:0]
	if !x.dialect.Authenticated(m.MTI()) {
		return spec.AppendPack(room, m)
	}
	if x.seal == nil && x.keys != nil {
		if mac := x.keys.Seal(context.Background(), x.ksn); mac != nil {
			x.seal = mac
		}
	}
	if x.seal == nil {
		return spec.AppendPack(room, m)
	}
	if x.departure != nil && x.departure.WrongMAC {
		return spec.AppendPackWithMAC(room, m, spoiledMAC{x.seal})
	}
	return spec.AppendPackWithMAC(room, m, x.seal)
}

// refuse answers without the switch.
func (x *exchange) refuse(reason switching.Reason) {
	x.reply(&switching.Response{Reason: reason})
}

// refused answers a message that is no request of its dialect.
func (x *exchange) refused(refusal *dialect.Refusal) {
	x.pipeline.metrics.refused(x.message.Listener, refusal.Reason.String())
	args := []any{"tid", x.attempt.TID, "stan", x.request.Get(fieldSTAN), "mti", x.request.MTI()}
	if refusal.Field != 0 {
		args = append(args, "field", refusal.Field)
	}
	x.log(slog.LevelWarn, "message refused", append(args, "problem", refusal.Problem)...)
	if x.pipeline.o.Tap.Watched() {
		x.problem = refusal.String()
	}
	x.refuse(refusal.Reason)
}

// ignored gives no answer to a message of a type that has none: an answer, or
// another version's.
func (x *exchange) ignored() {
	x.pipeline.metrics.refused(x.message.Listener, reasonNotARequest)
	x.log(slog.LevelWarn, "message is no request", "mti", x.request.MTI())
	x.send(Answer{})
}

// unparsable answers 30 where at least the type could be read, and repeats what
// stands before the fault, so that the terminal knows what was refused.
func (x *exchange) unparsable(ctx context.Context, err error) {
	x.pipeline.metrics.parseErrors.WithLabelValues(x.message.Listener).Inc()
	var parse *wire.ParseError
	if !errors.As(err, &parse) {
		parse = &wire.ParseError{Field: wire.NoField, Reason: "unreadable"}
	}
	args := []any{"mti", parse.MTI}
	if parse.Field != wire.NoField {
		args = append(args, "field", parse.Field)
	}
	x.log(slog.LevelWarn, "message cannot be parsed", append(args, "offset", parse.Offset, "reason", parse.Reason)...)
	if x.pipeline.o.Tap.Watched() {
		x.problem = whereUnreadable(parse)
	}
	if !x.dialect.Answers(x.request.MTI()) { // the request is what could be read
		x.send(Answer{})
		return
	}
	x.identify()
	if !x.passes(x.pipeline.o.Guard.Allow(x.attempt)) {
		return
	}
	x.withKeys(ctx, (*exchange).refuseFormat)
}

// whereUnreadable says for people where a message stops being one.
func whereUnreadable(e *wire.ParseError) string {
	switch e.Field {
	case wire.NoField:
		return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason)
	case 0:
		return fmt.Sprintf("message type: %s", e.Reason)
	case 1:
		return fmt.Sprintf("bitmap, byte %d: %s", e.Offset, e.Reason)
	default:
		return fmt.Sprintf("field %d, byte %d: %s", e.Field, e.Offset, e.Reason)
	}
}

// refuseFormat answers a message that could not be parsed.
func (x *exchange) refuseFormat(ctx context.Context, _ bool) {
	if err := x.sealable(ctx); err != nil {
		x.notVerifiable(err)
		return
	}
	x.refuse(switching.FormatError)
}

// log says where the message came from. What is logged of it is never a value, and
// a flood of messages is not one of lines.
func (x *exchange) log(level slog.Level, text string, args ...any) {
	x.pipeline.lines.write(level, x.message, text, args...)
}
