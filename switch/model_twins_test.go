package switching_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/ledger"
	"meridian/switch"
	"meridian/switch/model"
)

// twins are two hosts over one database and the model of what they do. Every
// sequence of questions begins with a database in which nothing has happened.
type twins struct {
	tb    testing.TB
	hosts [2]*world
	clock *clock
	owner *pgx.Conn // the database's owner, who may delete and change reference data
	clear string    // empties every table that hosts write

	m *model.World
	// told is what terminals were told apart from the model's answer, by the
	// model's transaction.
	told []told
	stan int
	last time.Time // the clock must not be moved past it
}

type told struct {
	rrn      int64
	authCode string
}

// The calendar of each merchant, and where it lives. The first two share a
// bucket, so that an RRN of the one means something to the other.
var (
	twinZones   = []struct{ name, cutoff string }{{"Asia/Shanghai", "23:00"}, {"Europe/Berlin", "02:30"}, {"America/New_York", "17:00"}}
	twinBuckets = []int{0, 0, 1}
	twinOwners  = []int{0, 0, 1, 2} // of each terminal, its merchant
	twinCards   = []model.Card{
		{BalanceMinor: 100_000, Expiry: "3012", Network: "onus"},
		{BalanceMinor: 100_000, Expiry: "3012", Network: "fleet"},
		{BalanceMinor: 3_000, Expiry: "3012", Network: "onus"},
		{BalanceMinor: 100_000, Expiry: "2803", Network: "onus"},
	}
	twinOperators = map[model.OperatorKey]model.Operator{
		{Merchant: 0, Number: "01"}: {Password: "0001", Active: true},
		{Merchant: 0, Number: "99"}: {Password: "0099", Supervisor: true, Active: true},
		{Merchant: 1, Number: "01"}: {Password: "1001", Active: true},
		{Merchant: 1, Number: "99"}: {Password: "1099", Supervisor: true, Active: true},
		{Merchant: 2, Number: "99"}: {Password: "2099", Supervisor: true, Active: true},
	}
)

// Business days are made for all that the clock may show: two changes of the
// clocks in each zone, a leap day and a year's end are among them.
var (
	twinsFrom = time.Date(2027, 10, 28, 0, 0, 0, 0, time.UTC)
	twinsTo   = time.Date(2028, 5, 2, 0, 0, 0, 0, time.UTC)
)

// How far the clock may be moved on in a sequence, in days: beyond the refund
// window. It is never before the begin: every date before it would have to be
// closed first.
const daysOn = 45

func twinPolicy() model.Policy {
	return model.Policy{
		Mode: model.Auto, MaxAmountMinor: 50_000, MaxCashbackMinor: 10_000, CompletionPercent: 115, HoldDays: 7,
		AllowAuthorization: true, AllowCashback: true, AllowOfflineAdvice: true, AllowVoid: true, AllowRefund: true,
		RefundWindowDays: 30, ReversalWindowDays: 30, MaxRefunds: 3,
		MaxVoidsPerDay: model.NoLimit, MaxVoidMinorPerDay: model.NoLimit, ReviewThresholdMinor: model.NoLimit,
		RefundToLost: model.CardAllow, RefundToFrozen: model.CardAllow, RefundToClosed: model.CardAllow,
	}
}

func newTwins(t testing.TB) *twins {
	t.Helper()
	ctx := t.Context()
	tw := &twins{tb: t, clock: &clock{now: twinsFrom}}
	url := pgtest.Database(t, migrate)
	var err error
	tw.owner, err = pgx.Connect(ctx, url)
	tw.must(err)
	t.Cleanup(func() { tw.must(tw.owner.Close(context.Background())) })
	tw.seed(ctx)
	tw.prepareClear(ctx)
	// What is cleared is cleared as a whole, and what is made fits: foreign keys
	// need not be looked at for each row; and compiling plans for a few rows takes
	// longer than they do. Hosts have connections of their own.
	tw.exec(`SET session_replication_role = replica; SET jit = off`)
	for i := range tw.hosts {
		tw.hosts[i] = &world{t: t, url: url, clock: tw.clock}
		// Housekeeping is called here, and a machine that stands still for a while
		// makes no difference.
		tw.hosts[i].open(ctx, patience/2, switching.Options{Refresh: 1000 * time.Hour, StoreTimeout: time.Hour, AnswerTimeout: 2 * time.Hour})
	}
	tw.reset(beginnings[0])
	return tw
}

