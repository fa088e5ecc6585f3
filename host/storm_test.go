package host

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Peers that come, pipeline, break off in every way there is, and come again,
// while answers are given late by other goroutines. Afterwards nothing is left:
// no connection, no request in flight, no goroutine (TestMain), and every close
// has a reason.
func TestStorm(t *testing.T) {
	const peers, lives = 16, 12
	type job struct {
		payload string
		answer  func(Answer)
	}
	jobs := make(chan job, DefaultMaxInFlight)
	h := func(_ context.Context, m *Message, answer func(Answer)) {
		jobs <- job{string(m.Payload), answer}
	}
	r := newRig(t, Options{Handler: HandlerFunc(h), MaxInFlight: 64})
	addr := r.listen(func(c *ListenerConfig) {
		c.MaxInFlight = 8
		c.WriteTimeout = 200 * time.Millisecond
		c.ReadTimeout = 50 * time.Millisecond
	})
	r.serve()

	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for j := range jobs {
				if random.IntN(50) == 0 {
					j.answer(Answer{})
				} else {
					j.answer(Answer{Payload: []byte(j.payload)})
				}
			}
		})
	}

	var all sync.WaitGroup
	for i := range peers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for range lives {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				misbehave(t, conn.(*net.TCPConn), random)
			}
		})
	}
	all.Wait()
	// Some of them may not even be accepted yet.
	soon(t, "every connection is closed", func() bool {
		return r.metric("meridian_closes_total") == peers*lives && r.metric("meridian_connections") == 0
	})
	close(jobs)
	workers.Wait()
	if got := r.metric("meridian_in_flight"); got != 0 {
		t.Errorf("meridian_in_flight = %v, want 0", got)
	}
	if got := len(r.server.inFlight); got != 0 {
		t.Errorf("%d places of the total bound are lost", got)
	}
	accepted, closed := r.metric("meridian_connections_accepted_total"), r.metric("meridian_closes_total")
	if accepted != peers*lives || closed != accepted {
		t.Errorf("%v accepted, %v closed, want %d", accepted, closed, peers*lives)
	}
	if got := r.metric("meridian_handler_panics_total"); got != 0 {
		t.Errorf("%v panics:\n%s", got, r.log.text())
	}
}

// misbehave sends some requests and leaves in one of many ways.
func misbehave(t *testing.T, conn *net.TCPConn, random *rand.Rand) {
	t.Helper()
	defer conn.Close()
	p := &peer{t: t, conn: conn, framing: testFraming}
	_ = conn.SetDeadline(time.Now().Add(patience))
	reading := make(chan struct{})
	reads := random.IntN(3) > 0
	go func() {
		defer close(reading)
		if reads {
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	for i := range random.IntN(100) {
		if _, err := conn.Write(p.frames(numbered(i))); err != nil {
			break
		}
	}
	switch random.IntN(5) {
	case 0:
		_ = conn.SetLinger(0)
	case 1:
		_ = conn.CloseWrite()
		<-reading
	case 2:
		_, _ = conn.Write([]byte{0, 0})
		<-reading
	case 3:
		_, _ = conn.Write(p.frames("cut short")[:6])
		<-reading
	}
	_ = conn.Close()
	<-reading
}
