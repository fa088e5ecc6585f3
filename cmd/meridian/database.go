package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/config"
	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/sandbox"
)

// databaseFlags are the flags of every command that touches data.
//
//	--database-url  >  --data-dir  >  MERIDIAN_DATABASE_URL or _URL_FILE  >  configuration file  >  sandbox in .meridian
type databaseFlags struct {
	url     string
	dataDir string
	command *cobra.Command
}

// newDatabaseFlags adds the flags to a command and, when it is a group, to those below it.
func newDatabaseFlags(command *cobra.Command) *databaseFlags {
	d := &databaseFlags{command: command}
	flags := command.PersistentFlags()
	flags.StringVar(&d.url, "database-url", "",
		"the database, as postgres://… (default $MERIDIAN_DATABASE_URL, else from the configuration file)")
	flags.StringVar(&d.dataDir, "data-dir", sandbox.DefaultDataDir, "take the database of the sandbox that runs on this directory")
	return d
}

// load reads the configuration with a database in it: the one that was given, else a running sandbox's.
func (d *databaseFlags) load(g *globals) (*config.Loaded, error) {
	flags := d.command.PersistentFlags()
	given := flags.Changed("database-url")
	var set []config.Flag
	if given {
		set = append(set, config.Flag{Name: "--database-url", Key: "database.url", Value: d.url})
	}
	if flags.Changed("data-dir") && !given {
		url, err := sandboxDatabase(d.dataDir)
		if err != nil {
			return nil, withExit(exitConfiguration, err)
		}
		set = append(set, config.Flag{Name: "--data-dir", Key: "database.url", Value: url})
	}
	loaded, err := g.load(set...)
	if err != nil {
		return nil, err
	}
	if loaded.Config.Database.URL != "" {
		return loaded, nil
	}
	url, err := sandboxDatabase(d.dataDir)
	if err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf(
			"no database is given: use --database-url, %s, %s or the configuration file; nor a sandbox (--data-dir): %w",
			config.Variable("database.url"), config.Variable("database.url_file"), err))
	}
	return g.load(config.Flag{Name: "--data-dir", Key: "database.url", Value: url})
}

// load reads the configuration as this command line has it.
func (g *globals) load(flags ...config.Flag) (*config.Loaded, error) {
	loaded, err := config.Load(config.Options{File: g.configFile, Environ: g.environ, Flags: flags})
	if err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf("configuration: %w", err))
	}
	return loaded, nil
}

// sandboxDatabase returns the database of a running sandbox, as its sandbox.json says.
func sandboxDatabase(dataDir string) (string, error) {
	running, err := sandbox.ReadManifest(dataDir)
	if err != nil {
		return "", err
	}
	if running.DatabaseURL == "" {
		return "", fmt.Errorf("%s in %s names no database", sandbox.ManifestName, dataDir)
	}
	return running.DatabaseURL, nil
}

// commandConnections is enough for a command: it works one statement after the other.
const commandConnections = 2

// open connects to the database with the login's own role and looks whether its schema fits this binary.
func (d *databaseFlags) open(ctx context.Context, g *globals) (*pgxpool.Pool, error) {
	return d.openWide(ctx, g, commandConnections)
}

