package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/postgres"
)

// morning is before the cutoff of 2026-03-10 in both calendars, and the evening
// of the same date, eveningAfter later, is past it.
var morning = time.Date(2026, 3, 10, 1, 0, 0, 0, time.UTC)

const eveningAfter = 16 * time.Hour

// Every step of a close can be the last one that a host does.
func TestKilledAtEveryStep(t *testing.T) {
	b := newBooks(t, morning)
	var steps []string
	recorder := &cutover{db: b.pool, now: morning, patience: time.Second, at: func(step string) error {
		if !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
		return nil
	}}
	if _, err := recorder.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(steps) < 10 {
		t.Fatalf("only the steps %q", steps)
	}
	killed := errors.New("killed")
	date := MakeDate(2026, 3, 10)
	for _, how := range []string{"error", "cancel", "connection lost"} {
		for _, step := range steps {
			date++
			now := morning.AddDate(0, 0, int(date-MakeDate(2026, 3, 10))).Add(eveningAfter)
			b.ensure(now)
			b.sell(date, 10_00, 5)
			ctx, cancel := context.WithCancel(t.Context())
			hit := 0
			c := &cutover{db: b.pool, now: now, patience: time.Second, at: func(s string) error {
				if s != step {
					return nil
				}
				hit++
				switch how {
				case "cancel":
					cancel()
					return nil
				case "connection lost":
					b.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
						WHERE datname = current_database() AND usename = current_user AND state LIKE 'idle in transaction%'`)
					return nil
				}
				return killed
			}}
			run, err := c.run(ctx)
			cancel()
			if hit == 0 {
				t.Fatalf("%s never came", step)
			}
			lost := how == "connection lost" && (step == "cut" || step == "closed") // nothing was open to be lost
			if err == nil && !lost && !(how == "cancel" && step == "closed") {
				t.Fatalf("%s at %q: no error, %+v", how, step, run)
			}
			b.verify()
			// A connection that was given up may hold its locks a moment longer; the run after it skips what it holds.
			var due int64
			for limit := time.Now().Add(30 * time.Second); ; {
				b.run(now)
				b.verify()
				due = b.int(`SELECT count(*) FROM windows w JOIN business_days d USING (calendar_id, business_date) WHERE w.state < 3 AND d.closes_at <= $1`, now)
				if due == 0 || time.Now().After(limit) {
					break
				}
			}
			statements := b.int(`SELECT count(*) FROM settlements WHERE business_date = $1 AND sale_minor = 1005 AND closing_payable_minor = opening_payable_minor + 1005`, date.Time())
			if due != 0 || statements != int64(len(booksMerchants)) {
				t.Fatalf("%s at %q: %d windows are due, %d statements", how, step, due, statements)
			}
		}
	}
}

func TestManyHostsCloseOnce(t *testing.T) {
	b := newBooks(t, morning)
	const days, hosts = 25, 6
	b.run(morning)
	b.verify()
	first := MakeDate(2026, 3, 10)
	windows := 0
	var closed tally
	for day := range days {
		date := first.AddDays(day)
		now := morning.AddDate(0, 0, day).Add(eveningAfter)
		b.ensure(now)
		b.sell(date, 1, 2, 3)
		start := make(chan struct{})
		var hostsAtIt sync.WaitGroup
		errs := make(chan error, hosts)
		for range hosts {
			hostsAtIt.Go(func() {
				<-start
				run, err := RunCutover(context.WithoutCancel(t.Context()), b.pool, now)
				closed.add(run)
				errs <- err
			})
		}
		close(start)
		hostsAtIt.Wait()
		close(errs)
		for err := range errs {
			b.must(err)
		}
		// What hosts left to each other is done by the next run.
		closed.add(b.run(now))
		windows += 4
		if due := b.int(`SELECT count(*) FROM windows w JOIN business_days d USING (calendar_id, business_date) WHERE w.state < 3 AND d.closes_at <= $1`, now); due != 0 {
			t.Fatalf("%s: %d windows are not closed", date, due)
		}
	}
	b.verify()
	for w, times := range closed.closed {
		if times != 1 {
			t.Errorf("%+v closed %d times", w, times)
		}
	}
	if statements := b.int(`SELECT count(*) FROM settlements`); statements != days*4 {
		t.Errorf("%d statements, want %d", statements, days*4)
	}
	if n := int64(len(closed.closed)); n != b.int(`SELECT count(*) FROM window_seals`)-sealedBefore(b) {
		t.Errorf("%d windows closed by the hosts, %d seals", n, b.int(`SELECT count(*) FROM window_seals`))
	}
}

// sealedBefore counts what was closed before the first date of sales.
func sealedBefore(b *books) int64 {
	return b.int(`SELECT count(*) FROM window_seals WHERE sealed_at = $1`, morning)
}

func TestCatchUpInOrder(t *testing.T) {
	b := newBooks(t, morning)
	b.run(morning)
	for day := range 5 {
		b.sell(MakeDate(2026, 3, 10).AddDays(day), int64(100*(day+1)))
	}
	now := morning.AddDate(0, 0, 4).Add(eveningAfter)
	run := b.run(now)
	last := map[int16]Date{}
	for _, w := range run.Closed {
		if w.BusinessDate < last[w.CalendarID] {
			t.Errorf("calendar %s: %s closed after %s", w.Calendar, w.BusinessDate, last[w.CalendarID])
		}
		last[w.CalendarID] = w.BusinessDate
	}
	if len(run.Closed) != 5*4 || run.Waiting != 0 || run.More {
		t.Errorf("%+v", run)
	}
	b.verify()
	if payable := b.int(`SELECT closing_payable_minor FROM settlements WHERE merchant_id = 1 ORDER BY business_date DESC LIMIT 1`); payable != 1500 {
		t.Errorf("payable %d", payable)
	}
}

// A date that cannot be closed holds up its own line and no other.
func TestTroubleStaysInItsBucket(t *testing.T) {
	b := newBooks(t, morning)
	b.run(morning)
	b.sell(MakeDate(2026, 3, 11), 100)
	b.sell(MakeDate(2026, 3, 12), 100)
	now := morning.AddDate(0, 0, 2).Add(eveningAfter)
	trouble := errors.New("trouble")
	c := &cutover{db: b.pool, now: now, patience: time.Second}
	seen := 0
	c.at = func(step string) error {
		if step == "sum up" {
			if seen++; seen == 1 { // the first window of the first calendar
				return trouble
			}
		}
		return nil
	}
	run, err := c.run(t.Context())
	if !errors.Is(err, trouble) || !strings.Contains(err.Error(), "berlin") {
		t.Fatalf("error %v", err)
	}
	// The 10th to the 12th of two calendars in two buckets, less one bucket of Berlin.
	if len(run.Closed) != 9 || run.Waiting != 3 {
		t.Fatalf("closed %d, waiting %d", len(run.Closed), run.Waiting)
	}
	b.verify()
	if again := b.run(now); len(again.Closed) != 3 {
		t.Fatalf("then closed %+v", again.Closed)
	}
	b.verify()
}

// The cut waits for a unit of work that holds the window's row, and no longer
// than its patience.
func TestCutWaitsForRequestsInFlight(t *testing.T) {
	b := newBooks(t, morning)
	b.run(morning)
	now := morning.Add(eveningAfter)
	hold := func() pgx.Tx {
		tx, err := b.pool.Begin(t.Context())
		b.must(err)
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // where the test has failed
		_, err = tx.Exec(t.Context(), `SELECT FROM windows WHERE business_date = '2026-03-10' FOR SHARE`)
		b.must(err)
		return tx
	}
	unit := hold()
	impatient := &cutover{db: b.pool, now: now, patience: 10 * time.Millisecond}
	run, err := impatient.run(t.Context())
	if !postgres.LockNotWon(err) || len(run.Closed) != 0 || run.Waiting != 4 {
		t.Fatalf("error %v, %+v", err, run)
	}
	done := make(chan CutoverRun)
	go func() {
		patient, err := RunCutover(context.WithoutCancel(t.Context()), b.pool, now)
		if err != nil {
			t.Error(err)
		}
		done <- patient
	}()
	for b.int(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		select {
		case run := <-done:
			t.Fatalf("did not wait: %+v", run)
		default:
		}
	}
	// The unit still posts into the date: it holds it.
	_, err = unit.Exec(t.Context(), `INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
		VALUES (0, '2026-03-10', gen_random_uuid(), 1, 2, 1, 978, $1, $2, 700)`, Account(RoleSchemeReceivable, 1), Account(RoleMerchantPending, 3))
	b.must(err)
	b.must(unit.Commit(t.Context()))
	if run := <-done; len(run.Closed) != 4 {
		t.Fatalf("closed %+v", run)
	}
	b.verify()
	if gross := b.int(`SELECT gross_minor FROM settlements WHERE merchant_id = 3`); gross != 700 {
		t.Fatalf("gross %d", gross)
	}
}

// While the long part of a close is under way, the rows of this window and the
// next can be share-locked at once, even by a host whose clock is slow.
func TestCloseLeavesWindowsFree(t *testing.T) {
	b := newBooks(t, morning)
	b.run(morning)
	b.sell(MakeDate(2026, 3, 10), 100)
	looked := 0
	c := &cutover{db: b.pool, now: morning.Add(eveningAfter), patience: time.Second}
	c.at = func(step string) error {
		if step == "commit" || step == "closed" {
			return nil // the state's change is the last thing before the commit
		}
		looked++
		_, err := b.owner.Exec(context.Background(), `SELECT FROM windows FOR SHARE NOWAIT`)
		if err != nil {
			return fmt.Errorf("at %s: %w", step, err)
		}
		return nil
	}
	if _, err := c.run(t.Context()); err != nil || looked < 8 {
		t.Fatalf("looked %d times: %v", looked, err)
	}
}

// Another host at the same window is not waited for.
func TestBusyWindowIsSkipped(t *testing.T) {
	b := newBooks(t, morning)
	b.run(morning)
	b.sell(MakeDate(2026, 3, 10), 100)
	now := morning.Add(eveningAfter)
	var inner CutoverRun
	c := &cutover{db: b.pool, now: now, patience: time.Second}
	first := true
	c.at = func(step string) error {
		if step == "seal" && first {
			first = false
			var err error
			inner, err = RunCutover(context.Background(), b.pool, now)
			return err
		}
		return nil
	}
	outer, err := c.run(t.Context())
	b.must(err)
	if len(outer.Closed) != 1 || outer.Waiting != 3 || len(inner.Closed) != 3 || inner.Waiting != 1 {
		t.Fatalf("outer %+v, inner %+v", outer, inner)
	}
	b.verify()
}

// Each fault planted in a settled ledger is found by the check that is for it.
func TestPlantedFaultsAreFound(t *testing.T) {
	b := newBooks(t, morning)
	b.sell(MakeDate(2026, 3, 10), 7, 8)
	b.sell(MakeDate(2026, 3, 11), 9)
	b.run(morning.AddDate(0, 0, 1).Add(eveningAfter))
	b.verify()
	for _, c := range []struct{ check, fault string }{
		{"closed windows are unchanged since their seal", `UPDATE transfers SET journal_id = '00000000-0000-7000-8000-000000000001' WHERE kind = 2 AND bucket = 0 AND business_date = '2026-03-10' AND amount_minor = 7 AND (credit_account & 65535) = 1`},
		{"statements equal transfers", `UPDATE transfers SET amount_minor = amount_minor + 1 WHERE kind = 2 AND amount_minor = 7`},
		{"nothing is pending on closed dates", `DELETE FROM transfers WHERE kind = 14 AND bucket = 0 AND business_date = '2026-03-10'`},
		{"statements equal transfers", `DELETE FROM transfers WHERE kind = 2 AND amount_minor = 7 AND bucket = 1`},
		{"statements equal transfers", `INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
			SELECT bucket, business_date, gen_random_uuid(), 1, 2, 1, 840, debit_account, credit_account, 5 FROM transfers WHERE kind = 2 AND amount_minor = 7 LIMIT 1`},
		{"statements equal transfers", `DELETE FROM settlements WHERE merchant_id = 1 AND business_date = '2026-03-11'`},
		{"transfers of closes have their statement", `UPDATE settlements SET journal_id = gen_random_uuid() WHERE merchant_id = 3`},
		{"statements follow one another", `UPDATE settlements SET opening_payable_minor = opening_payable_minor + 1, closing_payable_minor = closing_payable_minor + 1 WHERE merchant_id = 1 AND business_date = '2026-03-11'`},
		{"statements equal transfers", `UPDATE settlements SET sale_count = sale_count + 1 WHERE merchant_id = 1 AND business_date = '2026-03-11'`},
		{"windows are sealed as their statements", `UPDATE window_seals SET digest = digest + 1 WHERE bucket = 0 AND business_date = '2026-03-10'`},
		{"windows are sealed as their statements", `DELETE FROM window_seals WHERE bucket = 1 AND business_date = '2026-03-10' AND calendar_id = 2`},
		{"windows close in order", `UPDATE windows SET state = 1 WHERE business_date = '2026-03-10' AND bucket = 0 AND calendar_id = 1`},
		{"windows close in order", `UPDATE cutovers SET cut_at = cut_at - interval '3 days' WHERE bucket = 1`},
	} {
		tx, err := b.owner.Begin(t.Context())
		b.must(err)
		_, err = tx.Exec(t.Context(), c.fault)
		found, checked := RunChecks(t.Context(), tx, Checks())
		b.must(errors.Join(err, checked, tx.Rollback(t.Context())))
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Check == c.check && f.Subject != "" && f.Detail != "" }) {
			t.Errorf("%s: found only %+v", c.fault, found)
		}
	}
}

func TestStates(t *testing.T) {
	b := newBooks(t, morning)
	find := func(now time.Time, calendar, bucket int16) CutoverState {
		t.Helper()
		list, err := CutoverStates(t.Context(), b.pool, now)
		b.must(err)
		if len(list) != 4 {
			t.Fatalf("%d states", len(list))
		}
		i := slices.IndexFunc(list, func(s CutoverState) bool { return s.CalendarID == calendar && s.Bucket == bucket })
		return list[i]
	}
	b.run(morning)
	ended, err := EndedDates(t.Context(), b.pool, morning, 3)
	b.must(err)
	if len(ended) != 2 || ended[0].Late() || ended[0].BusinessDate.String() != "2026-03-09" || ended[0].Buckets != 2 || !ended[0].ClosedAt.Equal(morning) {
		t.Errorf("%+v", ended)
	}
	s := find(morning, shanghai, 1)
	if s.OpenDate.String() != "2026-03-10" || s.LastClosed.String() != "2026-03-09" || s.Due != 0 || s.Lag != 0 || !s.LastClosedAt.Equal(morning) {
		t.Errorf("%+v", s)
	}
	late := morning.AddDate(0, 0, 1).Add(eveningAfter)
	s = find(late, shanghai, 1)
	if s.OpenDate.String() != "2026-03-12" || s.Due != 2 || s.OldestDue.String() != "2026-03-10" || s.Lag != 26*time.Hour || s.LagSeconds != 26*3600 {
		t.Errorf("%+v", s)
	}
	c := &cutover{db: b.pool, now: late, patience: time.Second, at: func(step string) error {
		if step == "prepare" {
			return errors.New("killed")
		}
		return nil
	}}
	if _, err := c.run(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if s = find(late, shanghai, 1); s.CuttingDate.String() != "2026-03-10" || s.Due != 2 {
		t.Errorf("%+v", s)
	}
	// All that is late, however little is asked for; then what is done.
	ended, err = EndedDates(t.Context(), b.pool, late, 1)
	b.must(err)
	if len(ended) != 4 || !ended[0].Late() || !ended[3].Late() || ended[0].BusinessDate.String() != "2026-03-11" || ended[3].Sealed != 0 || ended[3].ClosedAt != nil {
		t.Errorf("%+v", ended)
	}
}

// A sandbox's clock may go back behind a cutoff that was worked off. What is sealed stays sealed, so the next
// cutoff is that of the date which takes the next sale.
func TestSealedDatesAreNotCutAgain(t *testing.T) {
	b := newBooks(t, morning)
	next := func(now time.Time) []Cutoff {
		t.Helper()
		list, err := NextCutoffs(t.Context(), b.pool, b.cals[0], now, 2)
		b.must(err)
		if len(list) != 2 || list[1].BusinessDate != list[0].BusinessDate.AddDays(1) {
			t.Fatalf("%+v", list)
		}
		return list
	}
	b.run(morning)
	if first := next(morning)[0]; first.BusinessDate.String() != "2026-03-10" {
		t.Errorf("at first %s", first.BusinessDate)
	}
	b.run(morning.AddDate(0, 0, 2).Add(eveningAfter))
	if first := next(morning)[0]; first.BusinessDate.String() != "2026-03-13" || !first.Made {
		t.Errorf("back in the morning %+v", first)
	}
	b.ensure(morning.AddDate(0, 0, 20))
	b.run(morning.AddDate(0, 0, 20).Add(eveningAfter))
	if first := next(morning)[0]; first.BusinessDate.String() != "2026-03-31" {
		t.Errorf("back over more dates than are shown %s", first.BusinessDate)
	}
}

// A schedule in which hosts run, die and race at random ends as one host's
// would.
func TestRandomDeaths(t *testing.T) {
	b := newBooks(t, morning)
	random := rand.New(rand.NewPCG(20260310, 5))
	first := MakeDate(2026, 3, 10)
	for day := range 8 {
		now := morning.AddDate(0, 0, day).Add(eveningAfter)
		b.ensure(now)
		b.sell(first.AddDays(day), 10, 20)
		var hosts sync.WaitGroup
		for range 4 {
			fatal := random.IntN(30)
			hosts.Go(func() {
				n := 0
				c := &cutover{db: b.pool, now: now, patience: time.Second, at: func(string) error {
					if n++; n > fatal {
						return errors.New("killed")
					}
					return nil
				}}
				_, _ = c.run(context.WithoutCancel(t.Context())) // it may die
			})
		}
		hosts.Wait()
	}
	b.run(morning.AddDate(0, 0, 7).Add(eveningAfter))
	b.verify()
	if n := b.int(`SELECT count(*) FROM settlements WHERE gross_minor = 30`); n != 8*4 {
		t.Fatalf("%d statements", n)
	}
	if payable := b.int(`SELECT sum(closing_payable_minor) FROM settlements WHERE business_date = $1`, first.AddDays(7).Time()); payable != 4*8*30 {
		t.Fatalf("payable %d", payable)
	}
}

// A host that knows only of a later date does not cut it before the earlier one
// is closed.
func TestNoDateIsCutBeforeTheOneBeforeIt(t *testing.T) {
	b := newBooks(t, morning)
	b.run(morning)
	now := morning.AddDate(0, 0, 1).Add(eveningAfter)
	c := &cutover{db: b.pool, now: now, patience: time.Second}
	later := dueWindow{bucket: 0, calendarID: shanghai, calendar: "shanghai", date: MakeDate(2026, 3, 11), state: WindowOpen}
	closed, err := c.window(t.Context(), later)
	if err != nil || closed != nil {
		t.Fatalf("%+v, %v", closed, err)
	}
	if n := b.int(`SELECT count(*) FROM windows WHERE business_date = '2026-03-11' AND state > 1`); n != 0 {
		t.Fatalf("%d windows of the later date are cut", n)
	}
	b.run(now)
	b.verify()
}

// Whether anything moved on a date is seen in the first row of its key, not in all rows of the date or the month.
func TestQuietDatesAreSeenInTheKey(t *testing.T) {
	t.Parallel()
	b := newBooks(t, time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC))
	b.sql(`
		INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
		SELECT 0, date '2026-03-01' + n / 2000, gen_random_uuid(), 1, $1, $2, 978, $3, $4, 100 FROM generate_series(0, 19999) AS n`,
		KindSale, Posted, Account(RoleSchemeReceivable, 1), Account(RoleMerchantPending, 1))
	b.sql(`ANALYZE transfers`)
	for date, want := range map[string]bool{"2026-03-01": true, "2026-03-10": true, "2026-03-11": false} {
		tx, err := b.pool.Begin(t.Context())
		b.must(err)
		_, err = tx.Exec(t.Context(), closeSettingsSQL)
		b.must(err)
		var moved bool
		b.must(tx.QueryRow(t.Context(), movedAtAllSQL, 0, date).Scan(&moved))
		rows, err := tx.Query(t.Context(), "EXPLAIN "+movedAtAllSQL, 0, date)
		b.must(err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		b.must(err)
		b.must(tx.Rollback(t.Context()))
		if text := strings.Join(plan, "\n"); moved != want || strings.Contains(text, "Bitmap") || strings.Contains(text, "Seq Scan") {
			t.Errorf("%s moved %t, want %t, by\n%s", date, moved, want, text)
		}
	}
}
