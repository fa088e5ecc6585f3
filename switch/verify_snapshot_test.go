package switching

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
	"meridian/ledger"
)

// TestVerificationSharesItsSnapshot: what is committed after the first connection
// has looked is seen by none that joins it.
func TestVerificationSharesItsSnapshot(t *testing.T) {
	pool, err := postgres.Open(t.Context(), pgtest.Database(t, nil), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `CREATE TABLE rows (n integer); CREATE TABLE transactions (); CREATE TABLE transfers ()`); err != nil {
		t.Fatal(err)
	}
	err = inSnapshot(t.Context(), pool, func(tx pgx.Tx) error {
		var snapshot string
		if err := tx.QueryRow(t.Context(), `SELECT pg_export_snapshot()`).Scan(&snapshot); err != nil {
			return err
		}
		if _, err := pool.Exec(t.Context(), `INSERT INTO rows VALUES (1)`); err != nil {
			return err
		}
		r := verificationRun{
			connections: 2, found: make([][]ledger.Finding, 1),
			checks: []ledger.Check{{Name: "rows", SQL: `SELECT 'rows', count(*)::text FROM rows`}},
		}
		if err := r.beside(t.Context(), pool, snapshot); err != nil {
			return err
		}
		if len(r.found[0]) != 1 || r.found[0][0].Detail != "0" {
			t.Errorf("the second connection found %+v, want no row", r.found[0])
		}
		if err := r.beside(t.Context(), pool, "0000-0"); err == nil {
			t.Error("took a snapshot that is not there")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
