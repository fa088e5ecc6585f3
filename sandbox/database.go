//go:build unix

package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/pglocal"
)

// UnreachableError: the database of --database-url does not answer.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return fmt.Sprintf("--database-url: %v", e.Err) }

func (e *UnreachableError) Unwrap() error { return e.Err }

// connectTimeout bounds one attempt to connect: someone waits at a prompt.
const connectTimeout = 5 * time.Second

// database is where a sandbox keeps everything.
type database struct {
	url    string
	server *pglocal.Server // nil when the server is not ours
	// close gives back what opening took.
	close func(context.Context) error
}

// openPrivate starts a Postgres in a directory that the caller holds.
func openPrivate(ctx context.Context, dir string, ephemeral bool, logger *slog.Logger) (*database, error) {
	server, err := pglocal.Start(ctx, pglocal.Options{
		DataDir: dir, Logger: logger,
		// What is removed at the end has nothing to lose in a crash of the machine.
		FastUnsafe: ephemeral,
	})
	if err != nil {
		if inUse, ok := errors.AsType[*pglocal.InUseError](err); ok {
			return nil, &InUseError{Dir: dir, Owner: inUse.Owner}
		}
		return nil, err
	}
	d := &database{url: server.URL(), server: server, close: server.Stop}
	if ephemeral {
		d.close = server.Destroy
	}
	return d, nil
}

// openGiven uses a database that somebody named.
func openGiven(ctx context.Context, given string) (*database, error) {
	conn, err := connect(ctx, given)
	if err != nil {
		return nil, err
	}
	if err := conn.Close(ctx); err != nil {
		return nil, &UnreachableError{Err: err}
	}
	return &database{url: given, close: func(context.Context) error { return nil }}, nil
}

// openBeside makes a database of its own on the server of the one named.
func openBeside(ctx context.Context, given string, logger *slog.Logger) (*database, error) {
	name := databasePrefix + strings.ToLower(rand.Text()[:12])
	own, err := onSameServer(given, name)
	if err != nil {
		return nil, err
	}
	quoted := pgx.Identifier{name}.Sanitize()
	if err := execute(ctx, given, "CREATE DATABASE "+quoted+" TEMPLATE template0"); err != nil {
		return nil, fmt.Errorf("make a database for the ephemeral sandbox: %w", err)
	}
	// Whoever finds it after a crash knows whose it was.
	logger.Info("made a database", "database", name)
	return &database{url: own, close: func(ctx context.Context) error {
		if err := execute(ctx, given, "DROP DATABASE IF EXISTS "+quoted+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("drop the ephemeral sandbox's database %s: %w", name, err)
		}
		return nil
	}}, nil
}

// databasePrefix begins the names of databases of ephemeral sandboxes.
const databasePrefix = "meridian_sandbox_"

// onSameServer replaces the database in a URL or in a connection string.
func onSameServer(given, database string) (string, error) {
	if _, err := pgx.ParseConfig(given); err != nil {
		return "", &UnreachableError{Err: err} // its text hides the password
	}
	if !strings.HasPrefix(given, "postgres://") && !strings.HasPrefix(given, "postgresql://") {
		return given + " dbname=" + database, nil // the last one counts
	}
	u, err := url.Parse(given)
	if err != nil {
		return "", errors.New("--database-url is not a URL") // url.Error repeats it, password included
	}
	u.Path = "/" + database
	query := u.Query()
	query.Del("dbname") // it would win over the path
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	o, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, &UnreachableError{Err: err} // pgconn's errors hide the password
	}
	// As on the host's connections: over tables that nobody has analyzed yet Postgres
	// takes seconds to compile what runs for milliseconds, at every change of the clock.
	o.RuntimeParams["jit"] = "off"
	conn, err := pgx.ConnectConfig(ctx, o)
	if err != nil {
		return nil, &UnreachableError{Err: err}
	}
	return conn, nil
}

func execute(ctx context.Context, address, sql string) error {
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
