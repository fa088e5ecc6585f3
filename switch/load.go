package switching

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// errNoWindow means that business days have not been made as far as now.
var errNoWindow = errors.New("no open window")

// errWindowLocked means that a close held the window longer than a unit waits
// for a lock.
var errWindowLocked = errors.New("window is being closed")

// originalDepth bounds how far originals are followed: the reversal of a void
// of a completion of an authorization.
const originalDepth = 3

// loader fills the facts of one unit of work.
//
//	pipeline 1: begin; gate, windows, batches (and totals of those that are settled), keys; references
//	            (and the cards, when nothing in the unit refers to an original)
//	and, if need be, RRNs that are not in the months that their digits say
//	pipeline 2: originals, locked from the newest to the oldest, as deep as they go
//	pipeline 3: holds, locked in the order of their ids, and cards
//
// A unit of sales and authorizations needs the first alone. Most units need none of them,
// and at most the originals and cards that are not known, outside of any transaction
// (presume.go).
//
// Originals are locked before holds and holds before cards, in every unit, and the newest
// original first: two units never wait for each other. One that comes to a newer one by way of
// what speaks of it begins anew, with all that it knows of by then. Cards are locked when
// they are stored, and here only by a unit that is run again because one had changed
// meanwhile, or by a cautious one (caution.go). Such a unit has its cards before its keys:
// if another host is at the same key with the same card at that moment, Postgres ends one
// of the two.
type loader struct {
	conn  *pgx.Conn
	facts *Facts
	jobs  []*job

	wanted map[uuid.UUID]located // records that are referred to and not loaded yet
	// followed are records that the unit came to before it began anew to lock them in order.
	followed []located
	// missed are RRNs that are not where their digits say.
	missed map[int64]struct{}
	stored map[Key]storedKey
	// unsure keys are stored, and may be unconfirmed.
	unsure []Key
	begun  bool // somebody else has begun the transaction
	// lockCards that are read. Otherwise what the unit stores of cards tells whether
	// they were as read.
	lockCards bool
	// presumes what need not be read, of other things than cards; nil reads all of that.
	presumes *presumption
	// shelf has cards that need not be read; nil reads all cards.
	shelf *ledger.CardShelf
	// exclusive: the unit ends batches, and runs alone in its bucket.
	exclusive bool
	// settled are the requests that settled batches which have ended.
	settled map[batchKey]located
	// due terminals have a batch that ends with its business date.
	due []dueTerminal
}

// located is where a record is stored.
type located struct {
	date ledger.Date
	id   uuid.UUID
}

type storedKey struct {
	located

	tombstone, unconfirmed bool
}

func (l *loader) load(ctx context.Context) error {
	if presumed, err := l.presumeAll(ctx); presumed || err != nil {
		return err
	}
	for {
		err := l.read(ctx)
		if !errors.Is(err, errLockOrder) {
			return err
		}
		if _, err := l.conn.Exec(ctx, "ROLLBACK"); err != nil {
			return fmt.Errorf("begin anew: %w", err)
		}
		l.facts.forgetAll()
	}
}

// errLockOrder: a unit has come to an original that is to be locked before what it holds.
var errLockOrder = errors.New("originals are out of order")

func (l *loader) read(ctx context.Context) error {
	l.wanted, l.stored = map[uuid.UUID]located{}, map[Key]storedKey{}
	refers := l.refers()
	if err := l.start(ctx, !refers); err != nil {
		return err
	}
	if err := l.lockTombstones(ctx); err != nil {
		return err
	}
	if err := l.lookElsewhere(ctx); err != nil {
		return err
	}
	for _, j := range l.jobs {
		for _, m := range j.toTakeBack() {
			l.want(m.record) // wherever its key is by now
		}
	}
	for _, at := range l.followed {
		l.want(at)
	}
	// A unit in which something was stored already follows it, too.
	if len(l.wanted) == 0 && !refers {
		return nil
	}
	var oldest *located
	for range originalDepth {
		if len(l.wanted) == 0 {
			break
		}
		if oldest = l.follow(oldest); oldest == nil {
			return errLockOrder
		}
		if err := l.records(ctx); err != nil {
			return err
		}
	}
	for key, stored := range l.stored {
		record := l.facts.records[stored.id]
		if record == nil {
			if l.facts.Now.Sub(stored.date.Time()) < leastRetired {
				return fmt.Errorf("the key of batch %06d and STAN %06d of terminal %d leads to no transaction", key.BatchNo, key.STAN, key.TerminalID)
			}
			l.facts.retire(key)
			continue
		}
		l.facts.keys[key] = &keyEntry{record: record, tombstone: stored.tombstone, unconfirmed: stored.unconfirmed}
	}
	l.settlements()
	if !refers {
		return nil
	}
	return l.holdsAndCards(ctx)
}

