//go:build unix

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/console"
	"meridian/console/certification"
	"meridian/host"
	"meridian/host/node"
	"meridian/host/wire"
	"meridian/internal/config"
	"meridian/internal/hsm"
	"meridian/internal/vault"
	"meridian/migrations"
	"meridian/sandbox/scenario"
	"meridian/switch"
)

// stopTimeout bounds each step of stopping after the drain. Postgres needs a
// checkpoint, which takes seconds on a slow disk.
const stopTimeout = time.Minute

// Sandbox is a host with all it stands on. [Sandbox.Run] serves, and ends it.
type Sandbox struct {
	options  Options
	logger   *slog.Logger
	home     *home
	clock    *Clock
	control  *clockControl
	database *database
	vault    *vault.Vault
	node     *node.Node
	tap      *host.Tap
	witness  *certification.Witness
	books    atomic.Pointer[pgxpool.Pool] // the console's connections, once they are open
	switched atomic.Pointer[switching.Switch]
	// scenarios is what this host has and no production host.
	scenarios *scenario.Engine
	console   *console.Server
	manifest  Manifest

	// undo gives back what was taken, the last first.
	undo []func(context.Context) error
}

// Start brings everything up and returns when sandbox.json is in place. The
// addresses listen by then; messages are answered as soon as [Sandbox.Run] is
// called. When it fails, everything that it began has been stopped.
//
// Errors: [AddressError], [InUseError], [UnreachableError], [ErrProduction],
// [ErrOtherRows]; others are failures of the machine.
func Start(ctx context.Context, o Options) (_ *Sandbox, err error) {
	o.setDefaults()
	s := &Sandbox{options: o, logger: o.Logger}
	if err := o.checkAddresses(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.unwind())
		}
	}()
	for _, step := range []func(context.Context) error{s.settle, s.openDatabase, s.prepare, s.startNode, s.startConsole, s.publish} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// settle takes the data directory, or a temporary one. From here on no other
// program finds an old sandbox.json.
func (s *Sandbox) settle(ctx context.Context) (err error) {
	if s.options.Ephemeral {
		removeAbandoned(ctx, s.logger)
	}
	if s.options.DataDir == "" {
		s.home, err = claimTemporary()
	} else {
		s.home, err = claim(s.options.DataDir)
	}
	if err != nil {
		return err
	}
	s.undo = append(s.undo, s.leave)
	if err := s.home.withdraw(); err != nil {
		return err
	}
	return s.openClock()
}

// openClock takes the clock up where the data directory left it. An ephemeral
// sandbox has one of its own, as it has a database of its own.
func (s *Sandbox) openClock() (err error) {
	dir := s.home.dir
	if s.options.Ephemeral {
		dir = ""
	}
	if s.clock, err = OpenClock(dir, s.options.Now); err != nil {
		return err
	}
	s.clock.give = s.home.give
	if r := s.clock.Read(); r.Frozen || !r.Now.Equal(r.Real) {
		s.logger.Warn("the clock is not the real one: meridian clock real sets it right", "now", r.Now, "real", r.Real, "frozen", r.Frozen)
	}
	return nil
}

func (s *Sandbox) leave(context.Context) error {
	if s.options.Ephemeral {
		return s.home.remove()
	}
	return s.home.release()
}

func (s *Sandbox) openDatabase(ctx context.Context) (err error) {
	switch {
	case s.options.DatabaseURL != "" && s.options.Ephemeral:
		s.database, err = openBeside(ctx, s.options.DatabaseURL, s.logger)
	case s.options.DatabaseURL != "":
		s.database, err = openGiven(ctx, s.options.DatabaseURL)
	default:
		var dir string
		if dir, err = s.clusterDirectory(); err != nil {
			return err
		}
		s.database, err = openPrivate(ctx, dir, s.options.Ephemeral, s.logger)
	}
	if err != nil {
		return err
	}
	s.undo = append(s.undo, s.database.close)
	return nil
}

// clusterDirectory is where the private Postgres lives. An ephemeral one gets a
// directory of its own even where a data directory is named: the cluster that
// may be in that one is kept.
func (s *Sandbox) clusterDirectory() (string, error) {
	if !s.options.Ephemeral || s.options.DataDir == "" {
		return s.home.dir, nil
	}
	temporary, err := claimTemporary()
	if err != nil {
		return "", err
	}
	s.undo = append(s.undo, func(context.Context) error { return temporary.remove() })
	return temporary.dir, nil
}

