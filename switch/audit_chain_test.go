package switching_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// chain verifies the audit log.
func (w *world) chain(held ...switching.AuditHash) *switching.AuditVerification {
	w.t.Helper()
	var h *switching.AuditHash
	if len(held) > 0 {
		h = &held[0]
	}
	v, err := switching.VerifyAudit(context.Background(), w.pool, h)
	w.must(err)
	return v
}

// intact wants an unbroken chain of n rows and returns its head.
func (w *world) intact(n int64) switching.AuditHead {
	w.t.Helper()
	v := w.chain()
	if v.Problem != nil || v.Rows != n || v.Head.Sequence != n {
		w.t.Fatalf("%d rows, head %d, %v; want %d and nothing wrong", v.Rows, v.Head.Sequence, v.Problem, n)
	}
	return v.Head
}

// append puts rows into the log as the service does.
func (w *world) append(entries ...switching.AuditEntry) {
	w.t.Helper()
	w.must(pgx.BeginFunc(context.Background(), w.pool, func(tx pgx.Tx) error {
		return switching.AppendAudit(context.Background(), tx, entries...)
	}))
}

func entry(i int) switching.AuditEntry {
	return switching.AuditEntry{
		At: time.Date(2026, 3, 10, 12, 0, i, 123_456_789, time.UTC), Kind: "test", Subject: fmt.Sprintf("subject %d", i), Detail: "détail – 详情",
	}
}

func (w *world) auditor(pool *pgxpool.Pool) (a *switching.Auditor, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	a = switching.NewAuditor(ctx, pool, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	return a, func() { cancel(); a.Wait() }
}

// The form of what is hashed is for ever: computed here by hand.
func TestAuditHashIsAsDocumented(t *testing.T) {
	w := newWorld(t)
	w.append(entry(1), entry(2))
	var previous [32]byte
	for i := 1; i <= 2; i++ {
		e := entry(i)
		b := []byte("meridian audit 1")
		b = binary.BigEndian.AppendUint64(b, uint64(i))
		b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
		for _, s := range []string{e.Kind, e.Subject, e.Detail} {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
		}
		previous = sha256.Sum256(append(b, previous[:]...))
	}
	if got := w.intact(2).Hash.String(); got != hex.EncodeToString(previous[:]) {
		t.Errorf("head %s, want %x", got, previous)
	}
}

// The migration chains what is there with the same bytes.
func TestMigrationChainsOlderRows(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("../migrations/00011_audit_chain.sql")
	w.must(err)
	_, block, _ := strings.Cut(string(text), "-- +goose StatementBegin")
	block, _, found := strings.Cut(block, "-- +goose StatementEnd")
	if !found {
		t.Fatal("the migration has no block")
	}
	for i, at := range []string{"2026-03-10 12:00:00.123456+00", "1969-12-31 23:59:59.999999+00", "0001-01-01 00:00:00.000001+00", "2300-02-28 23:59:59.5+00"} {
		w.sql(`INSERT INTO audit_log (recorded_at, kind, subject, detail) VALUES ($1::text::timestamptz, 'old', $2, E'zeile\n详情 é')`, at, strings.Repeat("s", i*300))
	}
	w.sql(`DELETE FROM audit_head`)
	w.sql(block)
	w.intact(4)
	w.append(entry(5))
	w.intact(5)
}

// Every change by a person is in the chain.
func TestChangesAreChained(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	w.must(switching.SetPolicy(t.Context(), owner, "plain", "review_threshold_minor", "5000", "ann", "a test"))
	w.must(switching.AddOperator(t.Context(), owner, shop, "02", "1234", true, "ann", "a test"))
	w.must(w.sw.Refresh(t.Context()))
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	pending := w.do(switching.UnderReview, w.request(switching.KindRefund, 60_00, of(sale)))
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: pending.RRN, Why: "no", Who: "ann"}))
	_, err := switching.CloseBatch(t.Context(), w.pool, w.clock.Now(), switching.BatchClosing{TID: till, Who: "ann", Why: "a test"})
	w.must(err)
	a, end := w.auditor(w.pool)
	a.Record(entry(1), func() {})
	end()
	w.intact(5)
	v, err := switching.Verify(t.Context(), w.pool)
	w.must(err)
	if !v.OK() || v.AuditRows != 5 || v.AuditHead.Sequence != 5 {
		t.Errorf("the ledger's verification: %+v", v)
	}
}

