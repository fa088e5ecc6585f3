package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options of a pool.
type Options struct {
	// Role is assumed on every connection; empty keeps the login's own.
	Role string
	// MaxConnections bounds the pool; 0 takes 10: lanes, housekeeping and one
	// for people, on a small machine.
	MaxConnections int
	// ConnectTimeout bounds one attempt to connect; 0 takes 2 s, short enough
	// to answer a terminal in time when the database is away.
	ConnectTimeout time.Duration
	// LockTimeout bounds the wait for one row lock; 0 waits as long as the
	// statement may take.
	LockTimeout time.Duration
	// PointLookups is for connections that fetch and store rows by key and
	// nothing else. Generic plans are made once, perhaps while a table is empty
	// and reading all of it is cheapest; without these settings that plan would
	// stay until the table is analyzed, and read all of it by then.
	PointLookups bool
	// Distributed is set where the database is Citus: generic plans turn
	// single-shard statements into multi-shard ones there, and [Writes] go without
	// COPY.
	Distributed bool
	// ApplicationName shows in pg_stat_activity.
	ApplicationName string
}

// Open makes a pool. It does not connect: a host may start before its database.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	cfg.MaxConns = int32(min(max(o.MaxConnections, 0), 1000))
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10
	}
	cfg.ConnConfig.ConnectTimeout = o.ConnectTimeout
	if o.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 2 * time.Second
	}
	params := cfg.ConnConfig.RuntimeParams
	if o.ApplicationName != "" {
		params["application_name"] = o.ApplicationName
	}
	params["timezone"] = "UTC"
	params["jit"] = "off" // array statements are short; compiling them is not
	if o.LockTimeout > 0 {
		params["lock_timeout"] = strconv.FormatInt(o.LockTimeout.Milliseconds(), 10)
	}
	if o.PointLookups {
		params["enable_seqscan"], params["enable_hashjoin"], params["enable_mergejoin"] = "off", "off", "off"
	}
	if !o.Distributed {
		params["plan_cache_mode"] = "force_generic_plan"
	}
	role := pgx.Identifier{o.Role}.Sanitize()
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		if o.Distributed {
			c.PgConn().CustomData()[distributedKey] = true
		}
		if o.Role != "" {
			if _, err := c.Exec(ctx, "SET ROLE "+role); err != nil {
				return fmt.Errorf("assume role %s: %w", role, err)
			}
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	return pool, nil
}
