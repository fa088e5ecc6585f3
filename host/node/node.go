package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/host"
	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/internal/postgres"
	"meridian/internal/vault"
	"meridian/migrations"
	"meridian/switch"
)

// Listener is an address and the dialect spoken on it.
type Listener struct {
	host.ListenerConfig

	// Dialect: nac, ascii or unionpay.
	Dialect string
	// Spec replaces the dialect's own message spec; nil keeps it.
	Spec *wire.Spec
	// DeclineUnknownReversal answers 25 to the reversal of an unknown original;
	// the default is 00, as advice-style hosts do. Of unionpay its profile says it.
	DeclineUnknownReversal bool
	// Profile and AcquirerID of unionpay, see [dialect.Options]; empty takes the
	// defaults.
	Profile    string
	AcquirerID string
}

// Config of a node.
type Config struct {
	DatabaseURL string
	// MaxDatabaseConnections bounds the pool; 0 takes lanes and housekeeping.
	MaxDatabaseConnections int
	ConnectTimeout         time.Duration
	// Vault opens the database's data keys, which tokens are made with.
	Vault *vault.Vault
	// Module makes the security module that has the keys of terminals; nil is a
	// host without MACs, sessions and PINs.
	Module    func(keys *vault.DataKeys) (hsm.Module, error)
	Listeners []Listener
	// OpsAddress serves metrics and health; empty serves none.
	OpsAddress string
	PProf      bool
	// OpsHandlers serve more paths there: what only a sandbox has.
	OpsHandlers map[string]http.Handler
	// MaxInFlight and MaxConnections over all listeners; 0 takes the defaults.
	MaxInFlight    int
	MaxConnections int
	// Admission is how much is taken from whom; rates that are zero are no limit.
	Admission host.AdmissionLimits
	// Switch carries the bounds of lanes and timeouts; the rest is set here.
	Switch switching.Options
	// DrainTimeout is how long requests in flight may take to finish at a shutdown; 0 takes
	// 20 s, below the 30 s that orchestrators commonly grant. What is written down after
	// that (sums, audit rows) has bounds of its own.
	DrainTimeout time.Duration
	// Tap shows messages to people; nil shows none.
	Tap *host.Tap
	// Witness hears of every answer; nil for nobody.
	Witness func(host.Answered)
	// Scenarios that a sandbox has and a production host has not; nil is none.
	Scenarios host.Scenarios
	Logger    *slog.Logger
	// Now is the business clock; nil is the real one.
	Now     func() time.Time
	Version string
}

// Node is a running host.
type Node struct {
	cfg       Config
	log       *slog.Logger
	pool      *pgxpool.Pool
	lanePool  *pgxpool.Pool
	sw        *switching.Switch
	server    *host.Server
	ops       *ops
	auditor   *switching.Auditor
	endAudit  context.CancelFunc
	endWatch  func() // of probe and sentry, which hands its last rows to the auditor
	probe     *probe
	draining  atomic.Bool
	registry  *prometheus.Registry
	addresses map[string]string
	serving   chan error
}

// lockTimeout is how long a unit of work waits for a row: a cutover holds its
// window for less, and a request's own deadline is longer.
const lockTimeout = time.Second

// ErrUnreachable: the database cannot be reached.
var ErrUnreachable = errors.New("database cannot be reached")

// ErrSchema: the database's schema is not this version's.
var ErrSchema = errors.New("database schema does not fit")

// Start connects, checks the schema, starts the switch and listens. Run serves.
func Start(ctx context.Context, cfg Config) (_ *Node, err error) {
	n := &Node{cfg: cfg, log: cfg.Logger, addresses: map[string]string{}, serving: make(chan error, 1)}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.cfg.Now == nil {
		n.cfg.Now = time.Now
	}
	if n.cfg.DrainTimeout == 0 {
		n.cfg.DrainTimeout = 20 * time.Second
	}
	defer func() {
		if err != nil {
			n.abandon()
		}
	}()
	if err := n.connect(ctx); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	n.registry = registry
	registerRuntime(registry)
	registerBuild(registry, cfg.Version)
	registry.MustRegister(newPools(n.lanePool, n.pool))
	n.probe = newProbe(registry, n.pool, &n.draining)
	if err := n.start(ctx, registry); err != nil {
		return nil, err
	}
	if cfg.OpsAddress != "" {
		if n.ops, err = startOps(ctx, cfg, registry, n.probe.ready, n.log); err != nil {
			return nil, err
		}
		n.addresses["ops"] = n.ops.addr
	}
	return n, nil
}

