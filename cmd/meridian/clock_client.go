package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/sandbox"
)

const (
	// clockConnectTimeout is long for this machine, where sandboxes are. The answer itself may take as long as the
	// cutovers in between do.
	clockConnectTimeout = 5 * time.Second
	// maxClockAnswer is far more than a reading or an error takes.
	maxClockAnswer = 64 << 10
)

// askClock reads the clock behind an ops address, or changes it.
func askClock(ctx context.Context, ops string, change sandbox.ClockChange) (*sandbox.ClockReading, error) {
	method, body := http.MethodGet, []byte(nil)
	if change.Do != doNothing {
		var err error
		if body, err = json.Marshal(change); err != nil {
			return nil, fmt.Errorf("change the clock: %w", err)
		}
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(ops, "/")+sandbox.ClockPath, bytes.NewReader(body))
	if err != nil {
		return nil, usagef("%q is no ops address, such as %s", ops, "http://"+sandbox.DefaultOps)
	}
	request.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: clockConnectTimeout}).DialContext, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("ask the sandbox: %w", err)
		}
		return nil, withExit(exitUnreachable, fmt.Errorf("the sandbox does not answer: %w", err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxClockAnswer))
	if err != nil {
		return nil, withExit(exitUnreachable, fmt.Errorf("read the clock: %w", err))
	}
	return readClock(response.StatusCode, answer)
}

func readClock(status int, answer []byte) (*sandbox.ClockReading, error) {
	text := strings.TrimSpace(printable(strings.TrimSpace(string(answer))))
	switch status {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, withExit(exitConfiguration, errors.New("this host's clock cannot be moved: only a sandbox's can"))
	case http.StatusBadRequest:
		return nil, usagef("the sandbox refuses: %s", text)
	default:
		return nil, fmt.Errorf("change the clock: %s", text)
	}
	var reading sandbox.ClockReading
	if err := json.Unmarshal(answer, &reading); err != nil {
		return nil, fmt.Errorf("read the clock: %w", err)
	}
	return &reading, nil
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
