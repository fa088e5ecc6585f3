package switching_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"meridian/internal/card"
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
	// dirty: policies are not as newTwins made them.
	dirty bool
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
		{BalanceMinor: 100_000, Expiry: "3012"},
		{BalanceMinor: 100_000, Expiry: "3012"},
		{BalanceMinor: 3_000, Expiry: "3012"},
		{BalanceMinor: 100_000, Expiry: "2803"},
	}
)

// Business days are made for all that the clock may show: two changes of the
// clocks in each zone, a leap day and a year's end are among them.
var (
	twinsFrom = time.Date(2027, 10, 2, 0, 0, 0, 0, time.UTC)
	twinsTo   = time.Date(2029, 1, 25, 0, 0, 0, 0, time.UTC)
)

// How far the clock may be moved in a sequence, in days: beyond the refund
// window and back beyond a few cutoffs.
const daysBack, daysOn = 5, 45

func twinPolicy() model.Policy {
	return model.Policy{
		Mode: model.Auto, MaxAmountMinor: 50_000, MaxCashbackMinor: 10_000, CompletionPercent: 115, HoldDays: 7,
		AllowAuthorization: true, AllowCashback: true, AllowOfflineAdvice: true, AllowVoid: true, AllowRefund: true,
		RefundWindowDays: 30, MaxRefunds: 3,
	}
}

