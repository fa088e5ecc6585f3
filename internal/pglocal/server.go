//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DatabaseName is the database that [Server.URL] names, made at the first start.
const DatabaseName = "meridian"

// Server is a running Postgres of ours, or one that was stopped and can be
// restarted. Its methods may be called from any goroutine.
type Server struct {
	options  Options
	logger   *slog.Logger
	binaries Binaries
	place    *place
	password string
	port     int

	// mu makes Stop, Kill, Restart and Destroy one after the other.
	mu        sync.Mutex
	run       *process // the current or last run; never nil after Start
	destroyed bool
}

// Start starts the server of a data directory, making what is missing, and
// returns when it accepts connections. It fails with an [InUseError] when a live
// process already runs one there.
//
// A ctx that ends aborts the start, not the server.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}

	logger := o.logger()

	p, err := settle(ctx, o.DataDir, logger)
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}

	s := &Server{options: o, logger: logger, place: p}

	if err := s.prepare(ctx); err != nil {
		p.release()
		return nil, fmt.Errorf("start Postgres: %w", err)
	}

	if err := s.launchAnywhere(ctx); err != nil {
		p.release()
		return nil, fmt.Errorf("start Postgres: %w", err)
	}

	return s, nil
}

// prepare brings the place into the state in which only the server is missing.
func (s *Server) prepare(ctx context.Context) error {
	exists, err := s.place.occupied()
	if err != nil {
		return err
	}

	if err := s.place.removeUnfinished(ctx); err != nil {
		return err
	}

	major := anyMajor

	if exists {
		if err := stopLeftover(ctx, s.place.cluster, s.logger); err != nil {
			return err
		}

		if major, err = s.place.version(); err != nil {
			return err
		}
	}

	s.binaries, err = s.finder().find(ctx, major)
	if err != nil && exists {
		return fmt.Errorf("the Postgres cluster %s was made by Postgres %d: %w", s.place.cluster, major, err)
	}

	if err != nil {
		return err
	}

	s.password, err = s.place.password(exists)
	if err != nil {
		return err
	}

	if exists {
		return s.place.ownCluster()
	}

	return s.place.initdb(ctx, s.binaries, s.password, s.options.FastUnsafe, s.logger)
}

// finder looks where the options say. Without a home there is no cache
// directory; then downloads stay with the data.
func (s *Server) finder() finder {
	cacheDir := s.options.CacheDir
	if _, err := os.UserCacheDir(); err != nil && cacheDir == "" && os.Geteuid() != 0 {
		cacheDir = s.place.file("binaries")
	}

	return systemFinder(s.place.runner, cacheDir, s.logger)
}

// bindAttempts bounds how often a port is chosen again because another program
// was quicker.
const bindAttempts = 5

// launchAnywhere starts the server on the remembered port, or on another one
// when that is taken.
func (s *Server) launchAnywhere(ctx context.Context) error {
	port, err := s.place.choosePort(ctx)
	if err != nil {
		return err
	}

	for range bindAttempts {
		s.port = port

		err = s.launch(ctx)

		var start *startError
		if err == nil || !errors.As(err, &start) || !start.portTaken() {
			return err
		}

		if port, err = s.place.changePort(ctx); err != nil {
			return err
		}
	}

	return err
}

// startError is a server that ended, or did not come up in time, with what it said.
type startError struct {
	reason error
	output string
	log    string // where the rest is
}

func (e *startError) Error() string {
	if e.output == "" {
		return fmt.Sprintf("%v (log: %s)", e.reason, e.log)
	}

	return fmt.Sprintf("%v; it said:\n%s\n(log: %s)", e.reason, e.output, e.log)
}

func (e *startError) Unwrap() error { return e.reason }

func (e *startError) portTaken() bool { return strings.Contains(e.output, "could not bind") }

// orphaned: the postmaster of an earlier run died alone and its children are
// about to notice.
func (e *startError) orphaned() bool {
	return strings.Contains(e.output, "pre-existing shared memory block")
}

const (
	// orphanTimeout is how long the children of a postmaster that died alone may
	// take to end; they notice at once unless they are in a long computation.
	orphanTimeout = 20 * time.Second
	orphanPoll    = 100 * time.Millisecond
)

// launch configures and starts the server on s.port and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	if err := s.place.configure(s.options, s.port); err != nil {
		return err
	}

	patience := time.NewTimer(orphanTimeout)
	defer patience.Stop()

	for {
		err := s.launchOnce(ctx)

		var start *startError
		if err == nil || !errors.As(err, &start) || !start.orphaned() {
			return err
		}

		select {
		case <-ctx.Done():
			return err
		case <-patience.C:
			return err
		case <-time.After(orphanPoll):
		}
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	began := time.Now()

	run, err := launch(s.binaries, s.place)
	if err != nil {
		return err
	}

	if err := s.awaitReady(ctx, run); err != nil {
		endErr := run.end() // first: its last words belong to the error

		return errors.Join(&startError{reason: err, output: run.output.last(), log: s.place.file("log")}, endErr)
	}

	s.run = run
	s.logger.Info("Postgres is ready", "version", s.binaries.Version, "port", s.port, "pid", run.pid,
		"cluster", s.place.cluster, "seconds", time.Since(began).Seconds())

	return nil
}