// What a person can do to the table is found, and the first row is named.
func TestTamperedAuditLogIsFound(t *testing.T) {
	const rows = 6
	w := newWorld(t)
	for i := range rows {
		w.append(entry(i + 1))
	}
	w.sql(`CREATE TABLE kept_log AS TABLE audit_log`)
	w.sql(`CREATE TABLE kept_head AS TABLE audit_head`)
	for _, c := range []struct{ name, sql, row, fault string }{
		{"detail changed", `UPDATE audit_log SET detail = 'nothing' WHERE sequence = 3`, "row 3 (audit_id 3)", "changed"},
		{"time changed", `UPDATE audit_log SET recorded_at = recorded_at + interval '1 microsecond' WHERE sequence = 3`, "row 3 (audit_id 3)", "changed"},
		{
			"text moved to the next column", `UPDATE audit_log SET subject = subject || 'd', detail = substr(detail, 2) WHERE sequence = 3`,
			"row 3 (audit_id 3)", "changed",
		},
		{"hash changed", `UPDATE audit_log SET hash = sha256('x') WHERE sequence = 3`, "row 3 (audit_id 3)", "changed"},
		{"first row deleted", `DELETE FROM audit_log WHERE sequence = 1`, "row 1", "missing"},
		{"row deleted", `DELETE FROM audit_log WHERE sequence = 3`, "row 3", "missing"},
		{"last row deleted", `DELETE FROM audit_log WHERE sequence = 6`, "row 6", "cut off"},
		{"end deleted", `DELETE FROM audit_log WHERE sequence > 3`, "row 4", "cut off"},
		{"all deleted", `DELETE FROM audit_log`, "row 1", "cut off"},
		{
			"row deleted and the others moved up", `DELETE FROM audit_log WHERE sequence = 3;
			UPDATE audit_log SET sequence = sequence - 1 WHERE sequence = 4; UPDATE audit_log SET sequence = sequence - 1 WHERE sequence = 5;
			UPDATE audit_log SET sequence = sequence - 1 WHERE sequence = 6; UPDATE audit_head SET sequence = 5`, "row 3 (audit_id 4)", "changed",
		},
		{
			"rows swapped", `UPDATE audit_log SET sequence = 99 WHERE sequence = 3; UPDATE audit_log SET sequence = 3 WHERE sequence = 4;
			UPDATE audit_log SET sequence = 4 WHERE sequence = 99`, "row 3 (audit_id 4)", "changed",
		},
		{
			"row forged with a hash of its own", `UPDATE audit_log SET detail = '', previous_hash = sha256('x'),
			hash = sha256(convert_to('meridian audit 1', 'UTF8') || int8send(3) || int8send(1773144003123456) || int4send(4) || convert_to('test', 'UTF8')
				|| int4send(9) || convert_to('subject 3', 'UTF8') || int4send(0) || sha256('x')) WHERE sequence = 3`, "row 3 (audit_id 3)", "out of order",
		},
		{
			"row forged into the chain", `UPDATE audit_log SET detail = '',
			hash = sha256(convert_to('meridian audit 1', 'UTF8') || int8send(3) || int8send(1773144003123456) || int4send(4) || convert_to('test', 'UTF8')
				|| int4send(9) || convert_to('subject 3', 'UTF8') || int4send(0) || previous_hash) WHERE sequence = 3`, "row 4 (audit_id 4)", "out of order",
		},
		{"row written past the chain", `INSERT INTO audit_log (recorded_at, kind, subject, detail) VALUES ('2026-03-10', 'a', 'b', 'c')`, "audit_id 7", "not chained"},
		{"row taken out of the chain", `UPDATE audit_log SET sequence = NULL, previous_hash = NULL, hash = NULL WHERE sequence = 6`, "row 6", "cut off"},
		{"head moved back", `UPDATE audit_head SET sequence = 5, hash = (SELECT hash FROM audit_log WHERE sequence = 5)`, "row 6 (audit_id 6)", "out of order"},
		{"head of another hash", `UPDATE audit_head SET hash = sha256('x')`, "row 6", "changed"},
		{"hash of no length", `ALTER TABLE audit_log DROP CONSTRAINT audit_log_hash_check; UPDATE audit_log SET hash = '' WHERE sequence = 3`, "row 3 (audit_id 3)", "changed"},
		{"head deleted", `DELETE FROM audit_head`, "the head", "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, statement := range []string{
				`TRUNCATE audit_log`, `INSERT INTO audit_log OVERRIDING SYSTEM VALUE TABLE kept_log`,
				`TRUNCATE audit_head`, `INSERT INTO audit_head TABLE kept_head`,
			} {
				w.sql(statement)
			}
			w.intact(rows)
			for statement := range strings.SplitSeq(c.sql, ";") {
				w.sql(statement)
			}
			p := w.chain().Problem
			if p == nil || p.Row != c.row || p.Fault != c.fault {
				t.Errorf("found %v, want %s of %s", p, c.fault, c.row)
			}
		})
	}
	v, err := switching.Verify(t.Context(), w.pool)
	w.must(err)
	if len(v.Findings) != 1 || v.Findings[0].Subject != "the head" {
		t.Errorf("the ledger's verification found %+v", v.Findings)
	}
}

