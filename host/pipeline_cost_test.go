package host

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

// knownKeys is a switch that has read its terminals' keys, as a host at work has.
type knownKeys struct {
	*stubSwitch

	sets map[*switching.Terminal]*switching.KeySet
}

func (s *knownKeys) Keys(t *switching.Terminal, _ *switching.KeySet, use func(*switching.KeySet, bool, error)) {
	if s.sets[t] == nil {
		s.sets[t] = switching.NewKeySet(s.module, time.Now, t)
	}
	use(s.sets[t], false, nil)
}

func (s *knownKeys) Submit(r *switching.Request, done func(switching.Response)) { done(s.respond(r)) }

// chipSale has 26 fields with its MAC.
func chipSale() *wire.Message {
	return sale("0200", sealedTID, map[int]string{
		7: "0310120000", 12: "120000", 13: "0310", 18: "5411", 22: "051", 23: "001", 24: "003", 25: "00", 32: "10411", 37: "000000000061",
		43: "SHOP                  SHANGHAI        CN", 49: "156", 53: "2600000000000000", 60: "000001", 62: "000001",
		55: "9F2608010203040506070882023900950500000000009A032603109C01005F2A0201569F02060000000012349F03060000000000009F1A020156",
	})
}

// saleLoop is a sale with MAC that goes through a pipeline over and over: parsed,
// verified, read, answered and sealed, without sockets and a ledger.
func saleLoop(tb testing.TB) (handle func()) {
	tb.Helper()
	r := newPipelineRig(tb)
	nac, err := dialect.New("nac", dialect.Options{Token: func(card.PAN) [16]byte { return [16]byte{1} }})
	if err != nil {
		tb.Fatal(err)
	}
	p := NewPipeline(PipelineOptions{
		Switch: &knownKeys{r.sw, map[*switching.Terminal]*switching.KeySet{}}, Guard: r.pipeline.o.Guard,
		Dialects: map[string]dialect.Dialect{"nac": nac}, Logger: slog.New(slog.DiscardHandler),
	})
	payload := r.pack("nac", chipSale(), r.mac)
	buffer := make([]byte, 0, firstPayloadBytes)
	answered := 0
	answer := func(a Answer) {
		if len(a.Payload) > 0 {
			answered++
		}
	}
	var m Message // which the session allocates with its place
	return func() {
		frame := append(buffer, payload...)
		before := answered
		m = Message{
			Listener: "nac", Conn: 1, Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Payload: frame, Room: frame[len(frame):],
			Received: time.Now(),
		}
		p.Handle(context.Background(), &m, answer)
		if answered != before+1 {
			tb.Fatal("no answer")
		}
	}
}

func BenchmarkPipelineSale(b *testing.B) {
	handle := saleLoop(b)
	b.ReportAllocs()
	for b.Loop() {
		handle()
	}
}

// BenchmarkCodecSale is a sale of 26 fields parsed and verified and its answer built
// and sealed, without the time of the MACs.
func BenchmarkCodecSale(b *testing.B) {
	spec, mac := wire.NAC(), wire.MACAlgorithm(noTime{})
	nac, err := dialect.New("nac", dialect.Options{Token: func(card.PAN) [16]byte { return [16]byte{1} }})
	if err != nil {
		b.Fatal(err)
	}
	m := chipSale()
	payload, err := spec.AppendPackWithMAC(nil, m, mac)
	if err != nil {
		b.Fatal(err)
	}
	response := approveAll(nil)
	var request, answer wire.Message
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	b.ReportMetric(float64(len(m.Fields())), "fields")
	for b.Loop() {
		if err := spec.ParseInto(&request, payload); err != nil {
			b.Fatal(err)
		}
		if err := spec.VerifyMAC(payload, mac); err != nil {
			b.Fatal(err)
		}
		nac.Answer(&answer, &request, &response)
		if _, err := spec.AppendPackWithMAC(out, &answer, mac); err != nil {
			b.Fatal(err)
		}
	}
}

// noTime is a MAC that costs nothing.
type noTime struct{}

func (noTime) Name() string                { return "none" }
func (noTime) Sum([]byte) ([8]byte, error) { return [8]byte{}, nil }