// prepare brings schema and seeds into the database.
func (s *Sandbox) prepare(ctx context.Context) error {
	if err := s.guard(ctx); err != nil {
		return err
	}
	version, err := migrations.Up(ctx, s.database.url)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if s.vault, err = vault.Open(vault.SandboxMasterKey()); err != nil {
		return fmt.Errorf("open the vault: %w", err)
	}
	conn, err := connect(ctx, s.database.url)
	if err != nil {
		return err
	}
	changed, err := seed(ctx, conn, s.vault, s.clock.Now())
	if err == nil {
		err = describe(ctx, conn, &s.manifest)
	}
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	s.logger.Info("database is ready", "schema_version", version, "seeds_changed", changed)
	return nil
}

func (s *Sandbox) guard(ctx context.Context) error {
	conn, err := connect(ctx, s.database.url)
	if err != nil {
		return err
	}
	return errors.Join(guard(ctx, conn), conn.Close(ctx))
}

// Names of the listeners, which are the names of their dialects.
const (
	listenerNAC      = "nac"
	listenerASCII    = "ascii"
	listenerUnionPay = "unionpay"
	addressOps       = "ops"
)

func (s *Sandbox) startNode(ctx context.Context) error {
	// The addresses listen before there is a switch to catch up.
	var started atomic.Pointer[node.Node]
	s.control = &clockControl{clock: s.clock, catch: func(ctx context.Context) error {
		n := started.Load()
		if n == nil {
			return errors.New("the sandbox is still starting")
		}
		return s.catchUp(ctx, n.Switch())
	}, cutoff: s.nextCutoff, record: s.recordMove}
	s.tap = host.NewTap()
	if err := s.startWitness(); err != nil {
		return err
	}
	cards, err := scenarioCardNumbers()
	if err != nil {
		return err
	}
	s.scenarios = scenario.New(scenario.Options{Cards: cards, After: s.options.after, Known: func(tid string) bool {
		n := started.Load()
		return n != nil && n.Switch().Terminal(tid) != nil
	}})
	s.node, err = node.Start(ctx, node.Config{
		DatabaseURL: s.database.url,
		// The server is on this machine, and may have just been started.
		ConnectTimeout: 10 * time.Second,
		Vault:          s.vault,
		Module:         func(keys *vault.DataKeys) (hsm.Module, error) { return hsm.NewSoftware(s.vault, keys), nil },
		Switch: switching.Options{
			FixedWorkingKeys: workingKeys(hsm.NewSoftware(s.vault, s.vault.FirstDataKeys())),
			VerifyEvery:      s.options.VerifyEvery,
			StoreTimeout:     s.options.StoreTimeout,
			AnswerTimeout:    2 * s.options.StoreTimeout,
		},
		Listeners: []node.Listener{
			{
				Dialect: listenerNAC,
				ListenerConfig: host.ListenerConfig{
					Name: listenerNAC, Address: s.options.NAC,
					Framing: wire.Framing{Length: wire.LengthBinary, TPDU: true},
				},
			},
			{
				Dialect: listenerASCII,
				ListenerConfig: host.ListenerConfig{
					Name: listenerASCII, Address: s.options.ASCII,
					Framing: wire.Framing{Length: wire.LengthBinary},
				},
			},
			{
				Dialect: listenerUnionPay,
				ListenerConfig: host.ListenerConfig{
					Name: listenerUnionPay, Address: s.options.UnionPay,
					Framing: wire.Framing{Length: wire.LengthBinary, Header: true},
				},
			},
		},
		OpsAddress:  s.options.Ops,
		OpsHandlers: map[string]http.Handler{ClockPath: s.control, CertificationPath: http.HandlerFunc(s.certify), ScenarioPath: &scenarioControl{s.scenarios}},
		Admission:   admission(),
		Tap:         s.tap,
		Witness:     s.witness.See,
		Scenarios:   s.scenarios,
		Logger:      s.logger,
		Now:         s.clock.Now,
		Version:     s.options.Version,
	})
	if err != nil {
		return s.options.nameAddress(err)
	}
	started.Store(s.node)
	s.switched.Store(s.node.Switch())
	s.undo = append(s.undo, func(context.Context) error { return s.shutDownNode() })
	return nil
}