// follow returns the oldest of what is locked and of what is to be locked next. It is nil,
// and all of that is noted, where something to be locked is newer than what is locked.
func (l *loader) follow(locked *located) (oldest *located) {
	oldest = locked
	inOrder := true
	for _, at := range l.wanted {
		inOrder = inOrder && (locked == nil || at.lockedBehind(*locked))
		if oldest == nil || at.lockedBehind(*oldest) {
			oldest = &at
		}
	}
	if inOrder || l.begun {
		return oldest
	}
	l.followed = slices.AppendSeq(l.followed, maps.Values(l.wanted))
	for _, r := range l.facts.records {
		l.followed = append(l.followed, located{r.BusinessDate, r.ID})
	}
	return nil
}

// lockedBehind tells whether a record comes after another one where both are locked, as
// lockRecordsSQL and queueLocated have it.
func (at located) lockedBehind(other located) bool {
	if a, b := monthOf(at.date).first, monthOf(other.date).first; a != b {
		return a < b
	}
	return bytes.Compare(at.id[:], other.id[:]) < 0
}

// lockTombstones looks again at tombstones, under lock: their late original may
// be at another host as well, and only one of the two may take its place.
func (l *loader) lockTombstones(ctx context.Context) error {
	b := &pgx.Batch{}
	for _, key := range slices.SortedFunc(maps.Keys(l.stored), Key.compare) {
		stored := l.stored[key]
		if !stored.tombstone {
			continue
		}
		b.Queue(lockTombstoneSQL, l.facts.Bucket, key.MerchantID, key.TerminalID, key.STAN, key.BatchNo, int16(key.Class)).
			QueryRow(func(row pgx.Row) error {
				var date time.Time
				var id [16]byte
				if err := row.Scan(&stored.tombstone, &date, &id); err != nil {
					return fmt.Errorf("scan tombstone: %w", err)
				}
				stored.located = located{ledger.DateOf(date), uuid.UUID(id)}
				l.stored[key] = stored
				l.want(stored.located) // beside the reversal, which may have come again itself
				return nil
			})
	}
	if b.Len() == 0 {
		return nil
	}
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("lock tombstones: %w", err)
	}
	return nil
}

// refers tells whether any request speaks of an original or has to be undone.
func (l *loader) refers() bool {
	for _, j := range l.jobs {
		if j.request.Kind.Refers() || j.answered {
			return true
		}
	}
	return false
}