func (n *Node) connect(ctx context.Context) error {
	lanes := n.cfg.Switch.Lanes
	if lanes == 0 {
		lanes = switching.DefaultLanes()
	}
	beside := 6 // the audit log, housekeeping, verification, sign-on, health, and one spare
	if most := n.cfg.MaxDatabaseConnections; most > 0 {
		lanes = max(min(lanes, most-2), 1) // a machine of many processors would have more lanes than that
		beside = max(most-lanes, 2)
	}
	n.cfg.Switch.Lanes = lanes
	o := postgres.Options{
		Role: migrations.ServiceRole, MaxConnections: beside, ConnectTimeout: n.cfg.ConnectTimeout,
		LockTimeout: lockTimeout, ApplicationName: "meridian",
	}
	var err error
	if n.pool, err = postgres.Open(ctx, n.cfg.DatabaseURL, o); err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	o.MaxConnections, o.PointLookups, o.ApplicationName = lanes, true, "meridian lanes"
	if n.lanePool, err = postgres.Open(ctx, n.cfg.DatabaseURL, o); err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	if err := n.pool.Ping(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return n.checkSchema(ctx)
}

// checkSchema refuses a database that this binary's statements do not fit. A
// newer schema is fine: migrations expand before they contract.
func (n *Node) checkSchema(ctx context.Context) error {
	want, err := migrations.Newest()
	if err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	have, err := migrations.Version(ctx, n.pool)
	if err != nil {
		return fmt.Errorf("%w: no Meridian schema in it: run meridian migrate (%w)", ErrSchema, err)
	}
	if have < want {
		return fmt.Errorf("%w: version %d, this binary needs %d: run meridian migrate", ErrSchema, have, want)
	}
	return nil
}

func (n *Node) start(ctx context.Context, registry *prometheus.Registry) (err error) {
	o := n.cfg.Switch
	o.Pool, o.LanePool, o.Logger, o.Now, o.Registerer = n.pool, n.lanePool, n.log, n.cfg.Now, registry
	dataKeys, err := vault.OpenDataKeys(ctx, n.cfg.Vault, switching.DataKeyRows{DB: n.pool})
	if err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	if n.cfg.Module != nil {
		if o.Module, err = n.cfg.Module(dataKeys); err != nil {
			return fmt.Errorf("start node: %w", err)
		}
	}
	if n.sw, err = switching.Start(ctx, o); err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	auditing, endAudit := context.WithCancel(context.WithoutCancel(ctx))
	n.endAudit = endAudit
	n.auditor = switching.NewAuditor(auditing, n.pool, n.log, registry)

	var listeners []string
	for i := range n.cfg.Listeners {
		listeners = append(listeners, n.cfg.Listeners[i].Name)
	}
	sentry := host.NewSentry(host.SentryOptions{
		Limits: n.cfg.Admission, Listeners: listeners, Recorder: n.auditor, Locks: n.sw, Logger: n.log, Registerer: registry,
		Now: n.cfg.Now, Real: time.Now,
	})
	sentry.ReadLocks(ctx)
	watching, stopWatch := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	watchers.Go(func() { sentry.Run(watching) })
	watchers.Go(func() { n.probe.run(watching) })
	n.endWatch = func() { stopWatch(); watchers.Wait() }

	dialects := map[string]dialect.Dialect{}
	for _, l := range n.cfg.Listeners {
		d, err := dialect.New(l.Dialect, dialect.Options{
			Spec: l.Spec, Token: dataKeys.Token,
			ApproveUnknownReversal: !l.DeclineUnknownReversal && l.Dialect != wire.NameUnionPay,
			Profile:                l.Profile, AcquirerID: l.AcquirerID, DecryptTrack: n.sw.DecryptTrack,
		})
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		dialects[l.Name] = d
	}
	n.server = host.NewServer(host.Options{
		Handler: host.NewPipeline(host.PipelineOptions{
			Switch: n.sw, Dialects: dialects, Guard: sentry, Tap: n.cfg.Tap, Witness: n.cfg.Witness, Scenarios: n.cfg.Scenarios,
			Logger: n.log, Registerer: registry,
		}),
		Logger: n.log, Metrics: host.NewMetrics(registry),
		MaxInFlight: n.cfg.MaxInFlight, MaxConnections: n.cfg.MaxConnections,
	})
	for _, l := range n.cfg.Listeners {
		addr, err := n.server.Listen(l.ListenerConfig)
		if err != nil {
			return fmt.Errorf("start node: %w", err)
		}
		n.addresses[l.Name] = addr.String()
	}
	return nil
}

// Addresses that the node listens on, by listener name, and "ops".
func (n *Node) Addresses() map[string]string { return n.addresses }

// Metrics of the node, as its ops address shows them.
func (n *Node) Metrics() prometheus.Gatherer { return n.registry }

// Switch of the node.
func (n *Node) Switch() *switching.Switch { return n.sw }

// Run serves until ctx ends, then drains. It returns nil after a clean drain.
func (n *Node) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() { n.serving <- n.server.Serve(serving) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-n.serving:
		if err == nil {
			err = errors.New("the server ended by itself")
		}
	}
	return errors.Join(err, n.Shutdown())
}

// Shutdown drains: connections, then lanes, then what they stand on.
func (n *Node) Shutdown() error {
	n.log.Info("draining")
	n.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.DrainTimeout)
	defer cancel()
	var errs []error
	if err := n.server.Shutdown(ctx); err != nil {
		errs = append(errs, fmt.Errorf("drain connections: %w", err))
	}
	if err := n.sw.Shutdown(ctx); err != nil {
		errs = append(errs, err)
	}
	n.endWatch()
	n.endAudit()
	n.auditor.Wait()
	if n.ops != nil {
		n.ops.close()
	}
	n.lanePool.Close()
	n.pool.Close()
	n.log.Info("stopped")
	return errors.Join(errs...)
}

// abandon undoes what a failed Start has begun.
func (n *Node) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if n.server != nil {
		_ = n.server.Shutdown(ctx)
	}
	if n.sw != nil {
		_ = n.sw.Shutdown(ctx)
	}
	if n.endWatch != nil {
		n.endWatch()
	}
	if n.endAudit != nil {
		n.endAudit()
		n.auditor.Wait()
	}
	for _, pool := range []*pgxpool.Pool{n.lanePool, n.pool} {
		if pool != nil {
			pool.Close()
		}
	}
}
