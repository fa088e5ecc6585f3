//go:build unix

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/pglocal"
	"meridian/internal/postgres"
	"meridian/internal/vault"
	"meridian/migrations"
)

// Names of measurements.
const (
	nameTPCB   = "TPC-B"
	nameOneRow = "one-row commits, 1 client"
	nameOne1   = "one approval per transaction, 1 client"
	nameOne8   = "one approval per transaction, 8 clients"
	namePath   = "ledger path in process"
	nameOpen   = "sales at half load"
	nameBeside = "mix beside idle connections"
	nameKilled = "killed under load"
)

func nameSales(n int) string { return fmt.Sprintf("sales, %d connections", n) }

func nameMix(n int) string { return fmt.Sprintf("mix, %d connections", n) }

func nameEcho(n int) string { return fmt.Sprintf("echo without database, %d connections", n) }

func nameUnionPay(n int) string { return fmt.Sprintf("UnionPay sales, %d connections", n) }

// serverSettings are those of a small server, not of a test: nothing that a
// crash would lose is waited for less.
var serverSettings = map[string]string{
	"shared_buffers": "1GB",
	"max_wal_size":   "8GB",
	"min_wal_size":   strconv.Itoa(usedLogMiB) + "MB",
	// Pages that backends write are not left to the kernel to write by the hundred megabytes.
	"backend_flush_after": "256kB",
	"max_connections":     "100",
	"track_io_timing":     "off",
}

// run is one run under way.
type run struct {
	o      *Options
	server *pglocal.Server
	pool   *pgxpool.Pool
	world  *world
	host   *served
	master []byte
	pg     *pgbench
	path   *ledgerPath

	names   []string // in the order of the first round
	samples map[string]*samples
}

// samples of one measurement, one of each round.
type samples struct {
	rates, p50, p99, p999, host, generator, postgres, wal, fsyncs, allocations []float64
}

// Run measures and reports. What it starts it ends, also when ctx does.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	r := &run{o: &o, samples: map[string]*samples{}, master: make([]byte, vault.MasterKeyBytes)}
	_, _ = rand.Read(r.master) // never fails: crypto/rand
	defer func() { err = errors.Join(err, r.end()) }()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	for round := 1; round <= o.Rounds; round++ {
		o.sayf("round %d of %d", round, o.Rounds)
		if err := r.round(ctx); err != nil {
			return nil, err
		}
	}
	idle, err := r.idle(ctx)
	if err != nil {
		return nil, err
	}
	report = r.report(idle)
	if r.o.wants(nameKilled) {
		if report.Killed, err = r.killed(ctx); err != nil {
			return report, err
		}
	}
	host := r.host
	r.host = nil
	if err := host.stop(); err != nil {
		return report, err
	}
	if err := r.verify(ctx); err != nil {
		return report, err
	}
	report.Verified = true
	return report, nil
}

