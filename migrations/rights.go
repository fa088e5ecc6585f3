package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrRights is that the login may not do what it was to do.
var ErrRights = errors.New("the login lacks a right")

// rights names the login and the roles that may, where the server refused it
// something (SQLSTATE 42501), and returns any other error as it is.
func rights(ctx context.Context, db *sql.DB, what string, err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || refused.Code != "42501" {
		return err
	}
	var login, owner string
	if asked := db.QueryRowContext(ctx, `
		SELECT current_user, pg_get_userbyid(coalesce(
			(SELECT relowner FROM pg_class WHERE oid = to_regclass('goose_db_version')),
			(SELECT datdba FROM pg_database WHERE datname = current_database())))`).Scan(&login, &owner); asked != nil {
		return fmt.Errorf("%w: %w", ErrRights, err)
	}
	return fmt.Errorf("%w: %s may not %s: that takes the owner's login, %s; one that only looks, membership of %s (%w)",
		ErrRights, login, what, owner, ServiceRole, err)
}
