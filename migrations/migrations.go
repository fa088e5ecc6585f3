package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// ErrNewer is that the schema is newer than this binary.
var ErrNewer = errors.New("the schema is newer than this binary")

// Up brings the database at url to the newest schema and returns its version.
// The role in url must own the database and, the first time, be allowed to
// create roles; an error of one that may not wraps [ErrRights]. A schema that is
// newer than this binary is left as it is, with [ErrNewer].
func Up(ctx context.Context, url string) (version int64, err error) {
	err = withDatabase(ctx, url, func(db *sql.DB) error {
		times, err := applied(ctx, db)
		if err != nil {
			return err
		}
		newest, err := Newest()
		if err != nil {
			return err
		}
		if have := slices.Max(append(slices.Collect(maps.Keys(times)), 0)); have > newest {
			return fmt.Errorf("%w: it is at version %d, the newest known here is %d; nothing was changed", ErrNewer, have, newest)
		}
		if err := ensureServiceRole(ctx, db); err != nil {
			return err
		}
		all, err := steps()
		if err != nil {
			return err
		}
		p, err := goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithGoMigrations(all...), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return fmt.Errorf("load migrations: %w", err)
		}
		if _, err := p.Up(ctx); err != nil {
			return rights(ctx, db, "change the schema", fmt.Errorf("apply migrations: %w", err))
		}
		if version, err = p.GetDBVersion(ctx); err != nil {
			return fmt.Errorf("read schema version: %w", err)
		}
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

// newer stands for the name of a migration that only a newer binary has.
const newer = "(of a newer version)"

// List returns every migration that this binary knows or the database has, with its
// state in the database. It changes nothing. An error of a role that may not look
// wraps [ErrRights].
func List(ctx context.Context, url string) (list []Status, err error) {
	names, err := known()
	if err != nil {
		return nil, err
	}
	err = withDatabase(ctx, url, func(db *sql.DB) error {
		times, err := applied(ctx, db)
		if err != nil {
			return err
		}
		for version := range times {
			if _, ok := names[version]; !ok {
				names[version] = newer
			}
		}
		for _, version := range slices.Sorted(maps.Keys(names)) {
			list = append(list, Status{Version: version, Name: names[version], AppliedAt: times[version]})
		}
		return nil
	})
	return list, err
}

// applied returns when each migration of a database was applied. It reads goose's
// table by itself: goose makes it before it looks.
func applied(ctx context.Context, db *sql.DB) (map[int64]time.Time, error) {
	times := map[int64]time.Time{}
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&exists); err != nil {
		return nil, fmt.Errorf("look for the schema: %w", err)
	}
	if !exists {
		return times, nil
	}
	// Version 0 is goose's own, of the empty database.
	rows, err := db.QueryContext(ctx, `SELECT version_id, max(tstamp) FROM goose_db_version WHERE is_applied AND version_id > 0 GROUP BY version_id`)
	if err != nil {
		return nil, rights(ctx, db, "look at the schema", fmt.Errorf("read migration status: %w", err))
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, fmt.Errorf("read migration status: %w", err)
		}
		times[version] = at
	}
	if err := rows.Err(); err != nil {
		return nil, rights(ctx, db, "look at the schema", fmt.Errorf("read migration status: %w", err))
	}
	return times, nil
}

// Newest is the schema version this binary was built for.
func Newest() (int64, error) {
	names, err := known()
	if err != nil {
		return 0, err
	}
	return slices.Max(slices.Collect(maps.Keys(names))), nil
}

// known are the names of this binary's migrations.
func known() (map[int64]string, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	names := map[int64]string{}
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", e.Name(), err)
		}
		names[v] = e.Name()
	}
	return names, nil
}

func withDatabase(ctx context.Context, url string, do func(*sql.DB) error) (err error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("connect to database: %w", err)
	}
	return do(db)
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
			return rights(ctx, db, "make the role "+ServiceRole, fmt.Errorf(
				"create role %s: %w (or let an administrator run: CREATE ROLE %s NOLOGIN; GRANT %s TO the migrating role)",
				ServiceRole, err, ServiceRole, ServiceRole))
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
