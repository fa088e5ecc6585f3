package host

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// Whatever order the handler answers in, the line gives answers out in the order
// of their requests, each once, and none before its turn.
func TestLineKeepsOrderProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l line
		var waiting []*place // joined, unanswered
		joined, left := 0, 0
		maxBytes := rapid.IntRange(1, 40).Draw(t, "maxBytes")
		take := func() {
			first, count := l.takeReady(maxBytes)
			seen, bytes := 0, 0
			for p := first; p != nil; p = p.next {
				if !p.answered {
					t.Fatalf("place %s left unanswered", p.message.Payload)
				}
				if want := fmt.Sprint(left); string(p.message.Payload) != want {
					t.Fatalf("place %s left, want %s", p.message.Payload, want)
				}
				bytes += len(p.answer.Payload)
				left++
				seen++
			}
			if seen != count {
				t.Fatalf("%d places in the batch, %d announced", seen, count)
			}
			if count > 1 && bytes > maxBytes {
				t.Fatalf("a batch of %d bytes, bound %d", bytes, maxBytes)
			}
			l.leave(count)
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(*rapid.T) {
				p := &place{message: Message{Payload: []byte(fmt.Sprint(joined))}}
				joined++
				l.join(p)
				waiting = append(waiting, p)
			},
			"answer": func(t *rapid.T) {
				if len(waiting) == 0 {
					t.Skip("nobody waits")
				}
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "which")
				waiting[i].answered = true
				waiting[i].answer.Payload = make([]byte, rapid.IntRange(0, 30).Draw(t, "size"))
				waiting = append(waiting[:i], waiting[i+1:]...)
			},
			"take": func(*rapid.T) { take() },
			"": func(t *rapid.T) {
				if l.held != joined-left {
					t.Fatalf("held %d, want %d", l.held, joined-left)
				}
			},
		})
		for _, p := range waiting {
			p.answered = true
		}
		for left < joined {
			before := left
			take()
			if left == before {
				t.Fatalf("%d places are stuck", joined-left)
			}
		}
	})
}

// The same over a socket: any interleaving of requests, answers by several
// goroutines and unanswered messages.
func TestSessionKeepsOrderProperty(t *testing.T) {
	d := newDesk(1000)
	r, addr := start(t, d.handle)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "requests")
		order := rapid.Permutation(indices(n)).Draw(rt, "order")
		silent := rapid.SliceOfN(rapid.Bool(), n, n).Draw(rt, "silent")
		chunk := rapid.IntRange(1, 64).Draw(rt, "chunk")

		p := dial(t, addr)
		defer p.conn.Close()
		var payloads, want []string
		for i := range n {
			payloads = append(payloads, numbered(i))
			if !silent[i] {
				want = append(want, numbered(i))
			}
		}
		stream := p.frames(payloads...)
		for len(stream) > 0 {
			k := min(chunk, len(stream))
			p.sendRaw(stream[:k])
			stream = stream[k:]
		}
		requests := make([]request, n)
		for i := range n {
			requests[i] = d.take(t)
		}
		for _, i := range order {
			go func() {
				if silent[i] {
					requests[i].answer(Answer{})
				} else {
					requests[i].answer(Answer{Payload: []byte(requests[i].payload)})
				}
			}()
			runtime.Gosched()
		}
		p.expect(want...)
		if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
			rt.Fatal(err)
		}
		p.expectEnd()
	})
	soon(t, "no request in flight", func() bool { return r.metric("meridian_in_flight") == 0 })
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// Several ready answers leave in one write.
func TestReadyAnswersLeaveTogether(t *testing.T) {
	d := newDesk(100)
	r := newRig(t, Options{Handler: HandlerFunc(d.handle)})
	ln := newPipeListener()
	conn := &countingConn{}
	if err := r.server.add(mustCheck(t, ListenerConfig{Name: "nac", Framing: testFraming}), ln); err != nil {
		t.Fatal(err)
	}
	r.serve()
	client, host := net.Pipe()
	conn.Conn = host
	ln.conns <- conn
	p := newPeer(t, client)

	const n = 30
	var requests []request
	for i := range n {
		p.send(numbered(i))
		requests = append(requests, d.take(t))
	}
	for i := n - 1; i >= 0; i-- { // the head last
		requests[i].answer(Answer{Payload: []byte(requests[i].payload)})
	}
	for i := range n {
		p.expect(numbered(i))
	}
	if got := conn.writes.Load(); got != 1 {
		t.Errorf("%d writes for %d ready answers, want 1", got, n)
	}
	_ = client.Close()
}

