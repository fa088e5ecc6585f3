package node_test

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/host/node"
	"meridian/internal/pglocal/pgtest"
)

// TestFaultPostgresKilled kills the database in the middle of load, back at
// once and after a while, and goes on without a restart of the host.
func TestFaultPostgresKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		away time.Duration
	}{{"back at once", 0}, {"away", 6 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pgtest.Durable())
			h := w.start(hurried)
			crowd := w.terminals(h, crowdUnderFault+1, true)
			w.yesterday(crowd[:crowdUnderFault])
			witness := crowd[crowdUnderFault]
			b := w.open(crowd[:crowdUnderFault])
			b.goOn(300)
			w.must(w.server.Kill())
			witness.outage(c.away)
			w.must(w.server.Restart(t.Context()))
			w.pool.Reset()
			b.goOn(400)
			b.close()
			witness.close()
			h.wantSound()
			h.stop()
			w.wantSoundBooks()
		})
	}
}

// outage asks a host without its database: every request is answered, and none
// with an approval. Reversals are held back by their terminals.
func (t *terminal) outage(length time.Duration) {
	t.w.t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end); {
		sale := t.sale(0, 100)
		for _, m := range []*deal{sale, t.reversalOf(sale, 0), t.request("0100", "000000", 0, 100, nil)} {
			answer, err := t.once(0, m.request)
			if err != nil {
				t.w.t.Errorf("%s without the database: %v", m.request.MTI, err)
				return
			}
			if code := answer.Code(); code != "91" && code != "96" {
				t.w.t.Errorf("%s was answered %q without the database", m.request.MTI, code)
			}
		}
	}
}

// TestFaultPostgresHangs stops the database's processes under load: connections
// stand, and nothing comes.
func TestFaultPostgresHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.start(hurried)
	crowd := w.terminals(h, crowdUnderFault+1, true)
	b := w.open(crowd[:crowdUnderFault])
	b.goOn(300)
	wake := w.suspend()
	defer wake()
	// Longer than the longest answer, as a storage that hangs.
	crowd[crowdUnderFault].outage(answerTimeout + 2*time.Second)
	wake()
	b.goOn(300)
	b.close()
	crowd[crowdUnderFault].close()
	h.wantSound()
	h.stop()
	w.wantSoundBooks()
}

// suspend stops every process of the server; wake lets them go on.
func (w *world) suspend() (wake func()) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.url)
	w.must(err)
	postmaster := w.server.PID()
	w.must(syscall.Kill(postmaster, syscall.SIGSTOP)) // no new processes from here
	rows, err := conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()`)
	w.must(err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	w.must(err)
	w.must(conn.Close(ctx))
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // one may have ended meanwhile
	}
	return func() {
		for _, pid := range append(pids, postmaster) {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

// TestFaultDatabaseSlow: 50 ms each way, a few pipelines for each unit. Slower,
// and nothing else.
func TestFaultDatabaseSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newProxy(t, w.url)
	h := w.behind(p)
	crowd := w.terminals(h, crowdUnderFault, false)
	w.yesterday(crowd)
	p.delay(50 * time.Millisecond)
	parallel(t, posts(crowd), func(post post, rng *rand.Rand) { post.day(rng, post.line, times(5*soakFactor())) })
	h.wantSound()
	closeAll(crowd)
	h.stop()
	w.wantSoundBooks()
}

// TestFaultPoolExhausted: other users have taken every connection that the
// server has. Requests are answered in time, and approved again afterwards.
func TestFaultPoolExhausted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.Setting("max_connections", "20"))
	p := newProxy(t, w.url)
	h := w.start(hurried, func(c *node.Config) {
		c.DatabaseURL = p.url
		c.MaxDatabaseConnections = 2
	})
	crowd := w.terminals(h, crowdUnderFault+1, true)
	b := w.open(crowd[:crowdUnderFault])
	b.goOn(300)
	var others []*pgx.Conn
	p.refuse(true) // the host's own connections go, and others are quicker
	for {
		conn, err := pgx.Connect(t.Context(), w.url)
		if err != nil {
			break
		}
		others = append(others, conn)
	}
	p.refuse(false)
	crowd[crowdUnderFault].outage(storeTimeout + time.Second)
	for _, conn := range others {
		w.must(conn.Close(t.Context()))
	}
	b.goOn(300)
	b.close()
	crowd[crowdUnderFault].close()
	h.wantSound()
	h.stop()
	w.wantSoundBooks()
}