func (l *loader) first(ctx context.Context, withCards bool) error {
	b := &pgx.Batch{}
	if !l.begun {
		b.Queue("BEGIN")
	}
	passed := false
	queueGate(b, l.facts.Bucket, l.exclusive, func() { passed = true })
	ledger.QueueShareWindows(b, l.facts.Bucket, l.calendars(), l.facts.Now, func(w ledger.Window) {
		l.facts.windows[w.CalendarID] = w
	})
	l.queueBatches(b)
	l.queueSettlements(b)
	// Before the keys: what another host stores in between, or while a counter is waited for, is
	// found by its key at least, and what repeats that is answered as it was.
	l.queuePaid(b)
	l.queueCounters(b)
	l.queueKeys(b)
	l.queueReferences(b)
	l.queueSessions(b)
	if withCards {
		l.queueCards(b, nil)
	}
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		if passed && len(l.facts.windows) == 0 && postgres.LockNotWon(err) {
			return fmt.Errorf("%w: %w", errWindowLocked, err)
		}
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

func (l *loader) calendars() []int16 {
	var ids []int16
	seen := map[int16]bool{}
	for _, j := range l.jobs {
		if id := j.request.merchant.CalendarID; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// queueCards reads the cards of the requests, and those of these ids, but for those on
// the shelf. A PIN is verified against a reference that is read: nothing that is stored
// would tell that it has changed.
func (l *loader) queueCards(b *pgx.Batch, ids []int64) {
	read, tokens := l.tokens()
	if l.shelf != nil {
		tokens, ids = l.shelf.Take(tokens, ids, l.facts.addCard)
	}
	ledger.QueueCards(b, append(read, tokens...), ids, l.lockCards, l.facts.addCard)
}

// tokens of the requests' cards, each once, those that come with a PIN apart.
func (l *loader) tokens() (withPIN, others [][16]byte) {
	seen := make(map[[16]byte]struct{}, len(l.jobs))
	want := func(list [][16]byte, token [16]byte) [][16]byte {
		if _, wanted := seen[token]; wanted || token == [16]byte{} {
			return list
		}
		seen[token] = struct{}{}
		return append(list, token)
	}
	for _, j := range l.jobs {
		if j.request.PIN != nil {
			withPIN = want(withPIN, j.request.Token)
		}
	}
	others = make([][16]byte, 0, len(l.jobs))
	for _, j := range l.jobs {
		others = want(others, j.request.Token)
	}
	return withPIN, others
}

// anyBatch as the batch of a probe: the reference names none. 0 is the current one and the
// recent ones before it.
const anyBatch = -1

type probe struct {
	merchant, terminal, stan, batch int32
	class                           Class
}

// queueKeys looks for the requests' own keys, and for the keys of originals
// that requests mean by STAN. Which batch is the current one is read in the
// same pipeline, so the statement finds it itself.
func (l *loader) queueKeys(b *pgx.Batch) {
	var recent, every []probe
	for _, p := range l.probes() {
		if p.batch == anyBatch {
			every = append(every, p)
		} else {
			recent = append(recent, p)
		}
	}
	look := func(sql string, probes []probe, mayBeUnconfirmed bool, more ...any) {
		if len(probes) == 0 {
			return
		}
		rows := probeRows(probes)
		b.Queue(sql, append([]any{rows.Known(), l.facts.Bucket, rows}, more...)...).
			Query(func(rows pgx.Rows) error { return l.collectKeys(rows, mayBeUnconfirmed) })
	}
	look(keysSQL, recent, true, l.facts.Now.Add(-rolloverReversal), l.exclusive)
	look(keysInAnyBatchSQL, every, false)
}

func probeRows(probes []probe) *postgres.Rows {
	rows := postgres.NewRows(keyProbe(), len(probes), 80)
	for _, p := range probes {
		rows.Begin()
		for _, number := range []int32{p.merchant, p.terminal, p.stan} {
			rows.Int32(number)
		}
		rows.Int16(int16(p.class))
		rows.Int32(p.batch)
		rows.End()
	}
	return rows
}

func keyProbe() *postgres.RowType {
	return &postgres.RowType{Name: "key_probe", Columns: []uint32{
		pgtype.Int4OID, pgtype.Int4OID, pgtype.Int4OID, pgtype.Int2OID, pgtype.Int4OID,
	}}
}

// probes lists the keys to look for, each once.
func (l *loader) probes() []probe {
	var list []probe
	seen := map[probe]bool{}
	want := func(p probe) {
		if !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	for _, j := range l.jobs {
		r := j.request
		own := probe{r.merchant.ID, r.terminal.ID, r.STAN, r.BatchNo, r.Kind.Class()}
		if !l.presumeNew(r, l.streak(r)) {
			want(own)
		}
		for _, m := range j.toTakeBack() {
			want(probe{r.merchant.ID, r.terminal.ID, r.STAN, m.batchNo, ClassHostReversal})
		}
		original := own
		original.class = ClassFinancial
		if r.Original.HasSTAN {
			original.stan = r.Original.STAN
			if r.Original.BatchNo != 0 {
				original.batch = r.Original.BatchNo
			}
		}
		switch {
		case r.Kind == KindReversal, r.Kind == KindUpload:
			want(original)
			for i := range r.Shown {
				original.stan = r.Shown[i].STAN
				want(original)
			}
		case r.Original.HasAuthCode: // of whatever terminal
		case r.Kind.Refers() && r.Original.HasSTAN && r.Original.BatchNo == 0:
			original.batch = anyBatch
			want(original)
		case r.Kind.Refers() && r.Original.HasSTAN:
			want(original)
		}
	}
	return list
}

// collectKeys takes what is stored. Where a reference named any batch, it is not
// asked whether a key is confirmed.
func (l *loader) collectKeys(rows pgx.Rows, mayBeUnconfirmed bool) error {
	var k Key
	var s storedKey
	var date time.Time
	var id [16]byte
	_, err := pgx.ForEachRow(rows, []any{
		&k.MerchantID, &k.TerminalID, &k.BatchNo, &k.STAN, &k.Class, &s.tombstone, &date, &id,
	}, func() error {
		s.located = located{ledger.DateOf(date), uuid.UUID(id)}
		if _, known := l.stored[k]; !known {
			l.stored[k] = s
			if mayBeUnconfirmed {
				l.unsure = append(l.unsure, k)
			}
		}
		l.want(s.located)
		return nil
	})
	return err //nolint:wrapcheck // wrapped by first
}

// queueUnconfirmed asks which of the keys that were found are unconfirmed.
func (l *loader) queueUnconfirmed(b *pgx.Batch) {
	if len(l.unsure) == 0 {
		return
	}
	keys := l.unsure
	l.unsure = nil
	var terminals, batches, stans []int32
	for _, k := range keys {
		terminals, batches, stans = append(terminals, k.TerminalID), append(batches, k.BatchNo), append(stans, k.STAN)
	}
	b.Queue(unconfirmedSQL, l.facts.Bucket, terminals, batches, stans).Query(func(rows pgx.Rows) error {
		var place int64
		_, err := pgx.ForEachRow(rows, []any{&place}, func() error {
			stored := l.stored[keys[place-1]]
			stored.unconfirmed = true
			l.stored[keys[place-1]] = stored
			return nil
		})
		return err //nolint:wrapcheck // wrapped by records
	})
}

func (l *loader) want(at located) {
	if _, loaded := l.facts.records[at.id]; !loaded {
		l.wanted[at.id] = at
	}
}

// otherWindows takes the next window where the one of now does not take work:
// it is closing already, or nobody has made it yet.
func (l *loader) otherWindows(ctx context.Context, calendars []int16) error {
	b := &pgx.Batch{}
	for _, calendar := range calendars {
		if w, ok := l.facts.windows[calendar]; ok && w.Accepts(l.facts.Now) {
			continue
		}
		delete(l.facts.windows, calendar)
		ledger.QueueNextWindow(b, l.facts.Bucket, calendar, l.facts.Now, func(w ledger.Window) {
			l.facts.windows[w.CalendarID] = w
		})
	}
	if b.Len() == 0 {
		return nil
	}
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load next window: %w", err)
	}
	for _, calendar := range calendars {
		if _, ok := l.facts.windows[calendar]; !ok {
			return fmt.Errorf("%w: calendar %d at %s", errNoWindow, calendar, l.facts.Now.Format(time.RFC3339))
		}
	}
	return nil
}

// lockWindows share-locks the windows of now by themselves.
func (l *loader) lockWindows(ctx context.Context, calendars []int16) error {
	b := &pgx.Batch{}
	ledger.QueueShareWindows(b, l.facts.Bucket, calendars, l.facts.Now, func(w ledger.Window) {
		l.facts.windows[w.CalendarID] = w
	})
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load windows: %w", err)
	}
	return l.otherWindows(ctx, calendars)
}

func (l *loader) holdsAndCards(ctx context.Context) error {
	var holds [][16]byte
	var cards []int64
	seen := map[int64]bool{}
	for _, r := range l.facts.records {
		if r.Kind == KindAuthorization {
			holds = append(holds, r.ID)
		}
		if r.CardID != 0 && !seen[r.CardID] {
			seen[r.CardID] = true
			cards = append(cards, r.CardID)
		}
	}
	b := &pgx.Batch{}
	l.queueGuards(b)
	l.queueVoidsToday(b)
	l.queueBalances(b)
	l.queueActedOn(b)
	ledger.QueueLockHolds(b, l.facts.Bucket, holds, func(h *ledger.Hold) { l.facts.holds[h.ID] = h })
	l.queueCards(b, cards)
	if b.Len() == 0 {
		return nil
	}
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load holds and cards: %w", err)
	}
	return nil
}

// terminalsWith lists the terminals of cancels whose policy makes a fact matter.
func (l *loader) terminalsWith(matters func(*Policy) bool) []int32 {
	var list []int32
	seen := map[int32]bool{}
	for _, j := range l.jobs {
		r := j.request
		if r.Kind.Cancels() && matters(r.merchant.Policy) && !seen[r.terminal.ID] {
			seen[r.terminal.ID] = true
			list = append(list, r.terminal.ID)
		}
	}
	return list
}

func (l *loader) queueSessions(b *pgx.Batch) {
	terminals := l.terminalsWith(func(p *Policy) bool {
		return p.RequireOperator || p.SupervisorForVoid || p.SupervisorForRefund
	})
	if len(terminals) == 0 {
		return
	}
	b.Queue(sessionsSQL, l.facts.Bucket, terminals).Query(func(rows pgx.Rows) error {
		var terminal int32
		var s operatorSession
		_, err := pgx.ForEachRow(rows, []any{&terminal, &s.number, &s.supervisor}, func() error {
			l.facts.sessions[terminal] = s
			return nil
		})
		return err //nolint:wrapcheck // wrapped by first
	})
}

// limitsVoids tells whether voids are counted for the policy.
func limitsVoids(p *Policy) bool { return p.MaxVoidsPerDay >= 0 || p.MaxVoidMinorPerDay >= 0 }

// queueGuards locks the merchants whose limits are sums, in the order of their
// ids. The sums are statements of their own after it: they see what a unit that
// had the guard before has committed.
func (l *loader) queueGuards(b *pgx.Batch) {
	merchants := map[int32]struct{}{}
	for _, j := range l.jobs {
		m := j.request.merchant
		if j.request.Kind.Cancels() && (limitsVoids(m.Policy) || m.Policy.MinBalanceMinor != nil) {
			merchants[m.ID] = struct{}{}
		}
	}
	if len(merchants) > 0 {
		b.Queue(guardSQL, l.facts.Bucket, slices.Sorted(maps.Keys(merchants)), l.facts.Now)
	}
}

// queueVoidsToday counts voids by business date, one statement for each date
// that is open now: a terminal's in its own merchant's window.
func (l *loader) queueVoidsToday(b *pgx.Batch) {
	terminals := map[ledger.Date][]int32{}
	seen := map[int32]bool{}
	for _, j := range l.jobs {
		r := j.request
		if r.Kind.Cancels() && limitsVoids(r.merchant.Policy) && !seen[r.terminal.ID] {
			seen[r.terminal.ID] = true
			date := l.facts.window(r.merchant).Date
			terminals[date] = append(terminals[date], r.terminal.ID)
		}
	}
	for date, ids := range terminals {
		b.Queue(monthOf(date).in(voidsTodaySQL), l.facts.Bucket, date.Time(), ids).Query(func(rows pgx.Rows) error {
			var terminal int32
			var v voidsToday
			_, err := pgx.ForEachRow(rows, []any{&terminal, &v.count, &v.minor}, func() error {
				l.facts.voids[terminal] = v
				return nil
			})
			return err //nolint:wrapcheck // wrapped by holdsAndCards
		})
	}
}

// queueBalances asks what merchants are owed whose policy sets a minimum.
func (l *loader) queueBalances(b *pgx.Batch) {
	seen := map[int32]bool{}
	for _, j := range l.jobs {
		m := j.request.merchant
		if !mayRefund(j.request) || m.Policy.MinBalanceMinor == nil || seen[m.ID] {
			continue
		}
		seen[m.ID] = true
		queueOwed(b, l.facts.Bucket, m.ID, m.Currency, func(minor int64) { l.facts.balances[m.ID] = minor })
	}
}