// A second answer to the same message is ignored, counted, and takes nobody
// else's place.
func TestSecondAnswerIsIgnored(t *testing.T) {
	d := newDesk(10)
	r, addr := start(t, d.handle)
	p := dial(t, addr)
	p.send("first", "second")
	first, second := d.take(t), d.take(t)
	first.answer(Answer{Payload: []byte("answer 1")})
	first.answer(Answer{Payload: []byte("answer 1 again"), Done: func(bool) { t.Error("Done of an ignored answer") }})
	second.answer(Answer{Payload: []byte("answer 2")})
	first.answer(Answer{Close: CloseByHandler})
	p.expect("answer 1", "answer 2")
	if got := r.metric("meridian_answers_ignored_total"); got != 2 {
		t.Errorf("meridian_answers_ignored_total = %v, want 2", got)
	}
	p.send("third")
	d.take(t).answer(Answer{Payload: []byte("answer 3")})
	p.expect("answer 3")
}

// 20,000 requests pipelined behind a handler that does not answer: the reader
// stops at its bound and nothing grows. Then everything is answered in shuffled
// order and arrives in order.
func TestTwentyThousandPipelined(t *testing.T) {
	const total, bound = 20_000, 64
	d := newDesk(total)
	before := runtime.NumGoroutine()
	r, addr := start(t, d.handle, func(c *ListenerConfig) { c.MaxInFlight = bound })
	p := dial(t, addr)
	sent := make(chan error, 1)
	go func() {
		for i := range total {
			if _, err := p.conn.Write(p.frames(numbered(i))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()

	soon(t, "the reader waits for a place", func() bool {
		return r.metric("meridian_reader_waits_total", "bound", "connection") > 0
	})
	if got := len(d); got != bound {
		t.Errorf("%d requests at the handler, want %d", got, bound)
	}
	if got := r.metric("meridian_in_flight"); got != bound {
		t.Errorf("meridian_in_flight = %v, want %d", got, bound)
	}
	// Serve, accept, the session, the sender of this test and a writer.
	const most = 6
	if got := runtime.NumGoroutine() - before; got > most {
		t.Errorf("%d goroutines for one connection, want at most %d", got, most)
	}

	received := make(chan struct{})
	go func() {
		defer close(received)
		for i := range total {
			if got := p.receive(); got != numbered(i) {
				t.Errorf("answer %d is %q", i, got)
				return
			}
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	for answered, peak := 0, 0; answered < total; {
		batch := []request{d.take(t)}
		for len(d) > 0 {
			batch = append(batch, d.take(t))
		}
		if len(batch) > bound {
			t.Fatalf("%d requests in flight, bound %d", len(batch), bound)
		}
		random.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		for _, q := range batch {
			q.answer(Answer{Payload: []byte(q.payload)})
		}
		answered += len(batch)
		if now := runtime.NumGoroutine() - before; now > peak {
			if peak = now; peak > most+2 {
				t.Fatalf("%d goroutines for one connection", peak)
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	<-received
}

// The bound over all connections holds readers back, lets them go in turn, and
// is given up by the handler's answer: a peer that does not read cannot keep it.
func TestTotalBound(t *testing.T) {
	const bound = 8
	d := newDesk(1000)
	r := newRig(t, Options{Handler: HandlerFunc(d.handle), MaxInFlight: bound})
	addr := r.listen()
	r.serve()
	const peers, each = 6, 5
	var all []*peer
	for range peers {
		p := dial(t, addr)
		all = append(all, p)
		for i := range each {
			p.send(numbered(i))
		}
	}
	soon(t, "every other reader waits", func() bool {
		return r.metric("meridian_reader_waits_total", "bound", "total") >= peers-bound/each-1 &&
			len(r.server.inFlight) == bound
	})
	if got := len(d); got > bound {
		t.Errorf("%d requests at the handler, bound %d", got, bound)
	}
	for range peers * each {
		if got := len(r.server.inFlight); got > bound {
			t.Fatalf("%d in flight, bound %d", got, bound)
		}
		q := d.take(t)
		q.answer(Answer{Payload: []byte(q.payload)})
	}
	for _, p := range all {
		for i := range each {
			p.expect(numbered(i))
		}
	}
	soon(t, "nothing in flight", func() bool { return r.metric("meridian_in_flight") == 0 })
}