// Who owns the database can write the whole chain anew. A head that was held
// elsewhere shows it.
func TestHeldHeadShowsARewrittenChain(t *testing.T) {
	w := newWorld(t)
	if v := w.chain(switching.AuditHash{}); v.Problem != nil {
		t.Errorf("an empty log does not begin with nothing: %v", v.Problem)
	}
	w.append(entry(1), entry(2))
	held := w.intact(2).Hash
	w.append(entry(3))
	if v := w.chain(held); v.Problem != nil || v.HeldAt != 2 || v.Rows != 3 {
		t.Errorf("held head: %+v", v)
	}
	w.sql(`DELETE FROM audit_log WHERE sequence > 1`)
	w.sql(`UPDATE audit_head SET sequence = 1, hash = (SELECT hash FROM audit_log)`)
	w.append(entry(8), entry(9))
	w.intact(3)
	if p := w.chain(held).Problem; p == nil || p.Fault != "not the one that was held" {
		t.Errorf("found %v", p)
	}
}

// Hosts and people write at once, some give up, and the sequence has no gap.
func TestAuditChainUnderConcurrency(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	first, endFirst := w.auditor(w.pool)
	second, endSecond := w.auditor(w.pool)
	const each, people = 150, 20
	var writing sync.WaitGroup
	for _, a := range []*switching.Auditor{first, second} {
		for i := range each {
			writing.Add(1)
			a.Record(entry(i), writing.Done)
		}
	}
	writing.Go(func() {
		for i := range people {
			if err := switching.SetPolicy(t.Context(), owner, "plain", "max_amount_minor", fmt.Sprint(1000+i), "ann", "a test"); err != nil {
				t.Error(err)
			}
		}
	})
	writing.Go(func() {
		for range people {
			gaveUp := errors.New("gave up")
			err := pgx.BeginFunc(t.Context(), owner, func(tx pgx.Tx) error {
				return errors.Join(switching.AppendAudit(t.Context(), tx, entry(0)), gaveUp)
			})
			if !errors.Is(err, gaveUp) || err.Error() != "gave up" {
				t.Error(err)
			}
		}
	})
	writing.Wait()
	endFirst()
	endSecond()
	w.intact(2*each + people)
}

// A flood of denied attempts does not keep people from their changes.
func TestFloodLeavesRoomForPeople(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	flooded, stop := make(chan struct{}), make(chan struct{})
	var floods sync.WaitGroup
	var recorded atomic.Int64
	for range 2 {
		a, end := w.auditor(w.pool)
		floods.Go(func() {
			defer end()
			for {
				select {
				case <-stop:
					return
				default:
				}
				written := make(chan struct{})
				for range 200 {
					a.Record(entry(1), func() {})
				}
				a.Record(entry(2), func() { close(written) })
				<-written
				if recorded.Add(1) == 4 {
					close(flooded)
				}
			}
		})
	}
	<-flooded
	for i := range 10 {
		w.must(switching.SetPolicy(t.Context(), owner, "plain", "max_amount_minor", fmt.Sprint(1000+i), "ann", "a test"))
	}
	close(stop)
	floods.Wait()
	if p := w.chain().Problem; p != nil {
		t.Error(p)
	}
}

// What did not fit is told by a row of its own.
func TestLostAuditRowsAreTold(t *testing.T) {
	w := newWorld(t)
	head := w.hold(`SELECT FROM audit_head FOR UPDATE`)
	a, end := w.auditor(w.pool)
	const sent = 3000 // the queue holds 1024, and one batch is on its way
	for i := range sent {
		a.Record(entry(i%60), func() {})
	}
	w.must(head.Rollback(t.Context()))
	end()
	v := w.chain()
	if v.Problem != nil {
		t.Fatal(v.Problem)
	}
	rows, err := switching.AuditLog(t.Context(), w.pool, "rows_lost", 10)
	w.must(err)
	var lost int64
	for _, r := range rows {
		var n int64
		if _, err := fmt.Sscanf(r.Detail, "a flood kept %d rows", &n); err != nil {
			t.Errorf("told as %q", r.Detail)
		}
		lost += n
	}
	if lost == 0 || v.Rows != sent-lost+int64(len(rows)) {
		t.Errorf("%d rows stored, %d lost of %d", v.Rows, lost, sent)
	}
}

