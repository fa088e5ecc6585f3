package switching_test

import (
	"bytes"
	"cmp"
	"io"
	stdnet "net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/switch"
)

// losing forwards to the database, and can lose the answer to a COMMIT.
type losing struct {
	lose atomic.Bool // the next COMMIT's answer
	down atomic.Bool // nothing comes through
	lost chan struct{}
	once sync.Once
	// trips are round trips: how often the database has said that it is ready for more.
	trips atomic.Int64
}

// readyForQuery is what the database ends every answer with, but for its state.
var readyForQuery = []byte("Z\x00\x00\x00\x05")

func lossy(t *testing.T, raw string) (*losing, string) {
	t.Helper()
	ln, through, dial := inFrontOf(t, raw)
	p := &losing{lost: make(chan struct{})}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if p.down.Load() {
				c.Close()
				continue
			}
			s, err := dial()
			if err != nil {
				c.Close()
				continue
			}
			go func() { io.Copy(s, c); s.Close() }()
			go func() {
				defer c.Close()
				defer s.Close()
				buf := make([]byte, 1<<16)
				for {
					n, err := s.Read(buf)
					if err != nil {
						return
					}
					if p.down.Load() {
						return // of connections that were there before, too
					}
					p.trips.Add(int64(bytes.Count(buf[:n], readyForQuery)))
					if p.lose.Load() && bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
						p.lose.Store(false)
						p.down.Store(true)
						p.once.Do(func() { close(p.lost) })
						return
					}
					if _, err := c.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return p, through
}

// inFrontOf a database is a listener, the URL that leads through it, and the way from there.
func inFrontOf(t testing.TB, raw string) (ln stdnet.Listener, through string, dial func() (stdnet.Conn, error)) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	network, target, q := "tcp", u.Host, u.Query()
	if h := q.Get("host"); h != "" {
		network, target = "unix", h+"/.s.PGSQL."+cmp.Or(q.Get("port"), "5432")
	}
	ln, err = stdnet.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	q.Del("host")
	q.Del("port")
	u.RawQuery, u.Host = q.Encode(), ln.Addr().String()
	return ln, u.String(), func() (stdnet.Conn, error) { return stdnet.Dial(network, target) }
}

// recovered returns when the switch's lane has settled what was in doubt: it
// takes nothing else before.
func (w *world) recovered(sw *switching.Switch) {
	w.t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; {
		r, err := askOf(w.t.Context(), sw, w.request(switching.KindBalance, 0, withCard(9), at(shop, till2)))
		w.must(err)
		if r.Approved() {
			return
		}
		if time.Now().After(limit) {
			w.t.Fatalf("still answered %s after the outage", r.Reason)
		}
	}
}

// What shows a sale in an upload is not the sale: in doubt it is left alone.
func TestDoubtfulUpload(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.do(switching.BatchOutOfBalance, w.settlement(0, net1(1, 10_00)))
	told, _, _ := w.doubt(func(w *world, _ *switching.Switch) *switching.Request { return w.upload(sale, stan(sale.STAN)) })
	if told.Reason != switching.SystemMalfunction {
		t.Fatalf("told %s", told.Reason)
	}
	w.wantAvailable(30_00)
	w.verify()
}

func net1(n int32, minor int64) *switching.StatedTotals {
	return &switching.StatedTotals{Form: switching.TotalsNet, SaleCount: n, SaleMinor: minor}
}
