package console

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/host"
	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/switch"
)

// noRecorder keeps no audit log.
type noRecorder struct{}

func (noRecorder) Record(_ switching.AuditEntry, done func()) { done() }

// line is the way of messages to the world's switch, with a tap on it.
type line struct {
	w        *world
	tap      *host.Tap
	pipeline *host.Pipeline
	stan     int
}

func newTappedWorld(t testing.TB, change ...func(*Options)) (*world, *line) {
	t.Helper()
	tap := host.NewTap()
	w := newWorld(t, append(change, func(o *Options) { o.Tap, o.Scenarios = tap, sampleScenarios{} })...)
	d, err := dialect.New("nac", dialect.Options{Token: token, ApproveUnknownReversal: true})
	w.must(err)
	sentry := host.NewSentry(host.SentryOptions{
		Limits: host.AdmissionLimits{LockAfter: -1}, Recorder: noRecorder{}, Locks: w.sw, Now: w.Now, Real: time.Now,
		Logger: w.console.log, Registerer: w.metrics,
	})
	return w, &line{w: w, tap: tap, pipeline: host.NewPipeline(host.PipelineOptions{
		Switch: w.sw, Dialects: map[string]dialect.Dialect{"nac": d}, Guard: sentry, Tap: tap, Logger: w.console.log, Registerer: w.metrics,
	})}
}

// send hands a message in and waits for its answer.
func (l *line) send(mti string, change map[int]string) {
	l.w.t.Helper()
	l.stan++
	m := wire.NewMessage(mti)
	pan := cardNumber(0).Reveal()
	values := map[int]string{
		2: pan, 3: "000000", 4: "000000001234", 11: fmt.Sprintf("%06d", 900+l.stan), 14: "3012", 35: pan + "=30122010000012345",
		41: till, 42: shop, 49: "156", 55: "9F36020001" + "5A0A" + pan + "F", 62: "000001",
	}
	maps.Copy(values, change)
	for _, field := range slices.Sorted(maps.Keys(values)) {
		if values[field] != "" {
			m.Set(field, values[field])
		}
	}
	payload, err := wire.NAC().Pack(m)
	l.w.must(err)
	answered := make(chan struct{})
	l.pipeline.Handle(context.Background(), &host.Message{
		Listener: "nac", Conn: 1, Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Payload: payload, Received: time.Now(),
	}, func(host.Answer) { close(answered) })
	<-answered
}

// secrets must be on no page and in no event.
func secrets() []string {
	pan := cardNumber(0).Reveal()
	return []string{pan, pan[4:14], fmt.Sprintf("%X", pan), "30122010000012345", "301220"}
}

func TestLiveMessages(t *testing.T) {
	w, l := newTappedWorld(t)
	l.send("0200", nil) // nobody looks
	w.get("/messages").want(t, 200, "Nothing passed")
	w.get("/messages/1").want(t, 404, "is not kept any more")
	l.send("0200", nil)
	l.send("0800", map[int]string{2: "", 3: "990000", 4: "", 14: "", 35: "", 55: "", 49: "", 62: ""})
	l.send("0200", map[int]string{4: "009999999999"})
	list := w.get("/messages").want(t, 200, "0200 sale", "12.34 CNY", "0800 echo", "0810 00", "exceeds amount limit", "61", till)
	one := w.get("/messages/1").want(t, 200,
		"0200 sale → answered 00 12.34 CNY", "F35 Track 2 data (37 characters) masked", "F41 Card acceptor terminal identification "+till,
		"9F36 Application transaction counter 0001", "5A Application PAN (10 bytes)", "message and answer:", "unit of work and commit:",
		"Request 0200", "Answer 0210", "02 00", "from 192.0.2.7")
	rrn := l.tap.Find(1).RRN
	detail := w.get(fmt.Sprintf("/transactions/%012d", rrn)).want(t, 200, "Messages Message At Request Answer MAC Took 1")
	for _, secret := range secrets() {
		for _, page := range []answer{list, one, detail} {
			if strings.Contains(page.body, secret) || strings.Contains(strings.ReplaceAll(page.text(), " ", ""), secret) {
				t.Errorf("%s is shown:\n%s", secret, page.text())
			}
		}
	}
	l.send("0200", map[int]string{41: ""})
	w.get("/messages").want(t, 200, "0210 30 format error, field 41: missing")
	w.get("/messages/4").want(t, 200, "Reason format error, field 41: missing")
	w.get("/messages/x").want(t, 404)
	for range 600 {
		l.send("0800", map[int]string{2: "", 3: "990000", 4: "", 14: "", 35: "", 55: "", 49: "", 62: ""})
	}
	if n := len(l.tap.Latest(1000, nil)); n > 100 {
		t.Errorf("%d of a burst of 600 were rendered", n)
	}
}