// A commit whose answer is lost is found out, and its rows are there once.
func TestAuditRowsInDoubtAreWrittenOnce(t *testing.T) {
	w := newWorld(t)
	proxy, through := lossy(t, w.url)
	pool, err := postgres.Open(t.Context(), through, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience})
	w.must(err)
	t.Cleanup(pool.Close)
	a, end := w.auditor(pool)
	written := make(chan struct{})
	proxy.lose.Store(true)
	a.Record(entry(1), func() { close(written) })
	<-proxy.lost
	proxy.down.Store(false)
	<-written
	end()
	w.intact(1)
}

// What strangers send is cut and cleaned, and spoils nobody else's row.
func TestHostileTextsAreKept(t *testing.T) {
	w := newWorld(t)
	e := switching.AuditEntry{
		At: w.clock.Now(), Kind: "k\x00", Subject: "terminal \xff\xfe\x00\x1b[2J", Detail: strings.Repeat("é", 10_000),
	}
	w.append(entry(1), e, entry(3))
	w.intact(3)
	rows, err := switching.AuditLog(t.Context(), w.pool, "k?", 10)
	w.must(err)
	if len(rows) != 1 || rows[0].Subject != "terminal ????[2J" || len([]rune(rows[0].Detail)) != 2048 || !strings.HasSuffix(rows[0].Detail, "é…") {
		t.Errorf("got %+v", rows)
	}
}

// The service appends, and changes nothing.
func TestServiceCannotRewriteTheAuditLog(t *testing.T) {
	w := newWorld(t)
	w.append(entry(1))
	for _, statement := range []string{
		`UPDATE audit_log SET detail = ''`, `UPDATE audit_log SET hash = sha256('x')`, `UPDATE audit_log SET sequence = 7`,
		`DELETE FROM audit_log`, `TRUNCATE audit_log`,
		`DELETE FROM audit_head`, `TRUNCATE audit_head`, `INSERT INTO audit_head (only_row, sequence, hash) VALUES (true, 0, sha256('x'))`,
		`UPDATE audit_head SET only_row = true`,
	} {
		_, err := w.pool.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v, want permission denied", statement, err)
		}
	}
	if _, err := switching.AdoptAudit(t.Context(), w.pool, "ann", "a test"); err != nil {
		t.Errorf("nothing to adopt: %v", err)
	}
}

// Rows of a host of the version before are taken in, and it is told that they were.
func TestAdoptedRowsAreInTheChain(t *testing.T) {
	w := newWorld(t)
	w.append(entry(1))
	for range 2 {
		w.sql(`INSERT INTO audit_log (recorded_at, kind, subject, detail) VALUES ('2026-03-10', 'mac_failure', 'terminal 1', 'by an older host')`)
	}
	w.append(entry(4))
	if p := w.chain().Problem; p == nil || p.Row != "audit_id 2" || p.Fault != "not chained" {
		t.Fatalf("found %v", p)
	}
	if _, err := switching.AdoptAudit(t.Context(), w.owner(), "ann", ""); err == nil {
		t.Error("adopted without a reason")
	}
	for _, want := range []int{2, 0} {
		n, err := switching.AdoptAudit(t.Context(), w.owner(), "ann", "rolling upgrade")
		w.must(err)
		if n != want {
			t.Errorf("adopted %d, want %d", n, want)
		}
	}
	w.intact(5)
	if a := w.audited(); a.Kind != "audit_adopted" || a.Subject != "audit_id 2 to 3" || a.Detail != "2 rows, by ann: rolling upgrade" {
		t.Errorf("told as %+v", a)
	}
}

// Nobody writes past the chain: there is one statement that inserts.
func TestOneStatementWritesTheAuditLog(t *testing.T) {
	var found []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "INTO audit_log") {
			found = append(found, path)
		}
		return err
	})
	if err != nil || !slices.Equal(found, []string{filepath.Join("..", "switch", "audit_chain.go")}) {
		t.Errorf("written by %q, %v", found, err)
	}
}

func TestAuditHashText(t *testing.T) {
	h := switching.AuditHash(sha256.Sum256([]byte("x")))
	text, err := h.MarshalText()
	var back switching.AuditHash
	if err != nil || back.UnmarshalText(text) != nil || back != h {
		t.Errorf("%s: %v", text, err)
	}
	for _, wrong := range []string{"", "00", strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		if back.UnmarshalText([]byte(wrong)) == nil {
			t.Errorf("took %q", wrong)
		}
	}
}