func (tw *twins) must(err error) {
	tw.tb.Helper()
	if err != nil {
		tw.tb.Fatal(err)
	}
}

func (tw *twins) exec(query string, args ...any) {
	tw.tb.Helper()
	_, err := tw.owner.Exec(context.Background(), query, args...)
	tw.must(err)
}

// seed writes reference data; ids are the model's indexes and one.
func (tw *twins) seed(ctx context.Context) {
	tw.tb.Helper()
	tw.exec(`DELETE FROM buckets WHERE bucket > 1`)
	for i, z := range twinZones {
		tw.exec(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES ($1, $2, $2, $3::text::time, '2027-01-01')`,
			i+1, z.name, z.cutoff)
		tw.exec(`INSERT INTO policies (policy_id, name) VALUES ($1, $2)`, i+1, z.name)
		tw.exec(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES ($1::int, $2, $3, $3::text, 156, $1::int, $1::int)`,
			i+1, twinBuckets[i], twinMID(i))
	}
	for i, merchant := range twinOwners {
		tw.exec(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES ($1, $2, $3, 'nac')`, i+1, twinTID(i), merchant+1)
	}
	tw.exec(`INSERT INTO bin_ranges (low, high, network, route) VALUES
		('6217120000000000000', '6217129999999999999', 'onus', 'onus'), ('6250940000000000000', '6250949999999999999', 'fleet', 'onus')`)
	for i, c := range twinCards {
		tok := token(tw.pan(i))
		tw.exec(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency) VALUES ($1, $2, $3, $4, 156)`,
			i+1, tok[:], tw.pan(i).Masked(), c.Expiry)
	}
	for k, o := range twinOperators {
		tw.exec(`INSERT INTO operators (merchant_id, operator_no, supervisor, password_hash) VALUES ($1, $2, $3, $4)`,
			k.Merchant+1, k.Number, o.Supervisor, cheapHash(o.Password))
	}
	calendars, err := ledger.Calendars(ctx, tw.owner)
	tw.must(err)
	for _, now := range []time.Time{twinsFrom, twinsTo} {
		tw.must(ledger.EnsureWindows(ctx, tw.owner, calendars, now))
	}
}

func twinMID(merchant int) string { return fmt.Sprintf("10411000000%04d", merchant+1) }
func twinTID(terminal int) string { return fmt.Sprintf("1000%04d", terminal+1) }

