package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/host/wire"
	"meridian/sandbox"
)

// What people who watch cost the host: its processor time under the same paced load,
// in turns within one run: nobody, viewers who read, viewers who have stopped. What
// they cost is bounded for each second, whatever passes, so the paced load shows a
// larger share than a host at its limit would. `make console-watching` runs it.
func TestWatchingCosts(t *testing.T) {
	text := os.Getenv("MERIDIAN_TEST_WATCHING")
	if text == "" {
		t.Skip("MERIDIAN_TEST_WATCHING is not set: make console-watching measures what 50 viewers cost")
	}
	rounds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	host := start(t, "sandbox", "--ephemeral", "--data-dir", dir, "--nac", "127.0.0.1:0", "--ascii", "127.0.0.1:0", "--unionpay", "127.0.0.1:0",
		"--console", "127.0.0.1:0", "--ops", "127.0.0.1:0")
	var m *sandbox.Manifest
	for end := time.Now().Add(2 * time.Minute); m == nil; <-time.After(100 * time.Millisecond) {
		if m, err = sandbox.ReadManifest(dir); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	for i, terminal := range nacTerminals(m) {
		loading.Go(func() { sell(ctx, t, m, terminal, i) })
	}
	const viewers = 50
	cases := []struct {
		name string
		see  func(context.Context, *sync.WaitGroup)
	}{
		{"nobody", func(context.Context, *sync.WaitGroup) {}},
		{"50 viewers", func(ctx context.Context, w *sync.WaitGroup) {
			for range viewers {
				w.Go(func() { watch(ctx, t, m.Addresses.Console) })
			}
		}},
		{"50 viewers who have stopped reading", func(ctx context.Context, w *sync.WaitGroup) {
			for range viewers {
				w.Go(func() { stare(ctx, t, m.Addresses.Console) })
			}
		}},
	}
	costs := make([][]float64, len(cases))
	for range rounds {
		for i, c := range cases {
			watching, leave := context.WithCancel(ctx)
			var w sync.WaitGroup
			c.see(watching, &w)
			<-time.After(time.Second) // until they are there
			begun := time.Now()
			cpu, answers := hostCosts(t, m)
			<-time.After(5 * time.Second)
			cpuAfter, answersAfter := hostCosts(t, m)
			costs[i] = append(costs[i], (cpuAfter-cpu)/time.Since(begun).Seconds()*1000)
			t.Logf("%-36s %6.1f ms of the host's processor time each second, with %.0f messages", c.name, costs[i][len(costs[i])-1], answersAfter-answers)
			leave()
			w.Wait()
		}
	}
	stop()
	loading.Wait()
	median := func(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }
	for i, c := range cases {
		t.Logf("%-36s %6.1f ms each second: %+.1f ms, %+.2f %% of one processor", c.name, median(costs[i]), median(costs[i])-median(costs[0]),
			(median(costs[i])-median(costs[0]))/10)
	}
	host.signal(os.Interrupt)
	host.wait()
}

func nacTerminals(m *sandbox.Manifest) (list []sandbox.Terminal) {
	for _, merchant := range m.Merchants[:1] {
		for _, terminal := range merchant.Terminals {
			if terminal.Dialect == "nac" && terminal.MAC == "none" {
				for range 24 {
					list = append(list, terminal)
				}
			}
		}
	}
	return list
}

// pace is between two sales of one connection: some 500 a second of all.
const pace = 45 * time.Millisecond

// sell asks for a sale at each tick until ctx ends.
func sell(ctx context.Context, t *testing.T, m *sandbox.Manifest, terminal sandbox.Terminal, place int) {
	t.Helper()
	conn, err := net.Dial("tcp", m.Addresses.NAC)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	card := m.Cards[slices.IndexFunc(m.Cards, func(c sandbox.Card) bool { return c.Behaviour == "high" && c.Currency == m.Merchants[0].Currency })]
	in := bufio.NewReader(conn)
	framing := wire.Framing{TPDU: true}
	const each = 40_000
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 1; n < each; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		q := wire.NewMessage("0200")
		for field, value := range map[int]string{
			3: "000000", 4: "000000000001", 11: fmt.Sprintf("%06d", place*each+n), 22: "022", 24: "001", 25: "00", 35: card.Track2,
			41: terminal.TID, 42: m.Merchants[0].MID, 49: "156",
		} {
			q.Set(field, value)
		}
		payload, err := wire.NAC().Pack(q)
		var frame []byte
		if err == nil {
			frame, err = framing.AppendFrame(nil, wire.Frame{TPDU: wire.TPDU{0x60, 0, 1, 0, 0}, Payload: payload})
		}
		if err == nil {
			_, err = conn.Write(frame)
		}
		if err == nil {
			_, err = framing.ReadFrame(in, nil)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// watch reads the live messages until ctx ends.
func watch(ctx context.Context, t *testing.T, console string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, console+"/messages/stream", nil)
	if err != nil {
		t.Error(err)
		return
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
}

// stare asks for the live messages and reads nothing, again and again: who is
// dropped comes back, as browsers do.
func stare(ctx context.Context, t *testing.T, console string) {
	t.Helper()
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(console, "http://"))
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		_, _ = fmt.Fprintf(conn, "GET /messages/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
		_ = conn.Close()
	}
}

// hostCosts are the host process's processor seconds and its answers so far.
func hostCosts(t *testing.T, m *sandbox.Manifest) (cpu, answers float64) {
	t.Helper()
	response, err := http.Get(m.Addresses.Ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		number, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "process_cpu_seconds_total":
			cpu = number
		case strings.HasPrefix(name, "meridian_answers_total{"):
			answers += number
		}
	}
	return cpu, answers
}