func newTwins(t testing.TB) *twins {
	t.Helper()
	ctx := t.Context()
	tw := &twins{tb: t, clock: &clock{now: twinsFrom}, dirty: true}
	url := pgtest.Database(t, migrate)
	var err error
	tw.owner, err = pgx.Connect(ctx, url)
	tw.must(err)
	t.Cleanup(func() { tw.must(tw.owner.Close(context.Background())) })
	tw.seed(ctx)
	tw.prepareClear(ctx)
	for i := range tw.hosts {
		tw.hosts[i] = &world{t: t, url: url, clock: tw.clock}
		tw.hosts[i].open(ctx, switching.Options{Refresh: 1000 * time.Hour}) // housekeeping is called here
	}
	tw.reset(twinsFrom.Add(1000 * time.Hour))
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
	tw.exec(`INSERT INTO bin_ranges (low, high, network, route) VALUES ('6217120000000000000', '6217129999999999999', 'onus', 'onus')`)
	for i, c := range twinCards {
		tok := token(cardNumber(i))
		tw.exec(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency) VALUES ($1, $2, $3, $4, 156)`,
			i+1, tok[:], cardNumber(i).Masked(), c.Expiry)
	}
	calendars, err := ledger.Calendars(ctx, tw.owner)
	tw.must(err)
	for _, now := range []time.Time{twinsFrom, twinsTo, twinsTo} { // a call makes up for 400 days at most
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
	for _, table := range tables {
		tw.clear += "DELETE FROM " + table + ";"
	}
}

// reset makes a new database of the old one: nothing has happened, and every
// card has its load.
func (tw *twins) reset(begin time.Time) {
	tw.tb.Helper()
	ctx := context.Background()
	tw.exec(tw.clear)
	m := &model.World{Now: begin}
	from := begin.UTC().AddDate(0, 0, -daysBack-1)
	tw.last = begin.Add(daysOn * 24 * time.Hour)
	tw.exec(`INSERT INTO windows (bucket, calendar_id, business_date)
		SELECT b.bucket, d.calendar_id, d.business_date FROM buckets b, business_days d WHERE d.business_date BETWEEN $1 AND $2`,
		from, tw.last.AddDate(0, 0, 2))
	for i := range twinZones {
		zone, err := time.LoadLocation(twinZones[i].name)
		tw.must(err)
		cutoff, err := time.Parse("15:04", twinZones[i].cutoff)
		tw.must(err)
		m.Calendars = append(m.Calendars, model.Calendar{Zone: zone, Cutoff: time.Duration(cutoff.Hour())*time.Hour + time.Duration(cutoff.Minute())*time.Minute})
		m.Unsealed = append(m.Unsealed, model.DateOn(from.Date()))
		m.Merchants = append(m.Merchants, model.Merchant{Calendar: i, Bucket: twinBuckets[i], Currency: 156, Policy: twinPolicy()})
	}
	for _, merchant := range twinOwners {
		m.Terminals = append(m.Terminals, model.Terminal{Merchant: merchant})
	}
	b := &pgx.Batch{}
	for i, c := range twinCards {
		c.Currency, c.Status = 156, model.CardActive
		m.Cards = append(m.Cards, c)
		b.Queue(`UPDATE card_accounts SET balance_minor = $2, held_minor = 0, status = 1 WHERE card_id = $1`, i+1, c.BalanceMinor)
		j := ledger.Journal{ID: uuid.New(), Date: ledger.DateOf(from), Currency: money.CNY}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), c.BalanceMinor)
		ledger.QueueTransfers(b, 0, j.Transfers)
	}
	tw.must(tw.owner.SendBatch(ctx, b).Close())
	tw.m, tw.told, tw.stan = m, nil, 0
	tw.clock.set(m.Now)
	if tw.dirty {
		for i := range m.Merchants {
			tw.setPolicy(i, twinPolicy())
		}
		tw.dirty = false
	}
}

// setClock moves the hosts and the model.
func (tw *twins) setClock(now time.Time) {
	tw.m.Now = now
	tw.clock.set(now)
}

// setPolicy changes a merchant's policy and lets the hosts read it.
func (tw *twins) setPolicy(merchant int, p model.Policy) {
	tw.tb.Helper()
	tw.m.Merchants[merchant].Policy = p
	tw.exec(`UPDATE policies SET cancel_mode = $2, max_amount_minor = nullif($3::bigint, 0), max_cashback_minor = nullif($4::bigint, 0),
		completion_percent = $5, hold_days = $6, allow_authorization = $7, allow_cashback = $8, allow_offline_advice = $9,
		allow_void = $10, allow_refund = $11, refund_window_days = $12, max_refunds = $13 WHERE policy_id = $1`,
		merchant+1, string(p.Mode), p.MaxAmountMinor, p.MaxCashbackMinor, p.CompletionPercent, p.HoldDays, p.AllowAuthorization,
		p.AllowCashback, p.AllowOfflineAdvice, p.AllowVoid, p.AllowRefund, p.RefundWindowDays, p.MaxRefunds)
	tw.exec(`UPDATE installation SET directory_version = directory_version + 1`)
	for _, h := range tw.hosts {
		tw.must(h.sw.Refresh(context.Background()))
	}
	tw.dirty = true
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
	due := tw.m.Cutover() * 2 // buckets
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

// Numbers that are no card of ours.
func (tw *twins) pan(i int) card.PAN {
	switch i {
	case model.StrangeCard:
		return cardNumber(len(twinCards) + 100)
	case model.ForeignCard:
		pan, err := card.WithCheckDigit("411111111111111")
		tw.must(err)
		return pan
	case model.MistypedCard:
		digits := cardNumber(0).Reveal()
		last := (digits[len(digits)-1]-'0'+1)%10 + '0'
		pan, err := card.ParsePAN(digits[:len(digits)-1] + string(rune(last)))
		tw.must(err)
		return pan
	default:
		return cardNumber(i)
	}
}

// request is what a host is asked for what the model is asked.
func (tw *twins) request(r model.Request) *switching.Request {
	q := &switching.Request{
		Kind: kindNamed(r.Kind), Dialect: "nac", MID: "999", TID: "99999999",
		STAN: int32(r.STAN), BatchNo: int32(r.Batch), AmountMinor: r.AmountMinor, HasAmount: r.HasAmount,
		CashbackMinor: r.CashbackMinor, ReplacementMinor: r.ReplacementMinor, HasReplacement: r.HasReplacement,
		Currency: money.Currency(r.Currency), Invoice: r.Invoice, Expiry: r.Expiry, ApproveUnknownOriginal: r.ApproveUnknown,
	}
	if r.Merchant != model.Nobody {
		q.MID = twinMID(r.Merchant)
	}
	if r.Terminal != model.Nobody {
		q.TID = twinTID(r.Terminal)
	}
	if r.Card != model.NoCard {
		q.PAN = tw.pan(r.Card)
		q.Token = token(q.PAN)
	}
	switch ref := r.Original; ref.By {
	case model.ByRRN:
		q.Original.HasRRN, q.Original.RRN = true, -1
		if ref.Transaction >= 0 {
			q.Original.RRN = tw.told[ref.Transaction].rrn
		}
	case model.BySTAN:
		q.Original.HasSTAN, q.Original.STAN, q.Original.BatchNo = true, int32(ref.STAN), int32(ref.Batch)
	case model.ByInvoice:
		q.Original.Invoice = ref.Invoice
	case model.ByNothing:
	}
	return q
}

func kindNamed(name model.Kind) switching.Kind {
	for k := switching.KindAuthorization; k <= switching.KindLogon; k++ {
		if k.String() == string(name) {
			return k
		}
	}
	panic("no kind " + name)
}

// ask asks a host and the model, and wants one answer and one world.
func (tw *twins) ask(t rapid.TB, host int, r model.Request) model.Answer {
	t.Helper()
	got := tw.hosts[host].ask(tw.request(r))
	want := tw.m.Ask(r)
	if diff := tw.answersDiffer(got, want); diff != "" {
		t.Fatalf("host %d, %s: %s", host, describe(r), diff)
	}
	t.Logf("%s  host %d: %s → %s", tw.m.Now.Format(time.RFC3339Nano), host, describe(r), describeAnswer(want))
	return want
}

// answersDiffer says what is different between a host's answer and the
// model's. A transaction that is answered for the first time gets its RRN here.
func (tw *twins) answersDiffer(got switching.Response, want model.Answer) string {
	var diff differences
	diff.compare("reason", got.Reason.String(), string(want.Reason))
	diff.compare("became", got.Became.String(), string(want.Became))
	diff.compare("rule", int(got.Rule), want.Rule)
	diff.compare("has an RRN", got.RRN != 0, want.Transaction >= 0)
	if want.HasDate || got.HasBusinessDate && want.Transaction >= 0 {
		diff.compare("business date", got.BusinessDate.String(), want.Date.String())
	}
	diff.compare("has an authorization code", got.AuthCode != "", want.HasAuthCode)
	diff.compare("balance", got.BalanceMinor, want.BalanceMinor)
	diff.compare("has a balance", got.HasBalance, want.HasBalance)
	diff.compare("stored", got.Stored, want.Stored)
	if want.Transaction < 0 || diff != "" {
		return string(diff)
	}
	for want.Transaction >= len(tw.told) {
		tw.told = append(tw.told, told{})
	}
	at := &tw.told[want.Transaction]
	if at.rrn == 0 {
		*at = told{got.RRN, got.AuthCode}
	}
	diff.compare("RRN", got.RRN, at.rrn)
	diff.compare("authorization code", got.AuthCode, at.authCode)
	return string(diff)
}

// differences between what a host has and what the model has, in words.
type differences string

func (d *differences) compare(what string, got, want any) {
	if got != want {
		*d += differences(fmt.Sprintf("\n\t%s: host %v, model %v", what, got, want))
	}
}

func describe(r model.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at merchant %d terminal %d stan %d", r.Kind, r.Merchant, r.Terminal, r.STAN)
	if r.HasAmount {
		fmt.Fprintf(&b, " amount %d", r.AmountMinor)
	}
	if r.CashbackMinor != 0 {
		fmt.Fprintf(&b, " cashback %d", r.CashbackMinor)
	}
	if r.HasReplacement {
		fmt.Fprintf(&b, " replacement %d", r.ReplacementMinor)
	}
	if r.Card != model.NoCard {
		fmt.Fprintf(&b, " card %d", r.Card)
	}
	if r.Currency != 0 || r.Expiry != "" || r.Invoice != "" {
		fmt.Fprintf(&b, " currency %d expiry %q invoice %q", r.Currency, r.Expiry, r.Invoice)
	}
	switch r.Original.By {
	case model.ByRRN:
		fmt.Fprintf(&b, " of #%d", r.Original.Transaction)
	case model.BySTAN:
		fmt.Fprintf(&b, " of stan %d", r.Original.STAN)
	case model.ByInvoice:
		fmt.Fprintf(&b, " of invoice %s", r.Original.Invoice)
	case model.ByNothing:
	}
	return b.String()
}

func describeAnswer(a model.Answer) string {
	s := fmt.Sprintf("#%d %s %s", a.Transaction, a.Reason, a.Became)
	if a.Rule != 0 {
		s += fmt.Sprintf(" R%d", a.Rule)
	}
	if a.HasDate {
		s += " on " + a.Date.String()
	}
	return s
}
