//go:build unix

package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/jackc/pgx/v5"

	"meridian/internal/pglocal"
)

// externalURL names the server to use instead of one of ours.
const externalURL = "MERIDIAN_TEST_DATABASE_URL"

// prefix begins the name of every database of a test, and the application name of
// the connection that says that its test binary lives.
const prefix = "meridian_test_"

// migration prepares a database.
type migration = func(ctx context.Context, url string) error

// binary is this test binary's use of Postgres. Tests share nothing else that
// could hold it: one server per process is the point.
var binary holder //nolint:gochecknoglobals // see above

type holder struct {
	mu   sync.Mutex
	open *home
	err  error // the first failure is everybody's: the next try would fail too
}

// home returns the binary's server, starting it for the first test that asks.
func (h *holder) home(ctx context.Context) (*home, error) {
	h.mu.Lock()
	defer h.mu.Unlock()

	if h.open == nil && h.err == nil {
		h.open, h.err = openHome(ctx)
	}

	return h.open, h.err
}

func (h *holder) close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()

	if h.open == nil {
		return nil
	}

	err := h.open.close(ctx)
	h.open, h.err = nil, errors.New("the tests are over")

	return err
}

// home is a server with the databases of one test binary.
type home struct {
	id     string          // of this binary
	admin  *url.URL        // of the superuser, of any database
	server *pglocal.Server // nil when the server is not ours
	alive  *pgx.Conn       // tells others on a server that is not ours that we live

	mu        sync.Mutex // makes databases one after the other
	made      int
	templates map[unsafe.Pointer]template
}

type template struct {
	migrate migration // kept, so that no other function gets its address
	name    string
	err     error
}

func openHome(ctx context.Context) (*home, error) {
	h := &home{id: strings.ToLower(rand.Text()[:10]), templates: map[unsafe.Pointer]template{}}

	text := os.Getenv(externalURL)
	if text == "" {
		server, err := takeSlot(ctx)
		if err != nil {
			return nil, err
		}

		h.server, text = server, server.AdminURL("postgres")
	}

	admin, err := url.Parse(text)
	if err != nil || admin.Host == "" {
		return nil, fmt.Errorf("%s is not the URL of a database", externalURL) // its text may hold a password
	}

	h.admin = admin

	if h.server == nil {
		if err := h.join(ctx); err != nil {
			return nil, fmt.Errorf("use the server of %s: %w", externalURL, err)
		}
	}

	return h, nil
}

// join makes us known on a server that is not ours, and drops what binaries that
// no longer live left there.
func (h *home) join(ctx context.Context) error {
	config, err := pgx.ParseConfig(h.admin.String())
	if err != nil {
		return err
	}

	config.RuntimeParams["application_name"] = prefix + h.id

	h.alive, err = pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}

	rows, err := h.alive.Query(ctx, `
		SELECT d.datname FROM pg_database d
		WHERE starts_with(d.datname, $1) AND NOT EXISTS (
			SELECT FROM pg_stat_activity a
			WHERE starts_with(a.application_name, $1) AND starts_with(d.datname, a.application_name || '_'))`, prefix)
	if err != nil {
		return err
	}

	orphans, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}

	for _, name := range orphans {
		// Another binary may be at it too; whoever comes last has nothing to do.
		_, _ = h.alive.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	}

	return nil
}

func (h *home) close(ctx context.Context) error {
	if h.server != nil {
		return h.server.Stop(ctx) // the next one to take the slot wipes it
	}

	var errs []error

	for _, template := range h.templates {
		if template.name != "" {
			errs = append(errs, h.drop(ctx, template.name))
		}
	}

	return errors.Join(append(errs, h.alive.Close(ctx))...)
}

// url is the superuser's URL of a database.
func (h *home) url(database string) string {
	u := *h.admin
	u.Path = "/" + database

	return u.String()
}

// create makes a database as migrate leaves it.
func (h *home) create(ctx context.Context, migrate migration) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()

	source := "template0"

	if migrate != nil {
		made := h.template(ctx, migrate)
		if made.err != nil {
			return "", fmt.Errorf("migrate the template: %w", made.err)
		}

		source = made.name
	}

	name := h.name()

	return name, h.exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE "+pgx.Identifier{source}.Sanitize())
}

func (h *home) name() string {
	h.made++

	return prefix + h.id + "_" + strconv.Itoa(h.made)
}

// template makes the template of a migration, once.
func (h *home) template(ctx context.Context, migrate migration) template {
	key := identity(migrate)

	made, known := h.templates[key]
	if !known {
		made = template{migrate: migrate, name: h.name()}
		made.err = h.makeTemplate(ctx, made)
		h.templates[key] = made
	}

	return made
}

// identity tells function values apart: the address of the value, not of its
// code, which closures over different variables share.
func identity(migrate migration) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&migrate))
}

func (h *home) makeTemplate(ctx context.Context, made template) error {
	quoted := pgx.Identifier{made.name}.Sanitize()

	if err := h.exec(ctx, "CREATE DATABASE "+quoted+" TEMPLATE template0"); err != nil {
		return err
	}

	if err := made.migrate(ctx, h.url(made.name)); err != nil {
		return err
	}

	// A template with a connection cannot be copied; from here on it has none.
	if err := h.exec(ctx, "ALTER DATABASE "+quoted+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return err
	}

	return h.exec(ctx, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", made.name)
}

func (h *home) drop(ctx context.Context, name string) error {
	return h.exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

func (h *home) exec(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, h.admin.String())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))

	_, err = conn.Exec(ctx, sql, args...)

	return err
}

// wipe brings a server of ours back to the state after initdb: no databases and
// no roles but its own.
func wipe(ctx context.Context, server *pglocal.Server) error {
	conn, err := pgx.Connect(ctx, server.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("wipe the test server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))

	for _, step := range []struct{ list, drop string }{
		{"SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')", "DROP DATABASE %s WITH (FORCE)"},
		{"SELECT rolname FROM pg_roles WHERE oid >= 16384", "DROP ROLE %s"}, // FirstNormalObjectId: not made by initdb
	} {
		rows, err := conn.Query(ctx, step.list)
		if err != nil {
			return fmt.Errorf("wipe the test server: %w", err)
		}

		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("wipe the test server: %w", err)
		}

		for _, name := range names {
			if _, err := conn.Exec(ctx, fmt.Sprintf(step.drop, pgx.Identifier{name}.Sanitize())); err != nil {
				return fmt.Errorf("wipe the test server: %w", err)
			}
		}
	}

	return nil
}
