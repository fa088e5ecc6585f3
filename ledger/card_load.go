package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
)

// LoadBucket has the transfers of loads: a card belongs to no merchant, and so to
// no bucket.
const LoadBucket = 0

// OpeningReference is the reference of what a card is opened with.
const OpeningReference = "opening"

// Load puts money on a card. Card and reference name it for good: there is no
// second one of them, also when its transfer has left with its month.
type Load struct {
	JournalID   uuid.UUID
	CardID      int64
	Reference   string
	Currency    money.Currency
	AmountMinor int64 // above zero
}

// StoredLoad is a load that was posted.
type StoredLoad struct {
	AmountMinor  int64
	BusinessDate Date
	LoadedAt     time.Time
}

// ErrNoOpenDate: a calendar has no business date that takes work at a time.
var ErrNoOpenDate = errors.New("no business date is open")

// LoadCard posts a load in the open business date of a calendar and adds it to the
// card's balance. One whose card and reference are there is not posted again: it
// returns the one that is, and false. Both the window and the card are locked, in
// the order in which units of work do it, so that two loads of one reference come
// one after the other.
//
// Errors: [ErrNoOpenDate].
func LoadCard(ctx context.Context, tx pgx.Tx, calendar int16, now time.Time, load Load) (stored StoredLoad, posted bool, err error) {
	date, err := shareLoadDate(ctx, tx, calendar, now)
	if err != nil {
		return stored, false, err
	}
	if _, err := tx.Exec(ctx, lockCardSQL, load.CardID); err != nil {
		return stored, false, fmt.Errorf("lock the card: %w", err)
	}
	switch stored, err = FindLoad(ctx, tx, load.CardID, load.Reference); {
	case err == nil:
		return stored, false, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return stored, false, err
	}
	tag, err := tx.Exec(ctx, addToCardSQL, load.CardID, load.AmountMinor, int16(load.Currency))
	if err != nil {
		return stored, false, fmt.Errorf("add to the balance: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return stored, false, fmt.Errorf("card %d in %s is not there", load.CardID, load.Currency)
	}
	if err := postLoads(ctx, tx, date, now, []Load{load}); err != nil {
		return stored, false, err
	}
	return StoredLoad{AmountMinor: load.AmountMinor, BusinessDate: date, LoadedAt: now}, true, nil
}

// shareLoadDate finds the business date that a load belongs to and holds its
// window, as every unit of work holds the one that it posts in.
func shareLoadDate(ctx context.Context, tx pgx.Tx, calendar int16, now time.Time) (Date, error) {
	var window *Window
	b := &pgx.Batch{}
	QueueNextWindow(b, LoadBucket, calendar, now, func(w Window) { window = &w })
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, fmt.Errorf("find the business date: %w", err)
	}
	if window == nil {
		return 0, fmt.Errorf("calendar %d at %s: %w", calendar, now.UTC().Format(time.RFC3339), ErrNoOpenDate)
	}
	return window.Date, nil
}

// postLoads posts loads and keeps their references. The balances are the caller's.
func postLoads(ctx context.Context, tx pgx.Tx, date Date, now time.Time, loads []Load) error {
	bank := Account(RoleBankSettlement, 0)
	var (
		transfers  []Transfer
		cards      = make([]int64, len(loads))
		references = make([]string, len(loads))
		amounts    = make([]int64, len(loads))
		journals   = make([][16]byte, len(loads))
	)
	for i := range loads {
		l := &loads[i]
		cards[i], references[i], amounts[i], journals[i] = l.CardID, l.Reference, l.AmountMinor, l.JournalID
		journal := Journal{ID: l.JournalID, Date: date, Currency: l.Currency}
		journal.Post(KindLoad, bank, Account(RoleCard, l.CardID), l.AmountMinor)
		transfers = append(transfers, journal.Transfers...)
	}
	b := &pgx.Batch{}
	b.Queue(insertLoadsSQL, cards, references, amounts, LoadBucket, date.Time(), journals, now)
	QueueTransfers(b, LoadBucket, transfers)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("post loads: %w", err)
	}
	return nil
}

// loadChecks hold what is known of loads by their references against their transfers,
// both ways: money that nobody's reference asked for is on a card by nobody's word.
func loadChecks() []Check {
	return []Check{{"loads are as their references have them", fmt.Sprintf(`
		SELECT coalesce('card ' || l.card_id || ', load of ' || l.business_date, 'journal ' || t.journal_id),
			CASE WHEN l.card_id IS NULL THEN 'loads ' || t.amount_minor || ' onto account ' || t.credit_account || ' on ' || t.business_date ||
				', and has no reference'
			ELSE 'its reference has ' || l.amount_minor || ', its transfer ' || coalesce(t.amount_minor::text, 'is missing') END
		FROM (
			SELECT bucket, business_date, journal_id, 1::smallint AS leg, card_id, amount_minor FROM card_loads WHERE business_date >= %[4]s) l
		FULL JOIN (
			SELECT bucket, business_date, journal_id, leg, credit_account, amount_minor FROM transfers WHERE kind = %[1]d AND business_date >= %[4]s) t
			USING (bucket, business_date, journal_id, leg)
		WHERE l.card_id IS NULL OR (t.amount_minor, t.credit_account) IS DISTINCT FROM (l.amount_minor::bigint, %[2]d::bigint << %[3]d | l.card_id)`,
		KindLoad, RoleCard, ownerBits, KeptFromSQL)}}
}
