package postgres_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
)

// notes is a table that rows come into as an array or by COPY.
const (
	notesSQL = `CREATE TABLE notes (bucket smallint, id bigint PRIMARY KEY, text text CHECK (text <> 'bad'));
		CREATE TYPE new_note AS (id bigint, text text)`
	insertNotesSQL = `INSERT INTO notes (bucket, id, text) SELECT $1, u.id, u.text FROM unnest($2::new_note[]) AS u`
	copyNotesSQL   = `COPY notes (bucket, id, text) FROM STDIN (FORMAT binary)`
)

// queueNotes queues rows of these ids; the last one has the text.
func queueNotes(b *pgx.Batch, first, n int64, text string) {
	rows := postgres.NewRows(&postgres.RowType{Name: "new_note", Columns: []uint32{pgtype.Int8OID, pgtype.TextOID}}, int(n), 20).
		CopiedBy(copyNotesSQL, 3)
	for id := first; id < first+n; id++ {
		rows.Begin()
		rows.Int64(id)
		if id == first+n-1 {
			rows.Text(text)
		} else {
			rows.Null()
		}
		rows.End()
	}
	b.Queue(insertNotesSQL, rows.Known(), int16(3), rows)
}

func send(t *testing.T, c *pgx.Conn, b *pgx.Batch) error {
	t.Helper()
	if _, err := c.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	b.Queue("COMMIT")
	w, err := postgres.Prepare(t.Context(), c, b)
	if err != nil {
		t.Fatal(err)
	}
	return w.Send(t.Context())
}

type noted struct {
	rows, buckets, texts int64
}

func notes(t *testing.T, c *pgx.Conn) (n noted) {
	t.Helper()
	if err := c.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT bucket), count(text) FROM notes`).
		Scan(&n.rows, &n.buckets, &n.texts); err != nil {
		t.Fatal(err)
	}
	return n
}

func connectWithNotes(t *testing.T) *pgx.Conn {
	t.Helper()
	c := connect(t)
	if _, err := c.Exec(t.Context(), notesSQL); err != nil {
		t.Fatal(err)
	}
	return c
}

// Few rows and many, by either way, with statements around them, and again on
// the same connection.
func TestWritesStoreRowsByEitherWay(t *testing.T) {
	t.Parallel()
	c := connectWithNotes(t)
	for round := range int64(2) {
		b := &pgx.Batch{}
		first := round * 10_000
		queueNotes(b, first, 1, "one")
		queueNotes(b, first+1, 1_000, "last")
		b.Queue("UPDATE notes SET text = 'changed' WHERE id = $1 RETURNING id", first)
		queueNotes(b, first+2_000, 100, "last")
		if err := send(t, c, b); err != nil {
			t.Fatal(err)
		}
		if got, want := notes(t, c), (noted{1_101 * (round + 1), 1, 3 * (round + 1)}); got != want {
			t.Errorf("stored %+v, want %+v", got, want)
		}
	}
	var copied int
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'COPY%'`).Scan(&copied); err != nil || copied != 1 {
		t.Errorf("%d statements copy (%v)", copied, err)
	}
}

// The first error ends everything, before, in and after a COPY; data that nobody
// takes does no harm, and the connection serves on.
func TestWritesEndWithTheFirstError(t *testing.T) {
	t.Parallel()
	c := connectWithNotes(t)
	for name, test := range map[string]struct {
		queue func(b *pgx.Batch)
		code  string
	}{
		"before": {func(b *pgx.Batch) { b.Queue("SELECT 1 / $1::int", 0); queueNotes(b, 1, 50, "x") }, "22012"},
		"in":     {func(b *pgx.Batch) { queueNotes(b, 1, 50, "bad"); queueNotes(b, 100, 50, "x") }, "23514"},
		"taken":  {func(b *pgx.Batch) { queueNotes(b, 1, 50, "x"); queueNotes(b, 20, 50, "x") }, "23505"},
		"after":  {func(b *pgx.Batch) { queueNotes(b, 1, 50, "x"); b.Queue("SELECT 1 / $1::int", 0) }, "22012"},
	} {
		b := &pgx.Batch{}
		test.queue(b)
		err := send(t, c, b)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != test.code {
			t.Errorf("%s: %v", name, err)
		}
		if c.PgConn().TxStatus() != 'E' {
			t.Errorf("%s: transaction is %c", name, c.PgConn().TxStatus())
		}
		if _, err := c.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := notes(t, c); got.rows != 0 {
			t.Errorf("%s: stored %+v", name, got)
		}
	}
}

// cutConn loses the connection in place of a write, when it is told to.
type cutConn struct {
	net.Conn

	cut *atomic.Bool
	// after: what is written arrives first.
	after bool
}

func (c cutConn) Write(b []byte) (int, error) {
	if !c.cut.Load() {
		return c.Conn.Write(b)
	}
	if c.after {
		_, _ = c.Conn.Write(b)
	}
	_ = c.Conn.Close()
	return len(b), nil
}