// startConsole opens the console to everybody on this machine.
func (s *Sandbox) startConsole(ctx context.Context) error {
	pool, err := console.OpenPool(ctx, s.database.url)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func(context.Context) error { pool.Close(); return nil })
	s.books.Store(pool)
	pages, err := console.New(console.Options{
		Pool: pool, Directory: s.node.Switch().Directory, Metrics: s.node.Metrics(), Tap: s.tap, Documents: s.options.Documents, Now: s.clock.Now, Clock: "sandbox",
		Stories: &stories{sandbox: s, pool: pool}, Witness: s.witness, MovableClock: movableClock{s.control}, TestTerminals: s.home.dir,
		Scenarios: scenarioPage{s.scenarios},
		Open:      true, Who: "sandbox console", Version: s.options.Version, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func(context.Context) error { pages.Close(); return nil })
	if s.console, err = console.Listen(ctx, console.ServerOptions{Address: s.options.Console, Handler: pages, Logger: s.logger}); err != nil {
		return s.options.nameAddress(err)
	}
	s.undo = append(s.undo, func(context.Context) error { s.console.Close(); return nil })
	return nil
}

// admission lets anybody send as much as the machine takes: whoever tries out a
// load is welcome. Strangers are answered, and terminals locked, as in production.
func admission() host.AdmissionLimits {
	production := config.Default().Admission
	return host.AdmissionLimits{
		Refusals:      host.Rate{PerSecond: float64(production.RefusalRate), Burst: production.RefusalBurst},
		RefusalsTotal: host.Rate{PerSecond: float64(production.TotalRefusalRate), Burst: production.TotalRefusalRate},
		LockAfter:     production.LockAfter, LockWithin: production.LockWithin, LockFor: production.LockFor,
	}
}

// shutDownNode ends a node that never ran, or has not ended yet.
func (s *Sandbox) shutDownNode() error {
	if s.node == nil {
		return nil
	}
	n := s.node
	s.node = nil
	return n.Shutdown()
}

// publish tells the world.
func (s *Sandbox) publish(context.Context) error {
	addresses := s.node.Addresses()
	s.manifest.Ready = true
	s.manifest.Addresses = Addresses{
		NAC: addresses[listenerNAC], ASCII: addresses[listenerASCII], UnionPay: addresses[listenerUnionPay],
		Console: "http://" + s.console.Address(), Ops: "http://" + addresses[addressOps],
	}
	s.manifest.DatabaseURL = s.database.url
	if err := s.home.publish(&s.manifest); err != nil {
		return err
	}
	s.undo = append(s.undo, func(context.Context) error { return s.home.withdraw() })
	return nil
}

// Manifest is what sandbox.json says.
func (s *Sandbox) Manifest() *Manifest { return &s.manifest }

// DataDir is the directory that sandbox.json is in.
func (s *Sandbox) DataDir() string { return s.home.dir }

// ManifestPath is sandbox.json.
func (s *Sandbox) ManifestPath() string { return s.home.path(ManifestName) }

// Run serves until ctx ends, then withdraws sandbox.json, drains, stops
// Postgres and gives the data directory free. A private Postgres that ends by
// itself meanwhile is started again. Run may be called once.
func (s *Sandbox) Run(ctx context.Context) error {
	supervising, endSupervision := context.WithCancel(context.WithoutCancel(ctx))
	var supervision sync.WaitGroup
	if s.database.server != nil {
		supervision.Go(func() { supervise(supervising, s.database.server, s.logger) })
	}
	served := make(chan error, 1)
	running := s.node
	s.node = nil // it ends itself from here on
	go func() { served <- running.Run(ctx) }()
	var err error
	select {
	case err = <-served:
		err = errors.Join(err, s.home.withdraw())
	case <-ctx.Done():
		// First of all: who looks for a sandbox must not find one that leaves.
		err = errors.Join(s.home.withdraw(), <-served)
	}
	endSupervision()
	supervision.Wait()
	return errors.Join(err, s.unwind())
}

// Close ends a sandbox that was not run.
func (s *Sandbox) Close() error { return s.unwind() }

// unwind gives everything back, whatever the caller's context says.
func (s *Sandbox) unwind() error {
	var errs []error
	for _, undo := range slices.Backward(s.undo) {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		errs = append(errs, undo(ctx))
		cancel()
	}
	s.undo = nil
	return errors.Join(errs...)
}
