//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// readyTimeout is for a server that replays its log after a crash: at most
	// max_wal_size, 1 GB by default, which takes well under this on a slow disk.
	readyTimeout = 2 * time.Minute

	// The first connections are tried in quick succession, since a server starts
	// in tens of milliseconds, later ones further apart.
	readyPollMin = 5 * time.Millisecond
	readyPollMax = 100 * time.Millisecond

	// passwordTimeout is how long a refused password is taken for another
	// server's, on whose port ours is about to fail.
	passwordTimeout = 2 * time.Second
)

// awaitReady waits until the server accepts a connection, and makes its database.
func (s *Server) awaitReady(ctx context.Context, run *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()

	// Whoever else has the port may never answer.
	trying, giveUp := context.WithCancel(ctx)
	defer giveUp()

	go func() {
		select {
		case <-run.ended:
			giveUp()
		case <-trying.Done():
		}
	}()

	var (
		began = time.Now()
		poll  = readyPollMin
		err   error
	)

	for {
		err = s.ensureDatabase(trying)
		if err == nil {
			return nil
		}

		if !run.alive() {
			return fmt.Errorf("the server ended while starting: %w", endOf(run))
		}

		if sqlState(err) == "28P01" && time.Since(began) > passwordTimeout {
			return fmt.Errorf("the server refuses the password in %s: %w", s.place.file("password"), err)
		}

		if !passing(sqlState(err)) {
			return fmt.Errorf("make the server usable: %w", err)
		}

		select {
		case <-run.ended:
		case <-ctx.Done():
			return fmt.Errorf("wait for the server to accept connections: %w (last: %w)", ctx.Err(), err)
		case <-time.After(poll):
		}

		poll = min(2*poll, readyPollMax)
	}
}

// passing reports whether an answer says "not yet" rather than "no". No answer at
// all is the most usual "not yet".
func passing(state string) bool {
	switch state {
	case "", // nobody listens yet
		"57P03",          // cannot_connect_now: starting or replaying
		"57P01", "57P02", // admin_shutdown, crash_shutdown: the end of the process tells
		"53300", // too_many_connections: clients that waited were quicker
		"28P01": // invalid_password: see passwordTimeout
		return true
	}

	return false
}

func endOf(run *process) error {
	if run.outcome == nil {
		return errors.New("exit status 0")
	}

	return run.outcome
}

func sqlState(err error) string {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return answer.Code
	}

	return ""
}

func (s *Server) ensureDatabase(ctx context.Context) error {
	// Named here, so that PGOPTIONS and the like in our environment do not count.
	conn, err := pgx.Connect(ctx, s.AdminURL("postgres")+"&options=&target_session_attrs=any")
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))

	var exists bool

	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DatabaseName).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for the database %s: %w", DatabaseName, err)
	}

	if exists {
		return nil
	}

	if _, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{DatabaseName}.Sanitize()); err != nil {
		return fmt.Errorf("create the database %s: %w", DatabaseName, err)
	}

	return nil
}
