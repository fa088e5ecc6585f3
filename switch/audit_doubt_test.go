package switching_test

import (
	"bytes"
	"context"
	"io"
	stdnet "net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// losing forwards to the database, and can lose the answer to a COMMIT.
type losing struct {
	addr string
	lose atomic.Bool // the next COMMIT's answer
	down atomic.Bool // nothing comes through
	lost chan struct{}
	once sync.Once
}

func lossy(t *testing.T, raw string) (*losing, string) {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	network, target := "tcp", u.Host
	if h := u.Query().Get("host"); h != "" {
		network, target = "unix", h+"/.s.PGSQL."+u.Query().Get("port")
		if u.Query().Get("port") == "" {
			target = h + "/.s.PGSQL.5432"
		}
	}
	ln, err := stdnet.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
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
			s, err := stdnet.Dial(network, target)
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
	q := u.Query()
	q.Del("host")
	q.Del("port")
	u.RawQuery = q.Encode()
	u.Host = ln.Addr().String()
	return p, u.String()
}

func TestDoubtfulUpload(t *testing.T) {
	w := newWorld(t)
	t.Log(w.url)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	sale2 := w.request(switching.KindSale, 20_00)
	w.do(switching.Approved, sale2)
	w.do(switching.BatchOutOfBalance, w.settlement(0, net1(1, 10_00)))
	p, through := lossy(t, w.url)
	pool, err := postgres.Open(context.Background(), through, postgres.Options{Role: migrations.ServiceRole})
	w.must(err)
	sw, err := switching.Start(context.Background(), switching.Options{
		Pool: pool, Now: w.clock.Now, Refresh: time.Hour, Lanes: 1,
		StoreTimeout: 500 * time.Millisecond, AnswerTimeout: time.Second,
	})
	w.must(err)
	up := w.upload(sale, stan(sale.STAN))
	got := make(chan switching.Response, 1)
	p.lose.Store(true)
	sw.Submit(up, func(r switching.Response) { got <- r })
	r := <-got
	t.Logf("upload answered %s; card spent %d", r.Reason, opened-w.available(0))
	p.down.Store(false)
	time.Sleep(3 * time.Second)
	t.Logf("card spent after the outage %d (sales 30.00)", opened-w.available(0))
	rows, err := w.owner().Query(context.Background(), `SELECT kind, state, stan, amount_minor, captured_minor FROM transactions ORDER BY rrn`)
	w.must(err)
	for rows.Next() {
		var k, s int16
		var st int32
		var a, c int64
		w.must(rows.Scan(&k, &s, &st, &a, &c))
		t.Logf("kind %d state %d stan %d amount %d captured %d", k, s, st, a, c)
	}
	if w.available(0) != opened-30_00 {
		t.Errorf("the upload's host reversal reversed the sale")
	}
	for _, f := range w.findings() {
		t.Errorf("finding %s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = sw.Shutdown(stop)
	pool.Close()
}

func net1(n int32, minor int64) *switching.StatedTotals {
	return &switching.StatedTotals{Form: switching.TotalsNet, SaleCount: n, SaleMinor: minor}
}
