package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/vault"
	"meridian/switch"
)

// Pipeline is the way of one message, from its bytes to its answer's. It stands
// behind the sessions as their [Handler].
//
//	parse ─▶ guard ─▶ MAC over the raw bytes ─▶ guard ─▶ request ─▶ switch ┄┄▶ answer ─▶ pack and MAC
type Pipeline struct {
	o       PipelineOptions
	log     *slog.Logger
	metrics *pipelineMetrics

	// macs caches algorithms with their key schedules by terminal, of which there
	// are only as many as the directory has; an entry is replaced when the
	// algorithm or the wrapped key it was made from is.
	macs sync.Map // int32 -> *terminalMAC
}

// Submitter is the switch as the pipeline needs it. Submit calls done once, from
// itself or from another goroutine.
type Submitter interface {
	Submit(r *switching.Request, done func(switching.Response))
	// Terminal finds a terminal by its TID; nil if there is none.
	Terminal(tid string) *switching.Terminal
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
	Vault    *vault.Vault
	// Guard decides whom the pipeline listens to; nil lets everybody in and keeps
	// wrong MACs in the audit log.
	Guard   Guard
	Auditor Recorder
	// Logger; nil logs nothing.
	Logger *slog.Logger
	// Registerer of the pipeline's metrics; nil registers none.
	Registerer prometheus.Registerer
	Now        func() time.Time
}

type terminalMAC struct {
	name, wrapped string
	alg           wire.MACAlgorithm
	err           error
}

// NewPipeline returns the handler for every listener that has a dialect.
func NewPipeline(o PipelineOptions) *Pipeline {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Guard == nil {
		o.Guard = &openGuard{recorder: o.Auditor, now: o.Now}
	}
	return &Pipeline{o: o, log: o.Logger, metrics: newPipelineMetrics(o.Registerer)}
}

// exchange is one message and its answer.
type exchange struct {
	pipeline *Pipeline
	dialect  dialect.Dialect
	message  *Message
	request  *wire.Message
	attempt  Attempt
	mac      wire.MACAlgorithm // nil: the terminal has none
	answer   func(Answer)
}

// Handle takes one message. It answers from here, or from a lane's goroutine.
func (p *Pipeline) Handle(_ context.Context, m *Message, answer func(Answer)) {
	x := &exchange{pipeline: p, dialect: p.o.Dialects[m.Listener], message: m, answer: answer}
	spec := x.dialect.Spec()

	var err error
	if x.request, err = spec.Parse(m.Payload); err != nil {
		x.unparsable(err)
		return
	}
	if !x.dialect.Answers(x.request.MTI()) {
		x.ignored()
		return
	}
	x.identify()
	if !x.passes(p.o.Guard.Allow(x.attempt)) || !x.findMAC() {
		return
	}
	sealed := x.mac != nil && x.dialect.Authenticated(x.request.MTI())
	if sealed {
		if err := spec.VerifyMAC(m.Payload, x.mac); err != nil {
			x.notVerified(err)
			return
		}
	}
	if !x.passes(p.o.Guard.Verified(x.attempt, sealed)) {
		return
	}
	request, refusal := x.dialect.Request(x.request)
	if refusal != nil {
		x.refused(refusal)
		return
	}
	if m.Certificate != nil {
		request.CertificateSHA256 = sha256.Sum256(m.Certificate.Raw)
	}
	request.Received = m.Received
	p.o.Switch.Submit(request, func(r switching.Response) { x.decided(&r) })
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
		x.answer(Answer{})
	}
	return false
}

// denied refuses a message that the guard does not let in. Its terminal's MAC
// is on the answer if the key is at hand, and the answer goes without one if not.
func (x *exchange) denied(reason switching.Reason) {
	x.mac, _ = x.pipeline.macOf(x.dialect, x.request) // a key that cannot be used is told where it is needed
	x.pipeline.o.Guard.Denied(x.attempt, reason, func() { x.refuse(reason) })
}

// decided answers what the switch decided; a sender that it did not let in is on
// record before that.
func (x *exchange) decided(r *switching.Response) {
	if r.Reason == switching.Approved {
		x.reply(r)
		return
	}
	x.pipeline.o.Guard.Denied(x.attempt, r.Reason, func() { x.reply(r) })
}

// findMAC looks for the terminal's MAC. When its key cannot be used the message
// is answered 96, without one.
func (x *exchange) findMAC() bool {
	var err error
	if x.mac, err = x.pipeline.macOf(x.dialect, x.request); err != nil {
		x.pipeline.log.Error("terminal's MAC key cannot be used", "tid", x.dialect.TerminalID(x.request), "error", err)
		x.refuse(switching.SystemMalfunction)
		return false
	}
	return true
}

// reply builds the answer and hands it to the session.
func (x *exchange) reply(r *switching.Response) {
	defer func() {
		// A lane's goroutine runs this: whatever goes wrong stays with the message.
		if cause := recover(); cause != nil {
			x.pipeline.log.Error("building an answer panicked", "panic", fmt.Sprintf("%T", cause), "mti", x.request.MTI())
			x.answer(Answer{})
		}
	}()
	m := x.dialect.Answer(x.request, r)
	if m == nil {
		x.answer(Answer{})
		return
	}
	payload, err := x.pack(m)
	if err != nil {
		x.pipeline.log.Error("cannot build an answer", "mti", m.MTI(), "error", err)
		x.answer(Answer{})
		return
	}
	x.answer(Answer{Payload: payload})
}

