package postgres_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
)

func everything() *postgres.RowType {
	return &postgres.RowType{Name: "everything", Columns: []uint32{
		pgtype.BoolOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.DateOID, pgtype.TimestamptzOID,
		pgtype.UUIDOID, pgtype.ByteaOID, pgtype.TextOID, pgtype.JSONBOID,
	}}
}

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), pgtest.Database(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	if _, err := c.Exec(t.Context(), `CREATE TYPE everything AS (
		a boolean, b smallint, c integer, d bigint, e date, f timestamptz, g uuid, h bytea, i text, j jsonb)`); err != nil {
		t.Fatal(err)
	}
	return c
}

// What Postgres reads is what was written, the far ends of each type and NULLs included.
func TestRowsAsPostgresReadsThem(t *testing.T) {
	t.Parallel()
	c := connect(t)
	rows := postgres.NewRows(everything(), 2, 10)
	rows.Begin()
	rows.Bool(true)
	rows.Int16(-32768)
	rows.Int32(-2147483648)
	rows.Int64(-9223372036854775808)
	rows.Date(-1) // the last day of 1969
	rows.Time(time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
	rows.UUID([16]byte{15: 7})
	rows.Bytes([]byte{})
	rows.Text("ä\n\"x\"")
	rows.JSON([]byte(`{"a": [1]}`))
	rows.End()
	rows.Begin()
	rows.Bool(false)
	for range 6 {
		rows.Null()
	}
	rows.Bytes(nil)
	rows.Text("")
	rows.JSON(nil)
	rows.End()
	list, err := c.Query(t.Context(), `SELECT to_jsonb(u)::text FROM unnest($1::everything[]) AS u`, rows.Known(), rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(list, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"a": true, "b": -32768, "c": -2147483648, "d": -9223372036854775808, "e": "1969-12-31", "f": "1999-12-31T23:59:59.999999+00:00", ` +
			`"g": "00000000-0000-0000-0000-000000000007", "h": "\\x", "i": "ä\n\"x\"", "j": {"a": [1]}}`,
		`{"a": false, "b": null, "c": null, "d": null, "e": null, "f": null, "g": null, "h": null, "i": null, "j": null}`,
	}
	if _, err := c.Exec(t.Context(), `SET timezone = 'UTC'`); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s (%v)", strings.Join(got, "\n"), strings.Join(want, "\n"), err)
	}
}

// A row that does not fit is an error before anything is sent, and tells no value.
func TestRowsThatDoNotFit(t *testing.T) {
	t.Parallel()
	c := connect(t)
	for name, row := range map[string]func(*postgres.Rows){
		"not 1":    func(r *postgres.Rows) { r.Bool(true) },
		"column 2": func(r *postgres.Rows) { r.Bool(true); r.Text("secret") },
		"not 11": func(r *postgres.Rows) {
			r.Bool(true)
			for range 10 {
				r.Null()
			}
		},
	} {
		rows := postgres.NewRows(everything(), 1, 10)
		rows.Begin()
		row(rows)
		rows.End()
		_, err := c.Exec(t.Context(), `SELECT $1::everything[]`, rows.Known(), rows)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows := postgres.NewRows(everything(), 1, 10)
	rows.Begin()
	rows.Bytes([]byte("secret"))
	for _, text := range []string{fmt.Sprint(rows), fmt.Sprintf("%+v", rows), fmt.Sprintf("%#v", rows)} {
		if text != "0 rows of everything" {
			t.Errorf("shown as %q", text)
		}
	}
	unknown := postgres.NewRows(&postgres.RowType{Name: "nothing"}, 0, 0)
	if _, err := c.Exec(t.Context(), `SELECT 1`, unknown.Known()); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a type that is not there: %v", err)
	}
}

// Types may be made again under other numbers, as in another database: a
// connection that has not met them asks.
func TestRowsOfTwoDatabases(t *testing.T) {
	t.Parallel()
	for range 2 {
		c := connect(t)
		for range 2 {
			rows := postgres.NewRows(everything(), 1, 100)
			b := &pgx.Batch{}
			b.Queue("BEGIN")
			var n int
			b.Queue(`SELECT count(*) FROM unnest($1::everything[])`, rows.Known(), rows).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
			b.Queue("COMMIT")
			if err := c.SendBatch(t.Context(), b).Close(); err != nil || n != 0 {
				t.Fatalf("%d, %v", n, err)
			}
		}
	}
}
