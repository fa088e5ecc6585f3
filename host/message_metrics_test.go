package host

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/switch"
)

// Each message is counted once as a request and once as an answer, under what is
// known of it.
func TestMessagesAreCountedByWhatTheyAre(t *testing.T) {
	r := newPipelineRig(t)
	say := func(reason switching.Reason) {
		r.sw.respond = func(*switching.Request) switching.Response { return switching.Response{Reason: reason} }
	}
	foreign := "4111111111111111"
	for _, c := range []struct {
		name                                        string
		reason                                      switching.Reason
		listener                                    string
		payload                                     []byte
		class, kind, network, responseClass, answer string
	}{
		{
			"approved", switching.Approved, "nac", r.pack("nac", sale("0200", openTID, nil), nil),
			"financial", "sale", "unionpay", "approved", "00",
		},
		{
			"declined by the issuer", switching.InsufficientFunds, "nac", r.pack("nac", sale("0200", openTID, nil), nil),
			"financial", "sale", "unionpay", "declined", "51",
		},
		{
			"a card of no known network", switching.Approved, "nac",
			r.pack("nac", sale("0100", openTID, map[int]string{2: foreign, 35: foreign + "=30122010000012345"}), nil),
			"authorization", "authorization", "unknown", "approved", "00",
		},
		{
			"no card", switching.OriginalNotFound, "nac",
			r.pack("nac", sale("0200", openTID, map[int]string{2: "", 3: "020000", 35: "", 37: "606900000001", 52: ""}), nil),
			"financial", "void", "none", "refused", "25",
		},
		{
			"the host's own failure", switching.StoreUnavailable, "nac", r.pack("nac", sale("0200", openTID, nil), nil),
			"financial", "sale", "unionpay", "failed", "91",
		},
		{
			"an outcome that nobody is told", 0, "nac", r.pack("nac", sale("0200", openTID, nil), nil),
			"financial", "sale", "unionpay", "failed", "none",
		},
		{
			"a wrong MAC: nobody looked further", switching.Approved, "ascii",
			r.pack("ascii", sale("0200", asciiTID, nil), otherMAC{}), "financial", "unknown", "none", "rejected", "63",
		},
		{
			"nonsense behind the type", switching.Approved, "nac", append(r.pack("nac", sale("0200", openTID, nil), nil), 0),
			"financial", "unknown", "none", "rejected", "30",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			say(c.reason)
			requests := []string{"listener", c.listener, "class", c.class, "type", c.kind, "network", c.network}
			answers := []string{
				"class", c.class, "type", c.kind, "network", c.network, "response_class", c.responseClass, "code", c.answer,
			}
			before := []float64{
				r.count("meridian_requests_total", requests...), r.count("meridian_answers_total", answers...),
				r.count("meridian_requests_total"), r.count("meridian_answers_total"),
			}
			r.handle(c.listener, c.payload)
			after := []float64{
				r.count("meridian_requests_total", requests...), r.count("meridian_answers_total", answers...),
				r.count("meridian_requests_total"), r.count("meridian_answers_total"),
			}
			for i := range before {
				before[i]++
			}
			if !slices.Equal(before, after) {
				t.Errorf("requests and answers, so labelled and in all: %v, want %v", after, before)
			}
		})
	}
}

// otherMAC is what a terminal with another key sends.
type otherMAC struct{}

func (otherMAC) Name() string                { return "x919" }
func (otherMAC) Sum([]byte) ([8]byte, error) { return [8]byte{1, 2, 3}, nil }

// Where a request's time went is shown under each phase.
func TestDurationsByPhase(t *testing.T) {
	r := newPipelineRig(t)
	r.sw.respond = func(*switching.Request) switching.Response {
		return switching.Response{Reason: switching.Approved, Spent: switching.Spent{Queue: 2 * time.Second, Ledger: 3 * time.Second}}
	}
	r.handle("nac", r.pack("nac", sale("0200", openTID, nil), nil))
	sums := map[string]float64{}
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "meridian_request_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetHistogram().GetSampleCount() > 0 {
				sums[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleSum()
			}
			if m.GetHistogram().Schema == nil || len(m.GetHistogram().GetBucket()) == 0 {
				t.Errorf("%v is not both a native and a classic histogram", m.GetLabel())
			}
		}
	}
	if sums["queue"] != 2 || sums["ledger"] != 3 || sums["internal"] <= 0 || len(sums) != 3 {
		t.Errorf("seconds by phase %v, want queue 2, ledger 3 and what the host took", sums)
	}
}

// What peers or people choose never makes more series than their bound.
func TestSeriesAreBounded(t *testing.T) {
	m := newMessageMetrics(nil)
	for i := range 2 * maxSeries {
		m.requests.inc(requestLabels{"nac", 2, switching.KindSale, fmt.Sprintf("network %d", i)})
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.requests.vec)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(families[0].GetMetric()); n != maxSeries+1 {
		t.Errorf("%d series, want %d and one for all others", n, maxSeries)
	}
	if n := metricOf(t, registry, "meridian_requests_total", "network", labelOther); n != maxSeries {
		t.Errorf("%v requests of other networks, want %d", n, maxSeries)
	}
}

// A message is counted without making garbage.
func TestCountingAllocatesNothing(t *testing.T) {
	m := newMessageMetrics(nil)
	labels := answerLabels{2, switching.KindSale, "unionpay", switching.ResponseApproved, "00"}
	m.answers.inc(labels)
	if n := testing.AllocsPerRun(100, func() { m.answers.inc(labels); m.internal.Observe(0.01) }); n != 0 {
		t.Errorf("%v allocations for each message, want none", n)
	}
}