// openWide is open for a command that does several things at once.
func (d *databaseFlags) openWide(ctx context.Context, g *globals, connections int) (*pgxpool.Pool, error) {
	loaded, err := d.load(g)
	if err != nil {
		return nil, err
	}
	pool, err := connect(ctx, loaded.Config.Database, max(connections, commandConnections))
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// commandPatience is how long a person waits for a connection at least: the
// configured bound is a host's, whose terminals do not wait so long.
const commandPatience = 10 * time.Second

// connect opens a pool and makes its first connection.
func connect(ctx context.Context, database config.Database, connections int) (*pgxpool.Pool, error) {
	pool, err := postgres.Open(ctx, database.URL.Reveal(), postgres.Options{
		MaxConnections: connections, ConnectTimeout: max(database.ConnectTimeout, commandPatience), ApplicationName: "meridian command",
	})
	if err != nil {
		return nil, withExit(exitConfiguration, err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, databaseError(fmt.Errorf("connect to the database: %w", err))
	}
	return pool, nil
}

// checkSchema refuses a database that this binary's statements do not fit. A newer schema does: migrations expand before
// they contract.
func checkSchema(ctx context.Context, pool *pgxpool.Pool) error {
	want, err := migrations.Newest()
	if err != nil {
		return fmt.Errorf("look at the schema: %w", err)
	}
	have, err := migrations.Version(ctx, pool)
	if err != nil {
		return databaseError(loginError(err))
	}
	if have < want {
		return withExit(exitConfiguration, fmt.Errorf(
			"the database's schema is version %d, this binary needs %d: run meridian migrate", have, want))
	}
	return nil
}

// errLogin is that a login is no member of the service's role.
var errLogin = errors.New("the login is no member of the role " + migrations.ServiceRole + ", which may read and append: an administrator has to GRANT " +
	migrations.ServiceRole + " TO it")

// loginError says what a login lacks that may not even read what every host and command does.
func loginError(err error) error {
	if pgError, ok := errors.AsType[*pgconn.PgError](err); ok && pgError.Code == codePrivilege {
		return withExit(exitConfiguration, fmt.Errorf("%w (%w)", errLogin, err))
	}
	return err
}

// Codes of the server's errors.
const (
	codePrivilege = "42501" // insufficient_privilege
	codeUndefined = "42704" // undefined_object: a role, a type, a setting
)

// databaseError gives an error from the database its exit code, and says what to do where that is known.
func databaseError(err error) error {
	if err == nil {
		return nil
	}
	if pgError, ok := errors.AsType[*pgconn.PgError](err); ok {
		return serverError(pgError, err)
	}
	_, isParse := errors.AsType[*pgconn.ParseConfigError](err)
	_, isConnect := errors.AsType[*pgconn.ConnectError](err)
	_, isNet := errors.AsType[net.Error](err)
	switch {
	case isParse:
		return withExit(exitConfiguration, err)
	case errors.Is(err, context.Canceled):
		return err
	case isConnect, isNet, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return withExit(exitUnreachable, err)
	}
	return err
}

// serverError is databaseError for what the server itself says.
// The codes are those of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func serverError(pgError *pgconn.PgError, err error) error {
	_, isConnect := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case isConnect && pgError.Code == codeUndefined: // what the URL sets before there is a session
		return withExit(exitConfiguration, fmt.Errorf("database.url has a parameter that the server does not know: %w", err))
	case pgError.Code == "42P01", // undefined_table: goose's own, or one of ours
		pgError.Code == "42883", // undefined_function
		pgError.Code == codeUndefined,
		pgError.Code == "22023" && strings.Contains(err.Error(), migrations.ServiceRole): // SET ROLE: no such role
		return withExit(exitConfiguration, fmt.Errorf("the database has no Meridian schema: run meridian migrate (%w)", err))
	case pgError.Code == codePrivilege && strings.Contains(err.Error(), migrations.ServiceRole):
		return withExit(exitConfiguration, fmt.Errorf(
			"the login may not assume the service's role: an administrator has to GRANT %s TO it (%w)", migrations.ServiceRole, err))
	case pgError.Code == codePrivilege,
		pgError.Code == "3D000",               // no such database
		strings.HasPrefix(pgError.Code, "28"): // no such login, wrong password, not let in by pg_hba.conf
		return withExit(exitConfiguration, err)
	case strings.HasPrefix(pgError.Code, "08"), // connection exceptions
		strings.HasPrefix(pgError.Code, "57P"), // shut down, crashed, starting
		strings.HasPrefix(pgError.Code, "53"):  // too many connections, no memory, no disk
		return withExit(exitUnreachable, err)
	}
	return err
}