// events of a stream, read by a goroutine of its own until the stream ends.
func (w *world) events(path string, change ...func(*http.Request)) (<-chan string, context.CancelFunc) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+path, nil)
	w.must(err)
	for _, c := range change {
		c(request)
	}
	response, err := http.DefaultClient.Do(request)
	w.must(err)
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") || response.Header.Get("Content-Security-Policy") != policy {
		w.t.Fatalf("%s: %v", path, response.Header)
	}
	events := make(chan string, 100)
	go func() {
		defer close(events)
		defer response.Body.Close()
		var event strings.Builder
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if lines.Text() == "" {
				events <- event.String()
				event.Reset()
				continue
			}
			event.WriteString(lines.Text() + "\n")
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		for range events { //nolint:revive // to its end
		}
	})
	return events, cancel
}

func next(t *testing.T, events <-chan string, kind string) string {
	t.Helper()
	for {
		select {
		case event, open := <-events:
			if !open {
				t.Fatalf("the stream ended before an event %s", kind)
			}
			if strings.HasPrefix(event, "event: "+kind+"\n") {
				return event
			}
		case <-time.After(patience):
			t.Fatalf("no event %s", kind)
		}
	}
}

func TestStreams(t *testing.T) {
	w, l := newTappedWorld(t)
	first, leave := w.events("/messages/stream")
	second, _ := w.events("/messages/stream")
	overview, _ := w.events("/overview/stream")
	next(t, first, "hello")
	next(t, second, "hello")
	l.send("0200", nil)
	for _, events := range []<-chan string{first, second} {
		event := next(t, events, "messages")
		if !strings.Contains(event, "data: <tr>") || !strings.Contains(event, "12.34") {
			t.Errorf("event %s", event)
		}
		for _, secret := range secrets() {
			if strings.Contains(event, secret) {
				t.Errorf("%s is in an event: %s", secret, event)
			}
		}
	}
	if event := next(t, overview, "live"); !strings.Contains(event, "Messages per second") {
		t.Errorf("event %s", event)
	}
	leave()
	for range first { //nolint:revive // to its end
	}
	l.send("0200", nil)
	next(t, second, "messages")
}

// A viewer who is gone is noticed by the next message.
func TestViewerWhoIsGone(t *testing.T) {
	w, l := newTappedWorld(t)
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	w.must(err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /messages/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
	w.must(err)
	_, err = conn.Read(make([]byte, 1)) // the stream has begun
	w.must(err)
	if !l.tap.Watched() {
		t.Fatal("nobody watches")
	}
	w.must(conn.Close())
	for begin := time.Now(); l.tap.Watched(); {
		if time.Since(begin) > patience {
			t.Fatal("a viewer who is gone still watches")
		}
		l.send("0800", map[int]string{2: "", 3: "990000", 4: "", 14: "", 35: "", 55: "", 49: "", 62: ""})
	}
}

func TestDumpOfWhatCannotBeRead(t *testing.T) {
	s := side("request", "Request", "nac", host.Shown{Bytes: 3, Parts: []wire.MaskedPart{{Field: wire.NoField, Bytes: 3, Hidden: true}}})
	if len(s.Dump) != 1 || s.Dump[0].Text != "·· ·· ··" || s.Dump[0].Label != "unread" || len(s.Bits) != 64 {
		t.Errorf("%+v", s)
	}
	if specOf("other") != nil {
		t.Error("a dialect of nobody's has a spec")
	}
	if got := phases(&host.Passed{Internal: time.Millisecond, Ledger: 2 * time.Millisecond}); got != nil {
		t.Errorf("%+v", got)
	}
}
