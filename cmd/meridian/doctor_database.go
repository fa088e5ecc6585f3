package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/config"
	"meridian/migrations"
	"meridian/switch"
)

// The majors of Postgres that Meridian is tested with.
const (
	oldestPostgres = 15
	newestPostgres = 18
)

// Clocks that differ: hosts give requests their business date, so near a cutoff a difference is seen by merchants.
const (
	warnSkew = 500 * time.Millisecond // what NTP keeps with ease
	failSkew = 5 * time.Second        // more than a request lives in the host
)

// examineDatabase looks at the database and what is in it. It reports whether that is a sandbox's.
func examineDatabase(ctx context.Context, e *examination, loaded *config.Loaded, verifyTimeout time.Duration) (sandbox bool) {
	pool, err := connect(ctx, loaded.Config.Database, commandConnections)
	if err != nil {
		e.failf(exitCode(err), "database", "start Postgres, or mend database.url", "%s", err)
		return false
	}
	defer pool.Close()
	examineServer(ctx, e, pool)
	if err := checkSchema(ctx, pool); err != nil {
		advice := "run meridian migrate"
		if errors.Is(err, errLogin) {
			advice = "let an administrator run: GRANT " + migrations.ServiceRole + " TO the login"
		}
		e.failf(exitFailure, "schema", advice, "%s", err)
		return false
	}
	newest, err := migrations.Newest()
	if err != nil {
		e.failf(exitFailure, "schema", "", "%s", err)
		return false
	}
	have, err := migrations.Version(ctx, pool)
	if err != nil {
		e.failf(exitCode(databaseError(err)), "schema", "", "%s", err)
		return false
	}
	examineVersion(e, have, newest)
	kind, err := installationKind(ctx, pool)
	if err != nil {
		e.failf(exitFailure, "schema", "run meridian migrate", "%s", err)
		return false
	}
	e.okf("installation", "%s", kind)
	sandbox = kind == kindSandbox
	examinePrivileges(ctx, e, pool)
	examineLocks(ctx, e, pool)
	if !sandbox {
		examineLogin(ctx, e, pool)
	}
	examineKeys(ctx, e, pool, loaded, sandbox)
	examineLedger(ctx, e, pool, verifyTimeout)
	return sandbox
}

// examineVersion tells which version a schema has that this binary can work on. A newer one belongs to an upgrade: whoever
// goes back to the binary before it has to know.
func examineVersion(e *examination, have, newest int64) {
	if have > newest {
		e.okf("schema", "version %d, newer than this binary's %d: it works on what newer versions made", have, newest)
		return
	}
	e.okf("schema", "version %d, as this binary needs", have)
}

// examineLogin looks whether the login is a host's.
func examineLogin(ctx context.Context, e *examination, pool *pgxpool.Pool) {
	switch why, err := tooMighty(ctx, pool); {
	case err != nil:
		e.failf(exitFailure, "login", "", "%s", err)
	case why != "":
		e.warnf("login", "give hosts a login that is only a member of "+migrations.ServiceRole,
			"the login is %s: what a host may do is not bounded by the database", why)
	default:
		e.okf("login", "a host's, bounded by %s", migrations.ServiceRole)
	}
}

// examineServer looks at the server: version, settings and clock.
func examineServer(ctx context.Context, e *examination, pool *pgxpool.Pool) {
	before := time.Now()
	s, err := readServer(ctx, pool)
	after := time.Now()
	if err != nil {
		e.failf(exitCode(databaseError(err)), "database", "", "%s", err)
		return
	}
	if major := s.versionNumber / 10000; major < oldestPostgres || major > newestPostgres {
		e.failf(exitFailure, "database", "use one of these versions",
			"Postgres %s is not one of %d to %d", s.version, oldestPostgres, newestPostgres)
	} else {
		e.okf("database", "Postgres %s", s.version)
	}
	switch unsafe, err := unsafeSettings(ctx, pool); {
	case err != nil:
		e.failf(exitFailure, "durability", "", "%s", err)
	case len(unsafe) > 0:
		e.failf(exitFailure, "durability", "turn them on: what was approved must outlive a crash", "%s", strings.Join(unsafe, ", "))
	default:
		e.okf("durability", "commits wait for the disk")
	}
	examineClock(e, before, s.now, after)
}

// locksShare of the server's room for locks is what one statement may take: hosts plan
// theirs for themselves, each connection once and after every ANALYZE.
const locksShare = 4

// examineLocks compares the server's room for locks with what a statement takes that is
// planned over every partition of the transactions and their indexes.
func examineLocks(ctx context.Context, e *examination, pool *pgxpool.Pool) {
	needed, room, err := locks(ctx, pool)
	if err != nil {
		e.failf(exitFailure, "locks", "", "%s", err)
		return
	}
	compareLocks(e, needed, room)
}

func compareLocks(e *examination, needed, room int) {
	if needed > room/locksShare {
		e.warnf("locks", "raise max_locks_per_transaction, or retire months that are over (meridian ledger retire)",
			"a statement over all months takes %d of the %d locks that the server has room for", needed, room)
		return
	}
	e.okf("locks", "a statement over all months takes %d of %d", needed, room)
}