// URL is the address of the database [DatabaseName] as the superuser. It holds
// the password.
func (s *Server) URL() string { return s.AdminURL(DatabaseName) }

// AdminURL is the address of any database as the superuser. It holds the
// password.
func (s *Server) AdminURL(database string) string {
	return serverURL(s.port, s.password, database)
}

func serverURL(port int, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable", // the loopback interface, and the cluster has no certificate
	}

	return u.String()
}

// PID is the process id of the current or last postmaster.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.run.pid
}

// Dir is the directory of the cluster, which is not always inside the data
// directory (see [Server.Destroy]).
func (s *Server) Dir() string { return s.place.cluster }

// Binaries is the installation that runs.
func (s *Server) Binaries() Binaries { return s.binaries }

// Done is closed when the current run ends without Stop or Kill having been
// asked for. Every run has its own channel: ask again after Restart.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.run.failed
}

// Stop shuts the server down, waits until it is gone and gives the data
// directory free. Sessions are ended, transactions in progress rolled back. When
// ctx ends first the server is ended without a checkpoint, which loses nothing,
// and the error says so. Stopping a stopped server does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	err := s.run.stop(ctx)
	s.place.release()

	return err
}

// Kill ends all of the server's processes with SIGKILL and waits until they are
// gone. The data directory stays ours.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.run.kill()
}

// Restart starts the server again after Stop, Kill or an end of its own, with the
// same data on the same port: its URL is known to others. A server that runs is
// an error.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if err := s.restart(ctx); err != nil {
		return fmt.Errorf("restart Postgres: %w", err)
	}

	return nil
}

func (s *Server) restart(ctx context.Context) error {
	switch {
	case s.destroyed:
		return errors.New("it was destroyed")
	case s.run.alive():
		return fmt.Errorf("it is running (process %d)", s.run.pid)
	}

	// The children of a postmaster that was killed alone end a moment after it.
	select {
	case <-s.run.gone:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(orphanTimeout):
		return errors.New("processes of the run before are still there")
	}

	// After Stop the lock was given back; somebody else may have it by now. A lock
	// that was kept over a Kill is kept over a failure too.
	if len(s.place.locks) == 0 {
		p, err := settle(ctx, s.place.dataDir, s.logger)
		if err != nil {
			return err
		}

		s.place = p

		if err := s.relaunch(ctx); err != nil {
			p.release()
			return err
		}

		return nil
	}

	return s.relaunch(ctx)
}

func (s *Server) relaunch(ctx context.Context) error {
	if err := stopLeftover(ctx, s.place.cluster, s.logger); err != nil {
		return err
	}

	return s.launch(ctx)
}

// Destroy stops the server and removes it: the cluster, wherever it lives, and
// every file of this package in the data directory. The data directory itself
// stays.
func (s *Server) Destroy(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.destroyed {
		return nil
	}

	if len(s.place.locks) == 0 {
		p, err := settle(ctx, s.place.dataDir, s.logger)
		if err != nil {
			return fmt.Errorf("destroy Postgres: %w", err)
		}

		s.place = p
	}
	defer s.place.release()

	// What is about to be removed needs no checkpoint.
	if err := s.run.end(); err != nil {
		return fmt.Errorf("destroy Postgres: %w", err)
	}

	s.destroyed = true

	if err := s.place.remove(ctx); err != nil {
		return fmt.Errorf("destroy Postgres: %w", err)
	}

	return nil
}

// Remove removes what [Start] made in a data directory whose server is not
// running, wherever the cluster lives; a server without an owner is stopped
// first. It fails with an [InUseError] when the server has an owner. A data
// directory that is not there is no error.
func Remove(ctx context.Context, dataDir string) error {
	if _, err := os.Stat(dataDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	p, err := settle(ctx, dataDir, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("remove Postgres: %w", err)
	}
	defer p.release()

	if err := stopLeftover(ctx, p.cluster, slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Errorf("remove Postgres: %w", err)
	}

	if err := p.remove(ctx); err != nil {
		return fmt.Errorf("remove Postgres: %w", err)
	}

	return nil
}

// remove removes everything that this package keeps, the lock last.
func (p *place) remove(ctx context.Context) error {
	releaseSharedMemory(filepath.Join(p.cluster, "postmaster.pid"))

	errs := []error{p.removeUnfinished(ctx), os.RemoveAll(p.cluster)}

	if p.elsewhere() {
		base := filepath.Dir(p.cluster)
		errs = append(errs, os.RemoveAll(p.cluster+".orphan"), os.RemoveAll(filepath.Join(base, "postgres.lock")))

		// Only what is empty by now: the path comes out of a file.
		_ = os.Remove(base)
		_ = os.Remove(filepath.Dir(base))
	}

	for _, suffix := range []string{"binaries", "location", "log", "log.1", "password", "port", "lock"} {
		errs = append(errs, os.RemoveAll(p.file(suffix)))
	}

	return errors.Join(errs...)
}