// A connection that is lost while a pipeline with its commit is under way leaves
// it unknown what became of it, whatever the driver says; and it is not used again.
func TestWritesThatAreLostAreUnknown(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		cfg, err := pgx.ParseConfig(pgtest.Database(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		var cut atomic.Bool
		cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, address)
			return cutConn{conn, &cut, after}, err
		}
		c, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), notesSQL); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		b := &pgx.Batch{}
		queueNotes(b, 1, 50, "x")
		b.Queue("COMMIT")
		w, err := postgres.Prepare(t.Context(), c, b)
		if err != nil {
			t.Fatal(err)
		}
		cut.Store(true)
		err = w.Send(t.Context())
		if got := postgres.Classify(err, true); err == nil || got != postgres.Unknown {
			t.Errorf("%v is %s", err, got)
		}
		if !c.IsClosed() {
			t.Error("the connection is open")
		}
	}
}

// A server that does not answer is not waited for beyond the deadline.
func TestWritesWaitUntilTheirDeadline(t *testing.T) {
	t.Parallel()
	c := connectWithNotes(t)
	if _, err := c.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	b.Queue("SELECT pg_sleep(60)")
	b.Queue("COMMIT")
	w, err := postgres.Prepare(t.Context(), c, b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = w.Send(ctx)
	if got := postgres.Classify(err, true); err == nil || got != postgres.Unknown || !c.IsClosed() {
		t.Errorf("%v is %s, closed %t", err, got, c.IsClosed())
	}
}

// A server's error comes before its end, and may be all that comes in time. What comes late is
// nobody's answer: the next unit would take it for a commit of its own.
func TestWritesWhoseEndIsLate(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(pgtest.Database(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	config.TLSConfig, config.Fallbacks = nil, nil
	late := &lateConn{}
	config.DialFunc = func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		late.Conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return late, err
	}
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue("SELECT 1 / $1::int", 0)
	b.Queue("COMMIT")
	w, err := postgres.Prepare(t.Context(), c, b)
	if err != nil {
		t.Fatal(err)
	}
	late.holds.Store(true)
	err = w.Send(t.Context())
	if told, ok := errors.AsType[*pgconn.PgError](err); !ok || told.Code != "22012" {
		t.Errorf("sent: %v", err)
	}
	if !c.IsClosed() {
		t.Error("the connection is left for others")
	}
}

// lateConn times out between a server's error and what comes after it, once it is told to.
type lateConn struct {
	net.Conn
	holds   atomic.Bool
	kind    byte
	pending []byte
}

func (c *lateConn) Read(p []byte) (int, error) {
	if len(c.pending) == 0 {
		if c.kind == 'E' && c.holds.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		// One message: its type, and its length with that of the length.
		head := make([]byte, 5)
		if _, err := io.ReadFull(c.Conn, head); err != nil {
			return 0, err
		}
		c.kind = head[0]
		c.pending = make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(c.Conn, c.pending[copy(c.pending, head):]); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// What cannot be sent at all says so before anything is.
func TestWritesAreRefusedBeforeTheyAreSent(t *testing.T) {
	t.Parallel()
	c := connectWithNotes(t)
	half := postgres.NewRows(&postgres.RowType{Name: "new_note", Columns: []uint32{pgtype.Int8OID, pgtype.TextOID}}, 20, 20).CopiedBy(copyNotesSQL, 3)
	for id := range int64(20) {
		half.Begin()
		half.Int64(id)
		half.End()
	}
	for name, queue := range map[string]func(b *pgx.Batch){
		"half a row":   func(b *pgx.Batch) { b.Queue(insertNotesSQL, half.Known(), int16(3), half) },
		"no statement": func(b *pgx.Batch) { b.Queue("INSERT nothing") },
		"no number":    func(b *pgx.Batch) { b.Queue("SELECT $1::int", struct{}{}) },
	} {
		b := &pgx.Batch{}
		queue(b)
		if _, err := postgres.Prepare(t.Context(), c, b); err == nil {
			t.Errorf("%s: prepared", name)
		}
		if c.PgConn().TxStatus() != 'I' {
			t.Errorf("%s: something is under way", name)
		}
	}
}

// On a distributed database rows come as arrays, however many they are.
func TestWritesToADistributedDatabaseDoNotCopy(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), pgtest.Database(t, nil), postgres.Options{Distributed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	c := held.Conn()
	if _, err := c.Exec(t.Context(), notesSQL); err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	queueNotes(b, 1, 100, "x")
	if err := send(t, c, b); err != nil {
		t.Fatal(err)
	}
	var copied int
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'COPY%'`).Scan(&copied); err != nil || copied != 0 {
		t.Errorf("%d statements copy (%v)", copied, err)
	}
	if got := notes(t, c); got.rows != 100 {
		t.Errorf("stored %+v", got)
	}
}

// Rows serve one pipeline: they are not sent again, least of all as none.
func TestRowsAreTakenOnce(t *testing.T) {
	t.Parallel()
	c, err := pgx.Connect(t.Context(), pgtest.Database(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	if _, err := c.Exec(t.Context(), notesSQL); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{2, 100} { // as an array, and by COPY
		b := &pgx.Batch{}
		queueNotes(b, 1000*n, n, "good")
		if err := send(t, c, b); err != nil {
			t.Fatal(err)
		}
		if _, err := postgres.Prepare(t.Context(), c, b); err == nil {
			t.Errorf("%d rows are prepared again", n)
		}
		again := &pgx.Batch{}
		queueNotes(again, 2000*n+1, n, "good")
		w, err := postgres.Prepare(t.Context(), c, again)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n >= 100 { // an array is part of the pipeline by then
			if err := w.Send(t.Context()); err == nil {
				t.Errorf("%d rows are copied again", n)
			}
		}
	}
}
