package host

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/host/wire"
	"meridian/switch"
)

// What stands in a label that does not apply.
const (
	labelNone = "none"
	// labelUnknown is a card of no network that is known, or a message class.
	labelUnknown = "unknown"
	// labelOther is what more values than a label may have come to.
	labelOther = "other"
)

// Phases of a message's way.
const (
	phaseTotal    = "total"
	phaseInternal = "internal"
	phaseQueue    = "queue"
	phaseLedger   = "ledger"
)

// fieldResponseCode is where every dialect has it.
const fieldResponseCode = 39

// durations are the phases that a message's time went to.
type durations struct {
	total, internal, queue, ledger prometheus.Observer
}

// newDurations makes the histogram, or finds it: sessions know the first phase,
// the pipeline the others.
func newDurations(reg prometheus.Registerer) durations {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "meridian_request_duration_seconds",
		Help: "Time of answered messages by phase. total: from the last byte read to the answer's last byte written, so with " +
			"what waits for a slow peer or for earlier answers of its connection. internal: until the answer was built, which " +
			"is what this host is responsible for. Of those that went through a lane: queue, until their unit of work, and " +
			"ledger, the unit of work with its commit.",
		// The internal objective is held at 250 ms; the others are for people.
		Buckets:                     []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"phase"})
	if reg != nil {
		if err := reg.Register(vec); err != nil {
			var registered prometheus.AlreadyRegisteredError
			if !errors.As(err, &registered) {
				panic(err) // a mistake in the wiring, as MustRegister has it
			}
			vec = registered.ExistingCollector.(*prometheus.HistogramVec) //nolint:forcetypeassert // it has this name and these labels
		}
	}
	return durations{
		total: vec.WithLabelValues(phaseTotal), internal: vec.WithLabelValues(phaseInternal),
		queue: vec.WithLabelValues(phaseQueue), ledger: vec.WithLabelValues(phaseLedger),
	}
}

// messageMetrics count messages that could be read, and their answers.
type messageMetrics struct {
	durations
	requests counters[requestLabels]
	answers  counters[answerLabels]
	panics   prometheus.Counter
}

// messageClass is the second digit of a message type (ISO 8583, "message class").
type messageClass byte

var messageClassNames = [...]string{
	1: "authorization", 2: "financial", 3: "file_actions", 4: "reversal", 5: "reconciliation",
	6: "administrative", 7: "fee_collection", 8: "network_management",
}

func messageClassOf(mti string) messageClass {
	if len(mti) < 2 || int(mti[1]-'0') >= len(messageClassNames) {
		return 0
	}
	return messageClass(mti[1] - '0')
}

func (c messageClass) String() string {
	if name := messageClassNames[c]; name != "" {
		return name
	}
	return labelUnknown
}

type requestLabels struct {
	listener string
	class    messageClass
	kind     switching.Kind
	network  string
}

type answerLabels struct {
	class    messageClass
	kind     switching.Kind
	network  string
	response switching.ResponseClass
	code     string
}

func newMessageMetrics(reg prometheus.Registerer) *messageMetrics {
	m := &messageMetrics{
		durations: newDurations(reg),
		requests: counters[requestLabels]{
			vec: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "meridian_requests_total",
				Help: "Messages that could be read and were answered or handed to the switch, by ISO message class, type of " +
					"transaction (unknown where nobody looked, such as after a wrong MAC) and network of the card (none without one).",
			}, []string{"listener", "class", "type", "network"}),
			values: func(l requestLabels) []string {
				return []string{l.listener, l.class.String(), l.kind.String(), l.network}
			},
			fold: func(l requestLabels) requestLabels { l.network = labelOther; return l },
		},
		answers: counters[answerLabels]{
			vec: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "meridian_answers_total",
				Help: "Answers by message class, type and network of their request, response code (none: no answer was given) and " +
					"response class: approved; declined by the issuer (card, PIN, money); refused for what was asked (original, " +
					"policy, batch, operator); rejected for the message or its sender; failed, which is this host's own.",
			}, []string{"class", "type", "network", "response_class", "code"}),
			values: func(l answerLabels) []string {
				return []string{l.class.String(), l.kind.String(), l.network, l.response.String(), l.code}
			},
			fold: func(l answerLabels) answerLabels { l.network, l.code = labelOther, labelOther; return l },
		},
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_message_panics_total",
			Help: "Panics contained to one message while it was verified or its answer was built. Every one is a defect: the log has the type.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.requests.vec, m.answers.vec, m.panics)
	}
	return m
}

// requested counts a message that goes to the switch.
func (m *messageMetrics) requested(x *exchange) {
	m.requests.inc(requestLabels{x.message.Listener, messageClassOf(x.attempt.MTI), kindOf(x.submitted), x.network})
}

// answered counts a message's end: its answer, or nil where it was to have one
// and has none.
func (m *messageMetrics) answered(x *exchange, answer *wire.Message, r *switching.Response) {
	labels := answerLabels{
		class: messageClassOf(x.attempt.MTI), kind: kindOf(x.submitted), network: x.network,
		response: switching.ResponseFailed, code: labelNone,
	}
	if labels.network == "" {
		labels.network = labelNone
	}
	if answer != nil {
		labels.response = r.Reason.Class()
		if answer.Has(fieldResponseCode) {
			labels.code = answer.Get(fieldResponseCode)
		}
	}
	if x.submitted == nil { // nobody else has counted it
		m.requests.inc(requestLabels{x.message.Listener, labels.class, labels.kind, labels.network})
	}
	m.answers.inc(labels)
	if !x.message.Received.IsZero() {
		m.internal.Observe(time.Since(x.message.Received).Seconds())
	}
	if r.Spent.Ledger > 0 {
		m.queue.Observe(r.Spent.Queue.Seconds())
		m.ledger.Observe(r.Spent.Ledger.Seconds())
	}
}

func kindOf(r *switching.Request) switching.Kind {
	if r == nil {
		return 0
	}
	return r.Kind
}

// networkOf a request's card, as a label.
func networkOf(s Submitter, r *switching.Request) string {
	if r.PAN.IsZero() {
		return labelNone
	}
	if network := s.Network(r.PAN); network != "" {
		return network
	}
	return labelUnknown
}

// maxSeries of one counter, far above what a host with a dozen networks comes to.
// Networks are rows that people make: beyond this they are one.
const maxSeries = 4096

// counters are a counter's series by their labels. A series is made once;
// finding it afterwards takes no lock and makes no garbage.
type counters[L comparable] struct {
	vec    *prometheus.CounterVec
	values func(L) []string
	fold   func(L) L

	known  atomic.Pointer[map[L]prometheus.Counter]
	making sync.Mutex
}

func (c *counters[L]) inc(labels L) {
	if known := c.known.Load(); known != nil {
		if series, ok := (*known)[labels]; ok {
			series.Inc()
			return
		}
	}
	c.make(labels).Inc()
}

func (c *counters[L]) make(labels L) prometheus.Counter {
	c.making.Lock()
	defer c.making.Unlock()
	grown := map[L]prometheus.Counter{}
	if known := c.known.Load(); known != nil {
		if series, ok := (*known)[labels]; ok {
			return series
		}
		if len(*known) >= maxSeries {
			return c.vec.WithLabelValues(c.values(c.fold(labels))...)
		}
		grown = maps.Clone(*known)
	}
	values := c.values(labels)
	for i := range values {
		values[i] = strings.Clone(values[i]) // they may be a part of a message's memory
	}
	series := c.vec.WithLabelValues(values...)
	grown[labels] = series
	c.known.Store(&grown)
	return series
}
