package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"
)

//go:embed *.sql
var files embed.FS

// ServiceRole is the role that a running host assumes. It can read everything
// and append, and it can neither change nor remove a transfer.
const ServiceRole = "meridian_service"

// roleAttempts bounds the retries of statements on shared catalogs: roles are
// the cluster's, and two databases migrating at once collide on them.
const roleAttempts = 20

// Up brings the database at url to the newest schema and returns its version.
// The role in url must own the database and, the first time, be allowed to
// create roles.
func Up(ctx context.Context, url string) (version int64, err error) {
	err = withProvider(ctx, url, func(db *sql.DB, p *goose.Provider) error {
		if err := ensureServiceRole(ctx, db); err != nil {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("apply migrations: %w", err)
		}
		newest, err := p.GetDBVersion(ctx)
		if err != nil {
			return fmt.Errorf("read schema version: %w", err)
		}
		version = newest
		return nil
	})
	return version, err
}

// Status is one migration and when it was applied; a zero time is "not yet".
type Status struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// List returns every migration this binary knows with its state in the database.
func List(ctx context.Context, url string) (list []Status, err error) {
	err = withProvider(ctx, url, func(_ *sql.DB, p *goose.Provider) error {
		states, err := p.Status(ctx)
		if err != nil {
			return fmt.Errorf("read migration status: %w", err)
		}
		for _, s := range states {
			list = append(list, Status{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt})
		}
		return nil
	})
	return list, err
}

// Newest is the schema version this binary was built for.
func Newest() (int64, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return 0, fmt.Errorf("read embedded migrations: %w", err)
	}
	var newest int64
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", e.Name(), err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}

func withProvider(ctx context.Context, url string, do func(*sql.DB, *goose.Provider) error) (err error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("connect to database: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	return do(db, p)
}

// ensureServiceRole creates the service role and lets the current user assume
// it. Grants come with the migrations.
func ensureServiceRole(ctx context.Context, db *sql.DB) error {
	const create = `DO $$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + ServiceRole + `') THEN
			CREATE ROLE ` + ServiceRole + ` NOLOGIN;
		END IF;
		IF NOT pg_has_role(current_user, '` + ServiceRole + `', 'MEMBER') THEN
			EXECUTE format('GRANT ` + ServiceRole + ` TO %I', current_user);
		END IF;
	END $$`
	var err error
	for attempt := range roleAttempts {
		if _, err = db.ExecContext(ctx, create); err == nil {
			return nil
		}
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) {
			break
		}
		if pgErr.Code == "42501" {
			return fmt.Errorf("create role %s: %w (let an administrator run: CREATE ROLE %s NOLOGIN; GRANT %s TO the migrating role)",
				ServiceRole, err, ServiceRole, ServiceRole)
		}
		// 23505, 42710 and XX000 are another migration creating the same role.
		if pgErr.Code != "23505" && pgErr.Code != "42710" && pgErr.Code != "XX000" {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("create role %s: %w", ServiceRole, ctx.Err())
		case <-time.After(time.Duration(attempt+1) * 5 * time.Millisecond):
		}
	}
	return fmt.Errorf("create role %s: %w", ServiceRole, err)
}

// Version is the schema version of a database that a service is connected to.
// The service's role may read it.
func Version(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (version int64, err error) {
	err = db.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return version, nil
}
