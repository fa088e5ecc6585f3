package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/host/wire"
)

// patience bounds every wait of these tests for something that must happen. It
// is never waited out when the code is right.
const patience = 30 * time.Second

// rig is a server under test with its metrics and its log.
type rig struct {
	t        *testing.T
	server   *Server
	registry *prometheus.Registry
	log      *logBook
	served   chan error
}

// HandlerFunc lets a function be a [Handler].
type HandlerFunc func(ctx context.Context, m *Message, answer func(Answer))

func (f HandlerFunc) Handle(ctx context.Context, m *Message, answer func(Answer)) { f(ctx, m, answer) }

// newRig makes a server that is not serving yet.
func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, registry: prometheus.NewRegistry(), log: newLogBook(), served: make(chan error, 1)}
	o.Metrics = NewMetrics(r.registry)
	o.Logger = slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.server = NewServer(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return r
}

// listen adds a plain NAC-like listener, changed by the functions given, and
// returns its address.
func (r *rig) listen(change ...func(*ListenerConfig)) string {
	r.t.Helper()
	cfg := ListenerConfig{Name: "nac", Address: "127.0.0.1:0", Framing: wire.Framing{TPDU: true}}
	for _, f := range change {
		f(&cfg)
	}
	addr, err := r.server.Listen(cfg)
	if err != nil {
		r.t.Fatalf("Listen: %v", err)
	}
	return addr.String()
}

// serve starts serving.
func (r *rig) serve() {
	go func() { r.served <- r.server.Serve(context.Background()) }()
}

// start is newRig, listen and serve for the common case of one listener.
func start(t *testing.T, h HandlerFunc, change ...func(*ListenerConfig)) (*rig, string) {
	t.Helper()
	r := newRig(t, Options{Handler: h})
	addr := r.listen(change...)
	r.serve()
	return r, addr
}

// metric is the sum of a metric's values over the series that have the labels
// given as name, value, name, value.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	return metricOf(r.t, r.registry, name, labels...)
}

func metricOf(t testing.TB, registry prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatalf("Gather: %v", err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			match := true
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				match = match && found
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// closedWith waits for the log line of a close with this reason and returns it.
func (r *rig) closedWith(reason CloseReason) map[string]any {
	r.t.Helper()
	line := r.log.await(r.t, func(l map[string]any) bool {
		return l["msg"] == "connection closed" && l["reason"] == string(reason)
	})
	if got := r.metric("meridian_closes_total", "reason", string(reason)); got < 1 {
		r.t.Errorf("meridian_closes_total{reason=%q} = %v, want at least 1", reason, got)
	}
	return line
}

// logBook keeps log lines and wakes those who wait for one.
type logBook struct {
	mu      sync.Mutex
	changed chan struct{}
	raw     bytes.Buffer
	lines   []map[string]any
}

func newLogBook() *logBook { return &logBook{changed: make(chan struct{})} }

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.raw.Write(p)
	var line map[string]any
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	b.lines = append(b.lines, line)
	close(b.changed)
	b.changed = make(chan struct{})
	return len(p), nil
}

func (b *logBook) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.raw.String()
}

func (b *logBook) count(match func(map[string]any) bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, l := range b.lines {
		if match(l) {
			n++
		}
	}
	return n
}

func (b *logBook) await(t *testing.T, match func(map[string]any) bool) map[string]any {
	t.Helper()
	deadline := time.After(patience)
	for {
		b.mu.Lock()
		for _, l := range b.lines {
			if match(l) {
				b.mu.Unlock()
				return l
			}
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the log line did not come; log:\n%s", b.text())
		}
	}
}

// peer is the terminal's side of a connection.
type peer struct {
	t       *testing.T
	conn    net.Conn
	in      *bufio.Reader
	framing wire.Framing
}

func dial(t *testing.T, addr string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return newPeer(t, conn)
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("deadline: %v", err)
	}
	return &peer{t: t, conn: conn, in: bufio.NewReader(conn), framing: wire.Framing{TPDU: true}}
}

var (
	peerTPDU   = wire.TPDU{0x60, 0x00, 0x01, 0x00, 0x02}
	peerHeader = wire.Header{0x60, 0x31, 0x00, 0x31, 0x00, 0x07}
)

// frames is the bytes of one frame per payload.
func (p *peer) frames(payloads ...string) []byte {
	p.t.Helper()
	var out []byte
	for _, payload := range payloads {
		var err error
		if out, err = p.framing.AppendFrame(out, wire.Frame{TPDU: peerTPDU, Header: peerHeader, Payload: []byte(payload)}); err != nil {
			p.t.Fatalf("frame: %v", err)
		}
	}
	return out
}

func (p *peer) send(payloads ...string) {
	p.t.Helper()
	p.sendRaw(p.frames(payloads...))
}

func (p *peer) sendRaw(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// receive reads one answer.
func (p *peer) receive() string {
	p.t.Helper()
	frame, err := p.framing.ReadFrame(p.in, nil)
	if err != nil {
		p.t.Fatalf("receive: %v", err)
	}
	if p.framing.TPDU && frame.TPDU != peerTPDU.Swapped() {
		p.t.Fatalf("TPDU of the answer is %s, want %s", frame.TPDU, peerTPDU.Swapped())
	}
	return string(frame.Payload)
}

// expect reads answers and compares them.
func (p *peer) expect(payloads ...string) {
	p.t.Helper()
	for i, want := range payloads {
		if got := p.receive(); got != want {
			p.t.Fatalf("answer %d is %q, want %q", i, got, want)
		}
	}
}

// expectEnd waits for the host's clean close: no further byte, no reset.
func (p *peer) expectEnd() {
	p.t.Helper()
	if b, err := p.in.ReadByte(); err != io.EOF {
		p.t.Fatalf("read %#x, %v; want the end of the stream", b, err)
	}
}

// expectGone waits until the connection is dead, cleanly or not.
func (p *peer) expectGone() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p.in); isTimeout(err) {
		p.t.Fatalf("the connection is still open: %v", err)
	}
}

// echo answers every message with its own payload.
func echo(_ context.Context, m *Message, answer func(Answer)) { answer(Answer{Payload: m.Payload}) }

// request is a message a test holds on to, to answer it when it likes.
type request struct {
	payload string // a copy
	answer  func(Answer)
	ctx     context.Context
	message *Message
}

// desk is a handler that puts every message before the test.
type desk chan request

func newDesk(size int) desk { return make(desk, size) }

func (d desk) handle(ctx context.Context, m *Message, answer func(Answer)) {
	d <- request{payload: string(m.Payload), answer: answer, ctx: ctx, message: m}
}

// take returns the next message.
func (d desk) take(t *testing.T) request {
	t.Helper()
	select {
	case r := <-d:
		return r
	case <-time.After(patience):
		t.Fatal("no message reached the handler")
		return request{}
	}
}

func numbered(n int) string { return "message " + strconv.Itoa(n) }

// soon waits until a condition that no event announces holds, such as a
// metric's value.
func soon(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