// prepareClear finds the tables that hosts write: whatever a later version
// adds is emptied too.
func (tw *twins) prepareClear(ctx context.Context) {
	tw.tb.Helper()
	rows, err := tw.owner.Query(ctx, `
		SELECT table_name::text FROM information_schema.role_table_grants
		WHERE grantee = 'meridian_service' AND privilege_type = 'INSERT'
			AND table_name NOT IN ('business_days', 'rrn_days')
		ORDER BY table_name = 'windows', table_name`)
	tw.must(err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	tw.must(err)
	if !slices.Contains(tables, "transfers") {
		tw.tb.Fatalf("hosts write %v only", tables)
	}
	for _, table := range append(tables, "card_loads") { // people load cards, not hosts
		tw.clear += "DELETE FROM " + table + ";"
	}
	// Nothing is in the audit log yet: its chain begins anew from here.
	var sequence int64
	var hash []byte
	tw.must(tw.owner.QueryRow(ctx, `SELECT sequence, hash FROM audit_head`).Scan(&sequence, &hash))
	tw.clear += fmt.Sprintf(`UPDATE audit_head SET sequence = %d, hash = '\x%x';`, sequence, hash)
}

// reset makes a new database of the old one: nothing has happened, and every
// card has its load. Whoever calls it has still to publish what the shops do.
func (tw *twins) reset(begin time.Time) {
	tw.tb.Helper()
	ctx := context.Background()
	tw.exec(tw.clear)
	m := &model.World{Now: begin}
	from := begin.UTC().AddDate(0, 0, -1)
	tw.last = begin.Add(daysOn * 24 * time.Hour)
	// Where no merchant of the calendar is, a window that is never due is enough.
	tw.exec(`INSERT INTO windows (bucket, calendar_id, business_date)
		SELECT b.bucket, d.calendar_id, d.business_date FROM buckets b, business_days d
		WHERE d.business_date = $2 OR d.business_date BETWEEN $1 AND $2
			AND EXISTS (SELECT FROM merchants m WHERE m.bucket = b.bucket AND m.calendar_id = d.calendar_id)`,
		from, tw.last.AddDate(0, 0, 2))
	for i := range twinZones {
		zone, err := time.LoadLocation(twinZones[i].name)
		tw.must(err)
		cutoff, err := time.Parse("15:04", twinZones[i].cutoff)
		tw.must(err)
		m.Calendars = append(m.Calendars, model.Calendar{Zone: zone, Cutoff: time.Duration(cutoff.Hour())*time.Hour + time.Duration(cutoff.Minute())*time.Minute})
		m.Unsealed = append(m.Unsealed, model.DateOn(from.Date()))
		m.Merchants = append(m.Merchants, model.Merchant{
			Calendar: i, Bucket: twinBuckets[i], Currency: 156, Policy: twinPolicy(), Active: true, AllowVoid: true, AllowRefund: true,
		})
	}
	for _, merchant := range twinOwners {
		m.Terminals = append(m.Terminals, model.Terminal{
			Merchant: merchant, Active: true, AllowVoid: true, AllowRefund: true, Batch: model.FirstBatch(),
		})
	}
	m.Operators = maps.Clone(twinOperators)
	b := &pgx.Batch{}
	for i, c := range twinCards {
		c.Currency, c.Status = 156, model.CardActive
		m.Cards = append(m.Cards, c)
		b.Queue(`UPDATE card_accounts SET balance_minor = $2, held_minor = 0, status = 1 WHERE card_id = $1`, i+1, c.BalanceMinor)
		j := ledger.Journal{ID: uuid.New(), Date: ledger.DateOf(from), Currency: money.CNY}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), c.BalanceMinor)
		ledger.QueueTransfers(b, 0, j.Transfers)
		b.Queue(`INSERT INTO card_loads VALUES ($1, 'opening', $2, 0, $3, $4, now())`, i+1, c.BalanceMinor, j.Date.Time(), j.ID)
	}
	tw.must(tw.owner.SendBatch(ctx, b).Close())
	tw.m, tw.told, tw.stan = m, nil, 0
	tw.clock.set(m.Now)
}

// setClock moves the hosts and the model.
func (tw *twins) setClock(now time.Time) {
	tw.m.Now = now
	tw.clock.set(now)
}

// statuses of cards by their stored numbers, from 1.
var twinStatuses = []model.CardStatus{
	model.CardActive, model.CardBlocked, model.CardLost, model.CardStolen, model.CardFrozen, model.CardClosed,
}

func (tw *twins) setCardStatus(i int, s model.CardStatus) {
	tw.tb.Helper()
	tw.m.Cards[i].Status = s
	tw.exec(`UPDATE card_accounts SET status = $2 WHERE card_id = $1`, i+1, slices.Index(twinStatuses, s)+1)
}

// cutover closes what is due.
func (tw *twins) cutover(host int) {
	tw.tb.Helper()
	due := tw.m.Cutover()
	run, err := ledger.RunCutover(context.Background(), tw.hosts[host].pool, tw.m.Now)
	tw.must(err)
	if len(run.Closed) != due || run.Waiting != 0 {
		tw.tb.Fatalf("%d windows closed and %d waiting, want %d", len(run.Closed), run.Waiting, due)
	}
}

func (tw *twins) expireHolds(host int) {
	tw.tb.Helper()
	tw.m.ExpireHolds()
	tw.must(tw.hosts[host].sw.ExpireHolds(context.Background()))
}

// nextSTAN is one that no terminal has used.
func (tw *twins) nextSTAN() int {
	tw.stan++
	return tw.stan
}
