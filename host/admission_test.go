package host

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Every limit refuses the connection over it, says so once, gives the place back
// when a connection ends, and leaves the listener alone.
func TestConnectionLimits(t *testing.T) {
	const limit = 3
	for _, c := range []struct {
		reason  CloseReason
		options Options
		change  func(*ListenerConfig)
	}{
		{RefusedTotal, Options{MaxConnections: limit}, func(*ListenerConfig) {}},
		{RefusedListener, Options{}, func(c *ListenerConfig) { c.MaxConnections = limit }},
		{RefusedAddress, Options{}, func(c *ListenerConfig) { c.MaxConnectionsPerAddress = limit }},
	} {
		t.Run(string(c.reason), func(t *testing.T) {
			c.options.Handler = HandlerFunc(echo)
			r := newRig(t, c.options)
			addr := r.listen(c.change)
			r.serve()

			var open []*peer
			for range limit {
				p := dial(t, addr)
				p.send("hello")
				p.expect("hello")
				open = append(open, p)
			}
			const refused = 20
			for range refused {
				dial(t, addr).expectGone()
			}
			if got := r.metric("meridian_refusals_total", "listener", "nac", "reason", string(c.reason)); got != refused {
				t.Errorf("meridian_refusals_total = %v, want %d", got, refused)
			}
			if got := r.metric("meridian_connections"); got != limit {
				t.Errorf("meridian_connections = %v, want %d", got, limit)
			}
			lines := r.log.count(func(l map[string]any) bool {
				return l["msg"] == "connection refused" && l["reason"] == string(c.reason)
			})
			if lines == 0 || lines == refused {
				t.Errorf("%d log lines for %d refusals: want a few", lines, refused)
			}
			open[0].send("the others live on")
			open[0].expect("the others live on")

			_ = open[1].conn.Close()
			r.closedWith(ClosePeer)
			soon(t, "the place is free", func() bool { return r.metric("meridian_connections") == limit-1 })
			p := dial(t, addr)
			p.send("hello")
			p.expect("hello")
		})
	}
}

func TestAllowList(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	allowing := func(name string, prefixes ...string) string {
		return r.listen(func(c *ListenerConfig) {
			c.Name = name
			for _, p := range prefixes {
				c.Allow = append(c.Allow, netip.MustParsePrefix(p))
			}
		})
	}
	in := allowing("in", "10.0.0.0/8", "127.0.0.0/8")
	mapped := allowing("mapped", "::ffff:127.0.0.0/104")
	out := allowing("out", "10.0.0.0/8", "::/0")
	r.serve()

	for _, addr := range []string{in, mapped} {
		p := dial(t, addr)
		p.send("hello")
		p.expect("hello")
	}
	dial(t, out).expectGone()
	dial(t, out).expectGone()
	if got := r.metric("meridian_refusals_total", "listener", "out", "reason", string(RefusedAllowList)); got != 2 {
		t.Errorf("meridian_refusals_total = %v, want 2", got)
	}
	if got := r.metric("meridian_connections", "listener", "out"); got != 0 {
		t.Errorf("meridian_connections = %v for a listener nobody may use", got)
	}
}

func TestAddressKey(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	} {
		a, b := addressKey(netip.MustParseAddr(c.a)), addressKey(netip.MustParseAddr(c.b))
		if (a == b) != c.same {
			t.Errorf("%s counts as %s, %s as %s", c.a, a, c.b, b)
		}
	}
	if got := addressKey(netip.Addr{}); got.IsValid() {
		t.Errorf("an unknown peer counts as %s", got)
	}
}

// The per-address book holds nothing for peers that have left.
func TestAddressBookForgets(t *testing.T) {
	a := &admission{maxTotal: 10}
	g := newGate(ListenerConfig{MaxConnectionsPerAddress: 1})
	for i := range 1000 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if reason := a.admit(g, addr); reason != "" {
			t.Fatalf("refused: %s", reason)
		}
		if reason := a.admit(g, addr); reason != RefusedAddress {
			t.Fatalf("second connection: %q", reason)
		}
		a.leave(g, addr)
	}
	if len(g.perKey) != 0 || g.connections != 0 || a.total != 0 {
		t.Errorf("left behind: %d addresses, %d and %d connections", len(g.perKey), g.connections, a.total)
	}
}

func TestSampler(t *testing.T) {
	s := newSampler[CloseReason](time.Second)
	at := time.Unix(0, 0)
	for _, step := range []struct {
		after      time.Duration
		reason     CloseReason
		log        bool
		suppressed int
	}{
		{0, RefusedTotal, true, 0},
		{0, RefusedTotal, false, 0},
		{0, RefusedAddress, true, 0}, // reasons do not hide each other
		{time.Second - 1, RefusedTotal, false, 0},
		{1, RefusedTotal, true, 2},
		{time.Second, RefusedTotal, true, 0},
	} {
		at = at.Add(step.after)
		log, suppressed := s.take(step.reason, at)
		if log != step.log || suppressed != step.suppressed {
			t.Errorf("at %s %s: %v, %d; want %v, %d", at.Sub(time.Unix(0, 0)), step.reason, log, suppressed, step.log, step.suppressed)
		}
	}
}

func TestListenRefusesBadConfiguration(t *testing.T) {
	good := ListenerConfig{Name: "nac", Address: "127.0.0.1:0"}
	for name, change := range map[string]func(*ListenerConfig){
		"no name":           func(c *ListenerConfig) { c.Name = "" },
		"negative limit":    func(c *ListenerConfig) { c.MaxConnections = -1 },
		"negative timeout":  func(c *ListenerConfig) { c.IdleTimeout = -time.Second },
		"no such address":   func(c *ListenerConfig) { c.Address = "nowhere" },
		"invalid allowance": func(c *ListenerConfig) { c.Allow = []netip.Prefix{{}} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Handler: HandlerFunc(echo)})
			c := good
			change(&c)
			if _, err := r.server.Listen(c); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("twice the same name", func(t *testing.T) {
		r := newRig(t, Options{Handler: HandlerFunc(echo)})
		r.listen()
		if _, err := r.server.Listen(good); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no handler", func(t *testing.T) {
		r := newRig(t, Options{})
		if _, err := r.server.Listen(good); err == nil {
			t.Error("no error")
		}
	})
	t.Run("address in use", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		r := newRig(t, Options{Handler: HandlerFunc(echo)})
		c := good
		c.Address = taken.Addr().String()
		if _, err := r.server.Listen(c); err == nil {
			t.Error("no error")
		}
	})
	t.Run("after shutdown", func(t *testing.T) {
		r := newRig(t, Options{Handler: HandlerFunc(echo)})
		if err := r.server.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.server.Listen(good); err == nil {
			t.Error("no error")
		}
	})
}
