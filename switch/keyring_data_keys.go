package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/internal/vault"
)

// DataKeyRows is the table of the installation's own keys, for
// [vault.OpenDataKeys].
type DataKeyRows struct {
	DB interface {
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	}
}

// DataKeys implements [vault.DataKeyStore].
func (d DataKeyRows) DataKeys(ctx context.Context) ([]vault.StoredDataKey, error) {
	rows, err := d.DB.Query(ctx, `SELECT purpose, version, wrapped FROM data_keys`)
	if err != nil {
		return nil, fmt.Errorf("read data keys: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k vault.StoredDataKey, err error) {
		err = row.Scan(&k.Purpose, &k.Version, &k.Wrapped)
		return k, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("read data keys: %w", err)
	}
	return list, nil
}

// AddDataKey implements [vault.DataKeyStore].
func (d DataKeyRows) AddDataKey(ctx context.Context, key vault.StoredDataKey) error {
	_, err := d.DB.Exec(ctx, `
		INSERT INTO data_keys (purpose, version, wrapped, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		string(key.Purpose), key.Version, key.Wrapped, time.Now())
	if err != nil {
		return fmt.Errorf("add data key: %w", err)
	}
	return nil
}