// examineClock compares the server's clock with this machine's, read before and after.
func examineClock(e *examination, before, server, after time.Time) {
	uncertain := after.Sub(before) / 2
	skew := server.Sub(before.Add(uncertain)).Abs()
	shown := max(skew-uncertain, 0).Round(time.Millisecond) // what is certain of it
	const advice = "let NTP or chrony keep both clocks: near a cutoff the clock decides the business date"
	switch {
	case shown >= failSkew:
		e.failf(exitFailure, "clock", advice, "this machine and the database differ by %s", shown)
	case shown >= warnSkew:
		e.warnf("clock", advice, "this machine and the database differ by %s", shown)
	default:
		e.okf("clock", "this machine and the database agree to %s", (skew + uncertain).Round(time.Millisecond))
	}
}

// examinePrivileges looks at what the service's role may do. The promise that transfers are never changed rests on it.
func examinePrivileges(ctx context.Context, e *examination, pool *pgxpool.Pool) {
	exists, may, err := mayServe(ctx, pool)
	switch {
	case err != nil:
		e.failf(exitFailure, "privileges", "", "%s", err)
		return
	case !exists:
		e.failf(exitFailure, "privileges", "run meridian migrate", "there is no role %s", migrations.ServiceRole)
		return
	case !may:
		e.failf(exitFailure, "privileges", "let an administrator run: GRANT "+migrations.ServiceRole+" TO the login",
			"the login may not assume %s", migrations.ServiceRole)
	}
	excess, err := excessPrivileges(ctx, pool)
	if err != nil {
		e.failf(exitFailure, "privileges", "", "%s", err)
		return
	}
	missing, err := missingPrivileges(ctx, pool)
	switch {
	case err != nil:
		e.failf(exitFailure, "privileges", "", "%s", err)
	case len(excess) > 0:
		e.failf(exitInvariant, "privileges", "revoke it: history must not be changed, whatever statement reaches the server",
			"%s has %s", migrations.ServiceRole, strings.Join(excess, ", "))
	case len(missing) > 0:
		e.failf(exitFailure, "privileges", "run meridian migrate as the database's owner",
			"%s lacks %s", migrations.ServiceRole, strings.Join(missing, ", "))
	default:
		e.okf("privileges", "%s can append, and neither change nor remove a transfer", migrations.ServiceRole)
	}
}

// examineKeys looks whether the master key can be read, and whether it is the one that the database's keys were wrapped with.
func examineKeys(ctx context.Context, e *examination, pool *pgxpool.Pool, loaded *config.Loaded, sandbox bool) {
	if sandbox {
		e.okf("master key", "the sandbox's own")
		return
	}
	stored, err := switching.DataKeyRows{DB: pool}.DataKeys(ctx)
	if err != nil {
		e.failf(exitCode(databaseError(err)), "master key", "", "%s", err)
		return
	}
	advice := "openssl rand -hex 32 makes a key; chmod 600 its file"
	if len(stored) > 0 { // card tokens, PINs and terminals' keys cannot be made anew
		advice = "put back the key that this database was set up with, from its backup: with a new one no stored key opens again"
	}
	if loaded.Config.MasterKeyFile == "" {
		e.warnf("master key", "name its file with master_key_file; "+advice, "none is configured, and serve needs one")
		return
	}
	keys, err := openVault(loaded)
	switch {
	case err != nil:
		e.failf(exitFailure, "master key", advice, "%s", err)
		return
	case keys.IsSandbox():
		e.failf(exitFailure, "master key", advice, "it is a sandbox's, which everybody knows")
		return
	}
	for _, row := range stored {
		if _, err := keys.Unwrap(row.Usage(), row.Wrapped); err != nil {
			e.failf(exitFailure, "master key", advice, "key %s does not open the database's keys: %s", keys.KeyID(), err)
			return
		}
	}
	e.okf("master key", "readable, key %s", keys.KeyID())
}

// examineLedger verifies the ledger, if that does not take too long.
func examineLedger(ctx context.Context, e *examination, pool *pgxpool.Pool, timeout time.Duration) {
	if timeout <= 0 {
		return
	}
	verifying, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	v, err := switching.Verify(verifying, pool)
	switch {
	case errors.Is(verifying.Err(), context.DeadlineExceeded):
		e.warnf("ledger", "run meridian ledger verify, which takes its time", "not verified within %s", timeout)
	case err != nil:
		e.failf(exitCode(databaseError(err)), "ledger", "", "%s", err)
	case !v.OK():
		first := v.Findings[0]
		e.failf(exitInvariant, "ledger", "meridian ledger verify names everything that is off",
			"%d findings, first: %s: %s: %s", len(v.Findings), first.Check, first.Subject, first.Detail)
	default:
		e.okf("ledger", "%d transactions and %d transfers verified just now", v.Transactions, v.Transfers)
	}
}
