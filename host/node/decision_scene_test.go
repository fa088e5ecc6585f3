package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/host/wire"
	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// annex is another merchant in the shop's bucket.
const (
	annex     = "104110000000005"
	annexTill = "0000009"
	// fresh tills of the shop, each with a batch of its own: one case uses one.
	freshTills = 6
)

func freshTill(i int) string { return fmt.Sprintf("00000%02d", 50+i) }

// newDecisionTown is a town with what the decision's cases need beside. One
// bucket holds everybody: a date closes once, and references reach everyone.
func newDecisionTown(t testing.TB, change ...func(*town)) *town {
	t.Helper()
	return newTownWith(t, func(w *town) {
		w.sql(`UPDATE merchants SET bucket = 0`)
		w.sql(`DELETE FROM windows WHERE bucket > 0`)
		w.sql(`DELETE FROM buckets WHERE bucket > 0`)
		w.sql(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES (5, 0, $1, 'Annex', 156, 1, 1)`, annex)
		for _, dialect := range []string{"nac", "ascii"} {
			digit := dialectDigit(dialect)
			w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES ($1::int * 10 + 9, $2, 5, $3)`,
				digit, digit+annexTill, dialect)
			for i := range freshTills {
				w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES ($1::int * 100 + 50 + $2, $3, 1, $4)`,
					digit, i, digit+freshTill(i), dialect)
			}
		}
		w.load(everyday, 1_000_000_00)
		for _, c := range change {
			c(w)
		}
	})
}

// beginAt makes a town's history begin at another instant, or by another calendar.
func (w *town) beginAt(now time.Time) {
	w.t.Helper()
	w.clock.set(now)
	w.sql(`DELETE FROM windows`)
	w.sql(`DELETE FROM business_days`)
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		calendars, err := ledger.Calendars(ctx, c)
		if err != nil {
			return err
		}
		return ledger.EnsureWindows(ctx, c, calendars, now)
	})
	w.sql(`UPDATE transfers SET business_date = (SELECT min(business_date) FROM business_days)`)
	w.sql(`UPDATE card_loads SET business_date = (SELECT min(business_date) FROM business_days)`)
}

// load puts money on a card.
func (w *town) load(i int, minor int64) {
	w.t.Helper()
	w.sql(`UPDATE card_accounts SET balance_minor = balance_minor + $2 WHERE card_id = $1`, i+1, minor)
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		j := ledger.Journal{ID: uuid.New(), Date: ledger.MakeDate(2026, 3, 10), Currency: money.CNY}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), minor)
		b := &pgx.Batch{}
		ledger.QueueTransfers(b, 0, j.Transfers)
		b.Queue(`INSERT INTO card_loads VALUES ($1, $2, $3, 0, $4, $5, now())`, i+1, j.ID.String(), minor, j.Date.Time(), j.ID)
		return c.SendBatch(ctx, b).Close()
	})
}

// owed to the shop, as a minimum balance is compared with: at its last close, and what moved since.
func (w *town) owed() (minor int64) {
	w.t.Helper()
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `
			WITH last AS (
				SELECT business_date, closing_payable_minor - closing_receivable_minor AS owed
				FROM settlements WHERE merchant_id = 1 ORDER BY business_date DESC LIMIT 1),
			mine AS (SELECT ARRAY[(17::bigint << 48) + 1, (18::bigint << 48) + 1, (3::bigint << 48) + 1] AS accounts)
			SELECT coalesce((SELECT owed FROM last), 0) + coalesce(sum(
				CASE WHEN credit_account = ANY(accounts) THEN amount_minor ELSE 0 END - CASE WHEN debit_account = ANY(accounts) THEN amount_minor ELSE 0 END), 0)::bigint
			FROM transfers, mine WHERE phase IN (1, 3) AND business_date > coalesce((SELECT business_date FROM last), '-infinity')`).Scan(&minor)
	})
	return minor
}

// operators of the shop: a clerk and a supervisor.
func (w *town) operators() {
	w.t.Helper()
	for number, password := range map[string]string{"01": "0000", "99": "4711"} {
		w.must(switching.AddOperator(w.t.Context(), w.owner, shop, number, password, number == "99", "ann", "a test"))
	}
}

// signOn at a terminal, by F3 or by F70 as terminals have it.
func (x *terminal) signOn(code, operator string) *sent {
	x.t.Helper()
	by := fields{3: "920000"}
	if x.dialect == "ascii" {
		by = fields{70: "001"}
	}
	return x.do(code, "0800", by, fields{63: operator})
}

// scene is one case: a policy of its own for the shop, and the shop's two tills.
type scene struct {
	*town

	all     *scenes
	dialect string
	x, y    *terminal
}

// scenes numbers the cases of a town, so that each STAN is used once in it, and
// keeps sales of its first business date for those that need a settled one.
type scenes struct {
	dialect string
	n       int
	old     []*sent
}

// oldSales are more than there are cases which need one.
const oldSales = 60

// newScenes begins with a date of sales that is over by now.
func newScenes(w *town, dialect string) *scenes {
	w.t.Helper()
	all := &scenes{dialect: dialect}
	s := all.next(w, "")
	s.x.stan = 900_000
	for range oldSales {
		all.old = append(all.old, s.x.ask("0200", amount(10_00), typed(everyday)))
	}
	w.settle()
	s.settled()
	return all
}

// next begins a case. The policy is made of assignments to the columns of a new one.
func (all *scenes) next(w *town, policy string) *scene {
	w.t.Helper()
	all.n++
	w.log.forget() // each step has looked at it
	s := &scene{town: w, all: all, dialect: all.dialect}
	s.policy(policy)
	s.x, s.y = s.at(till, shop), s.at(till2, shop)
	s.x.stan, s.y.stan = all.n*50, all.n*50
	return s
}

// old is a sale of 10.00 whose business date is closed, at the first till.
func (s *scene) old() *sent {
	s.t.Helper()
	if len(s.all.old) == 0 {
		s.t.Fatal("all settled sales are used: make more")
	}
	sale := s.all.old[0]
	s.all.old = s.all.old[1:]
	return sale
}

// policy gives the shop a new one: the defaults, but for these assignments.
func (s *scene) policy(assignments string) {
	s.t.Helper()
	id := one[int](s.town, `INSERT INTO policies (policy_id, name, max_amount_minor)
		SELECT max(policy_id) + 1, 'case ' || max(policy_id) + 1, 5000000 FROM policies RETURNING policy_id`)
	if assignments != "" {
		s.sql(fmt.Sprintf(`UPDATE policies SET %s WHERE policy_id = %d`, assignments, id))
	}
	s.sql(`UPDATE merchants SET policy_id = $1, allow_void = true, allow_refund = true, review_refunds = false WHERE merchant_id = 1`, id)
	s.sql(`UPDATE terminals SET allow_void = true, allow_refund = true`)
	s.sql(`UPDATE card_accounts SET status = 1 WHERE card_id = 1`)
	s.refresh()
}

// refresh makes the node read the reference data again.
func (s *scene) refresh() {
	s.t.Helper()
	s.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	s.must(s.node.Switch().Refresh(s.t.Context()))
}

// reference changes a row of reference data.
func (s *scene) reference(query string, args ...any) {
	s.t.Helper()
	s.sql(query, args...)
	s.refresh()
}

// at is a terminal of this case's dialect.
func (s *scene) at(tid, mid string) *terminal {
	s.t.Helper()
	return s.terminal(s.dialect, tid, mid)
}

// catchUp closes what is due: until nothing is, because the node's own
// housekeeping may be at it.
func (w *town) catchUp() {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		w.must(w.node.Switch().CatchUp(w.t.Context()))
		if one[int](w, `SELECT count(*) FROM windows JOIN business_days USING (calendar_id, business_date)
			WHERE state < 3 AND closes_at <= $1`, w.clock.Now()) == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("what is due does not close")
		}
	}
}

// dayOf is the business date of an instant in Shanghai with a cutoff at 23:00,
// worked out here once more.
func dayOf(now time.Time) ledger.Date {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	local := now.In(zone)
	d := ledger.MakeDate(local.Year(), local.Month(), local.Day())
	if local.Hour() >= 23 {
		d++
	}
	return d
}

// cutoffOf a business date in Shanghai.
func cutoffOf(d ledger.Date) time.Time { return d.Time().Add(15 * time.Hour) } // 23:00 at UTC+8

func mmdd(d ledger.Date) string { return d.Time().Format("0102") }

// settled moves the clock past today's cutoff and lets it close.
func (w *town) settled() {
	w.t.Helper()
	w.clock.set(cutoffOf(dayOf(w.clock.Now())).Add(time.Hour))
	w.catchUp()
}

// sale of the everyday card at the case's till.
func (s *scene) sale(minor int64, change ...fields) *sent {
	s.t.Helper()
	return s.x.just("00", "0200", append([]fields{amount(minor), typed(everyday)}, change...)...)
}

// Processing codes of cancels.
var (
	asVoid   = processing("020000")
	asRefund = processing("200000")
	asCancel = processing("290000")
	whole    = fields{4: ""} // no amount: all that is left
)

// rrnOf reads an RRN.
func (w *town) rrnOf(text string) int64 {
	w.t.Helper()
	rrn, err := strconv.ParseInt(text, 10, 64)
	w.must(err)
	return rrn
}

// inspect is what people are shown of a transaction.
func (w *town) inspect(rrn string) *switching.Inspection {
	w.t.Helper()
	var found []*switching.Inspection
	w.database(func(ctx context.Context, c *pgx.Conn) (err error) {
		found, err = switching.FindByRRN(ctx, c, w.rrnOf(rrn))
		return err
	})
	if len(found) != 1 {
		w.t.Fatalf("%d transactions with RRN %s", len(found), rrn)
	}
	return found[0]
}

// evidence that a decision was stored with.
func (w *town) evidence(i *switching.Inspection) switching.Evidence {
	w.t.Helper()
	var e switching.Evidence
	if err := json.Unmarshal(i.Decision, &e); err != nil {
		w.t.Fatalf("evidence of %s: %v: %s", i.RRN, err, i.Decision)
	}
	return e
}

// moves are a transaction's transfers in words.
func moves(i *switching.Inspection) []string {
	var list []string
	for _, t := range i.Transfers {
		list = append(list, fmt.Sprintf("%s %s %s > %s %d", t.Kind, t.Phase, t.Debit, t.Credit, t.AmountMinor))
	}
	return list
}

// attempt is the cancel of a case.
type attempt struct {
	from     *terminal
	original *sent // nil when none is found
	fields   fields
}

func (s *scene) attempt(from *terminal, original *sent, change ...fields) attempt {
	f := fields{}
	if original != nil {
		f = refTo(original)
	}
	for _, c := range change {
		maps.Copy(f, c) // an empty value stays: it takes away what would be there
	}
	return attempt{from, original, f}
}

// outcome is what a cancel must come to.
type outcome struct {
	code string // F39
	text string // F63
	// rules that applied, in their order; the last one decided.
	rules []switching.Rule
	// otherwise is what the same request had come to on the other side of the
	// original's cutoff; empty where nothing is told of an original.
	otherwise string
	moved     []string
	// gives is what the everyday card has available more than before.
	gives int64
}

// play sends the cancel and holds what came of it against the outcome: the
// answer, the stored decision with its facts, transfers, balances, and what
// became of the original. The ledger verifies after it, and a repeat is
// answered with the same bytes.
func (s *scene) play(a attempt, want outcome) *sent {
	s.t.Helper()
	var before *switching.Inspection
	if a.original != nil {
		before = s.inspect(a.original.rrn())
	}
	available, now := s.available(everyday), s.clock.Now()
	got := a.from.do(want.code, "0200", a.fields)
	if text := got.answer.Get(63); text != want.text {
		s.t.Fatalf("F63 %q, want %q", text, want.text)
	}
	if day := got.answer.Get(15); day != mmdd(dayOf(now)) {
		s.t.Fatalf("F15 %q, want %s", day, mmdd(dayOf(now)))
	}
	if gave := s.available(everyday) - available; gave != want.gives {
		s.t.Fatalf("the card has %d more, want %d", gave, want.gives)
	}
	stored := s.inspect(got.rrn())
	if moved := moves(stored); !slices.Equal(moved, want.moved) {
		s.t.Fatalf("moved %q, want %q", moved, want.moved)
	}
	if stored.BusinessDate != dayOf(now) || stored.Rule != want.rules[len(want.rules)-1] || stored.RuleSentence == "" {
		s.t.Fatalf("stored on %s by rule %s (%q)", stored.BusinessDate, stored.Rule, stored.RuleSentence)
	}
	if len(stored.Decision) > 0 || len(want.rules) > 0 && want.rules[0] != 3 {
		s.holdEvidence(a, want, before, stored, now)
	}
	s.holdOriginal(a, want, before, stored)
	a.from.repeat(got)
	return got
}

// holdEvidence compares the stored facts with what was true before the cancel.
func (s *scene) holdEvidence(a attempt, want outcome, before, stored *switching.Inspection, now time.Time) {
	s.t.Helper()
	e := s.evidence(stored)
	if !slices.Equal(e.Rules, want.rules) {
		s.t.Fatalf("rules %v, want %v", e.Rules, want.rules)
	}
	asked := map[string]switching.Kind{"02": switching.KindVoid, "20": switching.KindRefund, "29": switching.KindCancel}[a.fields[3][:2]]
	verdict, _, _ := strings.Cut(want.text, " ")
	if e.Asked != asked || stored.Asked != asked || e.Outcome != strings.ToLower(verdict) || e.Reason != stored.Reason ||
		!e.DecidedAt.Equal(now) || e.WindowDate != dayOf(now) || !e.WindowClosesAt.Equal(cutoffOf(dayOf(now))) {
		s.t.Fatalf("evidence %+v", e)
	}
	if a.original == nil {
		if e.OriginalRRN != "" || e.Counterfactual != "" {
			s.t.Fatalf("evidence of an original that is none of the merchant's: %+v", e)
		}
		return
	}
	if e.Matches != 1 || e.OriginalRRN != before.RRN || e.OriginalKind != before.Kind || e.OriginalState != before.State ||
		*e.OriginalDate != before.BusinessDate || !e.OriginalClosesAt.Equal(cutoffOf(before.BusinessDate)) ||
		e.OriginalCaptured != before.CapturedMinor || e.OriginalRefunded != before.RefundedMinor || stored.OriginalRRN != before.RRN {
		s.t.Fatalf("evidence %+v of the original %+v", e, before)
	}
	when := "from the cutoff at " + cutoffOf(before.BusinessDate).Format(time.RFC3339) + " on: "
	if e.Settled {
		when = "before the cutoff at " + cutoffOf(before.BusinessDate).Format(time.RFC3339) + ": "
	}
	otherwise := when + want.otherwise
	if want.otherwise == "" {
		otherwise = ""
	}
	if e.Counterfactual != otherwise {
		s.t.Fatalf("otherwise %q, want %q", e.Counterfactual, otherwise)
	}
}

// holdOriginal says what may become of an original: a void undoes the whole of
// it, a refund adds to what was refunded, and anything else leaves it alone.
func (s *scene) holdOriginal(a attempt, want outcome, before, stored *switching.Inspection) {
	s.t.Helper()
	if a.original == nil {
		return
	}
	after := s.inspect(a.original.rrn())
	state, captured, refunded := before.State, before.CapturedMinor, before.RefundedMinor
	switch {
	case want.code != "00":
	case strings.HasPrefix(want.text, "VOID "):
		state, captured = switching.StateVoided, 0
	default:
		refunded += stored.AmountMinor
	}
	if after.State != state || after.CapturedMinor != captured || after.RefundedMinor != refunded {
		s.t.Fatalf("the original is %s with %d captured and %d refunded, want %s, %d, %d",
			after.State, after.CapturedMinor, after.RefundedMinor, state, captured, refunded)
	}
	if !slices.Contains(after.ReferredToByRRNs, stored.RRN) {
		s.t.Fatalf("the original is not referred to by %s: %v", stored.RRN, after.ReferredToByRRNs)
	}
}

// just asks and expects a response code, on the way to what a case is about:
// the ledger is verified there.
func (x *terminal) just(code, mti string, change ...fields) *sent {
	x.t.Helper()
	s := x.ask(mti, change...)
	if got := s.answer.Get(39); got != code {
		x.t.Fatalf("%s %s answered %s (%s), want %s", mti, s.fields[3], got, s.answer.Get(63), code)
	}
	return s
}

// says asserts F63.
func (w *town) says(s *sent, want string) {
	w.t.Helper()
	if got := s.answer.Get(63); got != want {
		w.t.Fatalf("%s %s answered %s, F63 %q, want %q", s.mti, s.fields[3], s.answer.Get(39), got, want)
	}
}

// settleBatch states the totals of this terminal's batch: sales, and no
// refunds. Its answer carries no RRN, and so the approval is noted here.
func (x *terminal) settleBatch(code string, sales int, minor int64) *sent {
	x.t.Helper()
	return x.batchMessage(code, "0500", x.fill("0500", fields{
		3: "920000", 4: "", 22: "", 25: "", 49: "", 63: fmt.Sprintf("%03d%012d%015d", sales, minor, 0),
	}))
}

// noteApprovals of requests about batches, whose answers name no RRN.
func (w *town) noteApprovals() {
	w.t.Helper()
	for _, rrn := range one[[]string](w, `SELECT coalesce(array_agg(lpad(rrn::text, 12, '0')), '{}') FROM transactions
		WHERE kind IN (20, 21, 22) AND reason = $1`, int16(switching.Approved)) {
		w.approved.add(rrn)
	}
}

// forget what was logged so far.
func (l *logLines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// exchangeOrFail is exchange for goroutines that may not end a test.
func (x *terminal) exchangeOrFail(payload []byte) (*wire.Message, []byte, error) {
	frame, err := x.framing.AppendFrame(nil, wire.Frame{TPDU: x.tpdu, Payload: payload})
	if err != nil {
		return nil, nil, fmt.Errorf("frame: %w", err)
	}
	if _, err := x.conn.Write(frame); err != nil {
		return nil, nil, fmt.Errorf("send: %w", err)
	}
	answered, err := x.framing.ReadFrame(x.in, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("read answer: %w", err)
	}
	raw := bytes.Clone(answered.Payload)
	m, err := x.spec.Parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("parse answer: %w", err)
	}
	if m.Get(39) == "00" && m.Has(37) {
		x.w.approved.add(m.Get(37))
	}
	return m, raw, nil
}
