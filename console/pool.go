package console

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/postgres"
	"meridian/migrations"
)

const (
	// poolConnections: a page takes one for milliseconds, and a slow search must not
	// keep the others' pages waiting.
	poolConnections = 4
	// pageTimeout bounds a page: nobody waits longer, and a search that reads
	// everything is to be narrowed.
	pageTimeout = 5 * time.Second
)

// OpenPool makes the console's own connections: what people look for never takes
// one from housekeeping or from terminals.
func OpenPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	pool, err := postgres.Open(ctx, url, postgres.Options{
		Role: migrations.ServiceRole, MaxConnections: poolConnections, LockTimeout: time.Second, ApplicationName: "meridian console",
	})
	if err != nil {
		return nil, fmt.Errorf("open the console's connections: %w", err)
	}
	return pool, nil
}