func (x *exchange) pack(m *wire.Message) ([]byte, error) {
	if x.mac != nil && x.dialect.Authenticated(m.MTI()) {
		return x.dialect.Spec().PackWithMAC(m, x.mac)
	}
	return x.dialect.Spec().Pack(m)
}

// refuse answers without the switch.
func (x *exchange) refuse(reason switching.Reason) {
	x.reply(&switching.Response{Reason: reason})
}

// refused answers a message that is no request of its dialect.
func (x *exchange) refused(refusal *dialect.Refusal) {
	x.pipeline.metrics.refused(x.message.Listener, refusal.Reason.String())
	x.log().Warn("message refused", "mti", x.request.MTI(), "field", refusal.Field, "problem", refusal.Problem)
	x.refuse(refusal.Reason)
}

// ignored gives no answer to a message of a type that has none: an answer, or
// another version's.
func (x *exchange) ignored() {
	x.pipeline.metrics.refused(x.message.Listener, reasonNotARequest)
	x.log().Warn("message is no request", "mti", x.request.MTI())
	x.answer(Answer{})
}

// unparsable answers 30 where at least the type could be read, and repeats what
// stands before the fault, so that the terminal knows what was refused.
func (x *exchange) unparsable(err error) {
	x.pipeline.metrics.parseErrors.WithLabelValues(x.message.Listener).Inc()
	var parse *wire.ParseError
	if !errors.As(err, &parse) {
		parse = &wire.ParseError{Field: wire.NoField, Reason: "unreadable"}
	}
	x.log().Warn("message cannot be parsed", "mti", parse.MTI, "field", parse.Field, "offset", parse.Offset, "reason", parse.Reason)
	x.request = x.dialect.Spec().Readable(x.message.Payload)
	if x.request == nil || !x.dialect.Answers(x.request.MTI()) {
		x.answer(Answer{})
		return
	}
	if x.findMAC() {
		x.refuse(switching.FormatError)
	}
}

// log says where the message came from. What is logged of it is never a value.
func (x *exchange) log() *slog.Logger {
	return x.pipeline.log.With("listener", x.message.Listener, "remote", x.message.Remote.String(), "conn", x.message.Conn)
}

// notVerified tells a message whose MAC does not hold from one whose MAC could not
// be computed: that one is answered 96, without a MAC, and counts against nobody.
func (x *exchange) notVerified(err error) {
	if errors.Is(err, wire.ErrMACMissing) || errors.Is(err, wire.ErrMACWrong) {
		x.macFailed(err)
		return
	}
	x.log().Error("MAC cannot be verified", "tid", x.dialect.TerminalID(x.request), "error", err)
	x.mac = nil
	x.refuse(switching.SystemMalfunction)
}

// macFailed answers 63, leaves a row in the audit log, and nothing else happens.
func (x *exchange) macFailed(err error) {
	problem := "wrong"
	if errors.Is(err, wire.ErrMACMissing) {
		problem = "missing"
	}
	x.pipeline.metrics.macFailures.WithLabelValues(x.message.Listener, problem).Inc()
	x.pipeline.o.Guard.MACFailed(x.attempt, problem == "missing", func() {
		response := &switching.Response{Reason: switching.SecurityViolation}
		// Its fields are not to be trusted, but its sender may know which rule refused it.
		if request, refusal := x.dialect.Request(x.request); refusal == nil && request.Kind.Cancels() {
			response.Rule = switching.RuleAdmission
		}
		x.reply(response)
	})
}

// macOf is the MAC algorithm of the message's terminal with its key; nil for a
// terminal without one, and for one that has no business in this dialect.
func (p *Pipeline) macOf(d dialect.Dialect, m *wire.Message) (wire.MACAlgorithm, error) {
	t := p.o.Switch.Terminal(d.TerminalID(m))
	if t == nil || t.MACAlgorithm == "none" || t.Dialect != d.Name() {
		return nil, nil //nolint:nilnil // no MAC is not an error
	}
	if cached, ok := p.macs.Load(t.ID); ok {
		if c, _ := cached.(*terminalMAC); c.name == t.MACAlgorithm && c.wrapped == string(t.MACKeyWrapped) {
			return c.alg, c.err
		}
	}
	c := &terminalMAC{name: t.MACAlgorithm, wrapped: string(t.MACKeyWrapped)}
	c.alg, c.err = p.openMAC(t)
	p.macs.Store(t.ID, c)
	return c.alg, c.err
}

func (p *Pipeline) openMAC(t *switching.Terminal) (wire.MACAlgorithm, error) {
	key, err := p.o.Vault.Unwrap(vault.UsageMACKey, t.MACKeyWrapped)
	if err != nil {
		return nil, fmt.Errorf("open MAC key: %w", err)
	}
	if t.MACAlgorithm != "x919" {
		return nil, fmt.Errorf("MAC algorithm %s is not one of this dialect's", t.MACAlgorithm)
	}
	alg, err := wire.NewX919(key)
	if err != nil {
		return nil, fmt.Errorf("MAC key: %w", err)
	}
	return alg, nil
}
