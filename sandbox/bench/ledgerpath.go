//go:build unix

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// ledgerPath is the switch in this process, without sockets: units of work.
type ledgerPath struct {
	sw           *switching.Switch
	lanes, other *pgxpool.Pool
}

const (
	// underWay requests keep the lanes busy with batches as they come.
	underWay    = 256
	lockTimeout = time.Second
	// neverVerify: it is the host's business.
	neverVerify = -1
)

func startLedgerPath(ctx context.Context, url string, now func() time.Time) (*ledgerPath, error) {
	p := &ledgerPath{}
	var err error
	o := postgres.Options{Role: migrations.ServiceRole, MaxConnections: 6, LockTimeout: lockTimeout, ApplicationName: "meridian bench"}
	if p.other, err = postgres.Open(ctx, url, o); err != nil {
		return nil, fmt.Errorf("ledger path: %w", err)
	}
	o.MaxConnections, o.PointLookups = switching.DefaultLanes(), true
	if p.lanes, err = postgres.Open(ctx, url, o); err != nil {
		p.other.Close()
		return nil, fmt.Errorf("ledger path: %w", err)
	}
	p.sw, err = switching.Start(ctx, switching.Options{
		Pool: p.other, LanePool: p.lanes, Logger: slog.New(slog.DiscardHandler), Now: now, Registerer: prometheus.NewRegistry(), VerifyEvery: neverVerify,
	})
	if err != nil {
		p.other.Close()
		p.lanes.Close()
		return nil, fmt.Errorf("ledger path: %w", err)
	}
	return p, nil
}

func (p *ledgerPath) stop(ctx context.Context) error {
	err := p.sw.Shutdown(ctx)
	p.lanes.Close()
	p.other.Close()
	if err != nil {
		return fmt.Errorf("ledger path: %w", err)
	}
	return nil
}

// run submits sales for the given time and waits for the last answer.
func (p *ledgerPath) run(w *world, each time.Duration) (outcome, error) {
	started := time.Now()
	until := started.Add(each)
	sent, err := p.sell(w, func(int) bool { return time.Now().Before(until) }, func(int, card.PAN, switching.Response) {})
	return outcome{messages: sent, elapsed: time.Since(started)}, err
}

// sell submits sales while more says so, hands each answer to told with the
// terminal's place and the card, and waits for the last one.
func (p *ledgerPath) sell(w *world, more func(sent int) bool, told func(terminal int, pan card.PAN, answer switching.Response)) (sent int, err error) {
	var (
		waiting  sync.WaitGroup
		places   = make(chan struct{}, underWay)
		declined atomic.Int64
		r        = rand.New(rand.NewPCG(1, 2))
	)
	for ; more(sent); sent++ {
		place := sent % len(w.terminals)
		t := w.terminals[place]
		pan := w.cards[r.IntN(len(w.cards))]
		request := &switching.Request{
			Kind: switching.KindSale, MID: t.mid, TID: t.tid, Dialect: "nac", STAN: t.nextSTAN(),
			AmountMinor: amountMinor, HasAmount: true, Currency: money.CNY, PAN: pan, Token: w.vault.Token(pan), Expiry: expiry,
		}
		places <- struct{}{}
		waiting.Add(1)
		p.sw.Submit(request, func(answer switching.Response) {
			if !answer.Approved() {
				declined.Add(1)
			}
			told(place, pan, answer)
			<-places
			waiting.Done()
		})
	}
	waiting.Wait()
	if n := declined.Load(); n > 0 {
		return sent, fmt.Errorf("ledger path: %w: %d of %d", errDeclined, n, sent)
	}
	return sent, nil
}
