//go:build unix

package deploy

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/pglocal"
)

// breakage of a host that a Prometheus watches.
type breakage struct {
	lab        *lab
	server     *pglocal.Server
	prometheus *prometheusServer
	patience   time.Duration
	// ends of alerts are awaited, too.
	ends bool
}

// everythingAtOnce: money that nobody moved, an audit log that was tampered with,
// dates that cannot close, and a flood of wrong MACs.
func (b *breakage) everythingAtOnce(t *testing.T) {
	t.Helper()
	b.changeRow(t, `UPDATE card_accounts SET balance_minor = balance_minor + 1 WHERE card_id = (SELECT min(card_id) FROM card_accounts)`)

	release := b.lockCutovers(t)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	var advancing sync.WaitGroup
	defer advancing.Wait()
	defer cancel()
	advancing.Go(func() { b.lab.advance(ctx, 25*time.Hour) })

	calm := b.flood(t)
	defer calm()
	b.changeRow(t, `UPDATE audit_log SET detail = detail || '.' WHERE audit_id = (SELECT min(audit_id) FROM audit_log)`)
	b.prometheus.await(t, b.patience, "MeridianMACFailureStorm", "MeridianTerminalsLocked", "MeridianLedgerImbalance",
		"MeridianLedgerFindings", "MeridianAuditChainBroken", "MeridianDayUnsettled")
	if b.ends {
		release()
		b.prometheus.awaitEnd(t, b.patience, "MeridianDayUnsettled")
	}
}

// postgres goes away while customers pay, and comes back.
func (b *breakage) postgres(t *testing.T, alerts ...string) {
	t.Helper()
	stop := b.sell(t)
	defer stop()
	if err := b.server.Kill(); err != nil {
		t.Fatal(err)
	}
	b.prometheus.await(t, b.patience, alerts...)
	if err := b.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.ends {
		b.prometheus.awaitEnd(t, b.patience, alerts[0])
	}
}

func (b *breakage) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// changeRow by hand, as soon as it is there.
func (b *breakage) changeRow(t *testing.T, sql string) {
	t.Helper()
	conn := b.connect(t)
	defer func() { _ = conn.Close(context.Background()) }()
	for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		tag, err := conn.Exec(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if tag.RowsAffected() == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", sql, tag)
		}
	}
}

// lockCutovers as a forgotten session would.
func (b *breakage) lockCutovers(t *testing.T) (release func()) {
	t.Helper()
	conn := b.connect(t)
	if _, err := conn.Exec(t.Context(), `BEGIN; LOCK TABLE cutovers IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = conn.Close(context.Background()) })
}

// flood the host with wrong MACs until it calms down.
func (b *breakage) flood(t *testing.T) (calm func()) {
	t.Helper()
	liar := b.lab.till(0, "x919")
	return keepOn(func() {
		// Most are not answered: a flood is refused a few times a second, and counted.
		if _, err := liar.line.Send(liar.purchase("0200", "000000", "approve", 1_00)); err != nil {
			t.Error(err)
		}
	})
}

// sell whatever becomes of it.
func (b *breakage) sell(t *testing.T) (stop func()) {
	t.Helper()
	var stops []func()
	for i := range 8 {
		seller := b.lab.till(0, "none")
		seller.stan = 500_000 + i*10_000
		stops = append(stops, keepOn(func() { _, _ = seller.ask(seller.purchase("0200", "000000", "approve", 1_00)) }))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// keepOn doing something, fifty times a second at most, until it is stopped.
func keepOn(do func()) (stop func()) {
	done := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		next := time.NewTicker(20 * time.Millisecond)
		defer next.Stop()
		for {
			do()
			select {
			case <-done:
				return
			case <-next.C:
			}
		}
	})
	return sync.OnceFunc(func() { close(done); busy.Wait() })
}
