package main

import (
	"context"
	"errors"
	"os/user"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/sandbox"
)

// askClock reads the clock behind an ops address, or changes it.
func askClock(ctx context.Context, ops string, change sandbox.ClockChange) (*sandbox.ClockReading, error) {
	clock := control{sandbox.ClockPath, "the clock", "this host's clock cannot be moved: only a sandbox's can"}
	var asked any
	if change.Do != doNothing {
		change.By = whoAsks()
		asked = change
	}
	var reading sandbox.ClockReading
	if err := clock.ask(ctx, ops, asked, &reading); err != nil {
		return nil, err
	}
	return &reading, nil
}

// whoAsks is whose command line it is, for the audit log.
func whoAsks() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username + " at the command line"
	}
	return "the command line"
}

// businessTime is the instant that decides, and whose clock says so.
type businessTime struct {
	now   time.Time
	clock string // sandbox or real
	why   string // which one, for people
}

// clockOf returns the time by which a database's transactions are decided: the sandbox's own where the data directory's
// sandbox runs over this database, the real one otherwise.
func (d *databaseFlags) clockOf(ctx context.Context, pool *pgxpool.Pool) (*businessTime, error) {
	kind, err := installationKind(ctx, pool)
	if err != nil {
		return nil, databaseError(err)
	}
	if kind != kindSandbox {
		return &businessTime{time.Now(), "real", "the real clock"}, nil
	}
	running, err := sandbox.ReadManifest(d.dataDir)
	switch {
	case errors.Is(err, sandbox.ErrNotRunning):
		return &businessTime{time.Now(), "real", "the real clock, because no sandbox runs on " + d.dataDir}, nil
	case err != nil:
		return nil, withExit(exitConfiguration, err)
	case !sameDatabase(pool, running.DatabaseURL):
		return &businessTime{time.Now(), "real", "the real clock, because the sandbox on " + d.dataDir + " has another database"}, nil
	}
	reading, err := askClock(ctx, running.Addresses.Ops, sandbox.ClockChange{Do: doNothing})
	if err != nil {
		return nil, err
	}
	return &businessTime{reading.Now, kindSandbox, "the sandbox's clock"}, nil
}

// sameDatabase tells whether a pool leads to the database of a URL, with whichever login.
func sameDatabase(pool *pgxpool.Pool, url string) bool {
	other, err := pgx.ParseConfig(url)
	if err != nil {
		return false
	}
	this := pool.Config().ConnConfig
	return this.Host == other.Host && this.Port == other.Port && this.Database == other.Database
}