// begin starts and seeds everything.
func (r *run) begin(ctx context.Context) (err error) {
	r.o.sayf("starting Postgres and loading %d merchants and %d cards", r.o.Merchants, r.o.Cards)
	r.server, err = pglocal.Start(ctx, pglocal.Options{
		DataDir: filepath.Join(r.o.Directory, "database"), Settings: serverSettings, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if _, err := migrations.Up(ctx, r.server.URL()); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	key, err := vault.NewMasterKey(r.master)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	v, err := vault.Open(key)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if r.pool, err = postgres.Open(ctx, r.server.URL(), postgres.Options{MaxConnections: 2, ApplicationName: "meridian bench seeds"}); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	// The host under test has the real clock.
	before := time.Now().AddDate(0, 0, -1)
	if r.world, err = seed(ctx, r.pool, v, r.o, before); err != nil {
		return err
	}
	if err := r.world.yesterday(ctx, r.server.URL(), before, r.o.Stored); err != nil {
		return err
	}
	r.pool.Close() // a database that is copied must have nobody in it
	if r.pg, err = newPgbench(ctx, r.server, r.o.Directory, r.o.Each, r.o.wants(nameTPCB)); err != nil {
		return err
	}
	if r.o.wants(nameOneRow) || r.o.wants(nameOne1) || r.o.wants(nameOne8) { // a copy of everything that is stored
		if err := r.pg.prepareSingle(ctx, r.server); err != nil {
			return err
		}
	}
	if r.pool, err = postgres.Open(ctx, r.server.URL(), postgres.Options{MaxConnections: 2, ApplicationName: "meridian bench"}); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if r.host, err = serve(ctx, r.o, r.server.URL(), r.master); err != nil {
		return err
	}
	if r.path, err = startLedgerPath(ctx, r.server.URL(), time.Now); err != nil {
		return err
	}
	if err := closed(ctx, r.pool); err != nil || r.o.Each < smoke {
		return err
	}
	if err := r.useLog(ctx); err != nil {
		return err
	}
	return r.verified(ctx)
}

// end stops what runs, the last started first.
func (r *run) end() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	if r.path != nil {
		errs = append(errs, r.path.stop(ctx))
	}
	if r.host != nil {
		errs = append(errs, r.host.stop())
	}
	if r.pool != nil {
		r.pool.Close()
	}
	if r.server != nil {
		errs = append(errs, r.server.Destroy(ctx))
	}
	return errors.Join(errs...)
}

// round measures everything once.
func (r *run) round(ctx context.Context) error {
	if err := r.yardsticks(ctx); err != nil {
		return err
	}
	if r.o.wants(namePath) {
		if _, err := r.measured(ctx, namePath, func() (outcome, error) { return r.path.run(r.world, r.o.Each) }); err != nil {
			return err
		}
	}
	var most float64
	for _, n := range r.o.Connections {
		o, err := r.tcp(ctx, nameSales(n), stage{connections: n, step: sell})
		if err != nil {
			return err
		}
		most = max(most, o.perSecond())
	}
	for _, n := range r.o.Connections {
		if _, err := r.tcp(ctx, nameUnionPay(n), stage{connections: n, step: sell, unionPay: true}); err != nil {
			return err
		}
	}
	n := r.o.many()
	if _, err := r.tcp(ctx, nameMix(n), stage{connections: n, step: mixed}); err != nil {
		return err
	}
	// Half of the most, from as many terminals as can wait for their answers.
	if most > 0 {
		every := time.Duration(float64(n) / (most / 2) * float64(time.Second))
		if _, err := r.tcp(ctx, nameOpen, stage{connections: n, step: sell, every: every}); err != nil {
			return err
		}
	}
	n = min(64, n)
	_, err := r.tcp(ctx, nameEcho(n), stage{connections: n, step: echo})
	return err
}

// yardsticks are what Postgres does without a host.
func (r *run) yardsticks(ctx context.Context) error {
	day := time.Now().UTC().Format(time.DateOnly) // partitions are there for the real date
	for _, y := range []struct {
		name string
		rate func() (tps, transactions float64, err error)
	}{
		{nameTPCB, func() (float64, float64, error) { return r.pg.tpcb(ctx) }},
		{nameOneRow, func() (float64, float64, error) { return r.pg.oneRow(ctx) }},
		{nameOne1, func() (float64, float64, error) { return r.pg.oneAtATime(ctx, r.o, 1, day) }},
		{nameOne8, func() (float64, float64, error) { return r.pg.oneAtATime(ctx, r.o, 8, day) }},
	} {
		if !r.o.wants(y.name) {
			continue
		}
		before, wal, err := r.spentByPostgres(ctx)
		if err != nil {
			return err
		}
		tps, transactions, err := y.rate()
		if err != nil {
			return fmt.Errorf("%s: %w", y.name, err)
		}
		after, written, err := r.spentByPostgres(ctx)
		if err != nil {
			return err
		}
		n := max(transactions, 1)
		s := r.note(y.name, tps)
		s.postgres, s.wal = append(s.postgres, (after-before).Seconds()/n*1000), append(s.wal, (written-wal)/n)
		r.o.sayf("  %s: %.0f/s", y.name, tps)
	}
	return nil
}

// spentByPostgres is its processor time and the bytes of its log.
func (r *run) spentByPostgres(ctx context.Context) (processor time.Duration, wal float64, err error) {
	var fsyncs float64
	if err := r.pool.QueryRow(ctx, walSQL).Scan(&wal, &fsyncs); err != nil {
		return 0, 0, fmt.Errorf("read Postgres's counts: %w", err)
	}
	return processorTime(processes(), r.server.PID()), wal, nil
}

// tcp plays a stage against the host.
func (r *run) tcp(ctx context.Context, name string, s stage) (outcome, error) {
	if !r.o.wants(name) {
		return outcome{elapsed: 1}, nil
	}
	address := r.host.nac
	if s.unionPay {
		address = r.host.pos
	}
	return r.measured(ctx, name, func() (outcome, error) { return r.world.run(ctx, address, s, r.o.Each) })
}

// note keeps a rate that something else has measured.
func (r *run) note(name string, rate float64) *samples {
	s := r.samples[name]
	if s == nil {
		s = &samples{}
		r.samples[name] = s
		r.names = append(r.names, name)
	}
	s.rates = append(s.rates, rate)
	return s
}

// costs at one moment.
type costs struct {
	all         map[int]process
	wal, fsyncs float64
	allocations float64
}

// measured runs a measurement and notes what it cost.
func (r *run) measured(ctx context.Context, name string, measure func() (outcome, error)) (outcome, error) {
	before, err := r.costs(ctx)
	if err != nil {
		return outcome{}, err
	}
	o, err := measure()
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", name, err)
	}
	after, err := r.costs(ctx)
	if err != nil {
		return outcome{}, err
	}
	s := r.note(name, o.perSecond())
	n := float64(max(o.messages, 1))
	spent := func(pid int) float64 {
		return (processorTime(after.all, pid) - processorTime(before.all, pid)).Seconds() / n * 1000
	}
	postgres := spent(r.server.PID())
	host := spent(r.host.pid())
	// Postgres and the host are children of this process.
	own := (after.all[os.Getpid()].own - before.all[os.Getpid()].own).Seconds() / n * 1000
	s.postgres = append(s.postgres, postgres)
	if name == namePath {
		s.host = append(s.host, own) // the switch and what submits to it are one process
	} else {
		s.host, s.generator = append(s.host, host), append(s.generator, own)
		s.allocations = append(s.allocations, (after.allocations-before.allocations)/n)
	}
	s.wal, s.fsyncs = append(s.wal, (after.wal-before.wal)/n), append(s.fsyncs, (after.fsyncs-before.fsyncs)/n)
	if len(o.latency) > 0 {
		s.p50 = append(s.p50, o.latency.at(0.5).Seconds())
		s.p99 = append(s.p99, o.latency.at(0.99).Seconds())
		s.p999 = append(s.p999, o.latency.at(0.999).Seconds())
	}
	r.o.sayf("  %s: %.0f/s", name, o.perSecond())
	return o, nil
}

const walSQL = `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8, wal_sync::float8 FROM pg_stat_wal`

func (r *run) costs(ctx context.Context) (c costs, err error) {
	if err := r.pool.QueryRow(ctx, walSQL).Scan(&c.wal, &c.fsyncs); err != nil {
		return c, fmt.Errorf("read Postgres's counts: %w", err)
	}
	if c.allocations, err = r.host.metric(ctx, "go_memstats_mallocs_total"); err != nil {
		return c, err
	}
	c.all = processes()
	return c, nil
}

// verify asks the program itself.
func (r *run) verify(ctx context.Context) error {
	r.o.sayf("verifying the ledger")
	out, err := exec.CommandContext(ctx, r.o.Program, "ledger", "verify", "--database-url", r.server.URL()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the ledger is not sound: %w: %s", err, out)
	}
	return nil
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("prepare Postgres: %w", err)
	}
	return nil
}
