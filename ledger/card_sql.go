package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/postgres"
)

// Cards are shared by all buckets, so units of work that have nothing else in
// common meet on them. A unit reads them as they are, or takes them as its host knows
// them ([CardShelf]), and holds no lock on them while it decides; what it stores
// changes those that are still as it took them, and ends the unit where one is not
// ([CardsMoved]). Run again, it reads what it had not read, and locks what it had.

const cardColumns = `card_id, pan_token, expiry, currency, status, balance_minor, held_minor, pin_reference, pin_failures`

const (
	cardsByTokenSQL = `SELECT ` + cardColumns + ` FROM card_accounts WHERE pan_token = ANY($1::bytea[])`
	cardsSQL        = `SELECT ` + cardColumns + ` FROM card_accounts WHERE pan_token = ANY($1::bytea[]) OR card_id = ANY($2::bigint[])`
	// In the order in which changes lock, too.
	lockCards = ` ORDER BY card_id FOR UPDATE`
)

// QueueCards reads on-us cards by token and by id and hands each to found;
// locked, when lock says so. Cards are the last thing a unit locks.
func QueueCards(b *pgx.Batch, tokens [][16]byte, ids []int64, lock bool, found func(*CardAccount)) {
	if len(tokens) == 0 && len(ids) == 0 {
		return
	}
	stored := make([][]byte, len(tokens))
	for i := range tokens {
		stored[i] = tokens[i][:]
	}
	sql, arguments := cardsByTokenSQL, []any{stored}
	if len(ids) > 0 {
		sql, arguments = cardsSQL, []any{stored, ids}
	}
	if lock {
		sql += lockCards
	}
	b.Queue(sql, arguments...).Query(func(rows pgx.Rows) error { return scanCards(rows, found) })
}

func scanCards(rows pgx.Rows, found func(*CardAccount)) error {
	defer rows.Close()
	for rows.Next() {
		var c CardAccount
		var token []byte
		var expiry string
		if err := rows.Scan(&c.ID, &token, &expiry, &c.Currency, &c.Status, &c.BalanceMinor, &c.HeldMinor,
			&c.PINReference, &c.PINFailures); err != nil {
			return fmt.Errorf("scan card account: %w", err)
		}
		copy(c.Token[:], token)
		copy(c.Expiry[:], expiry)
		c.read = c.state()
		found(&c)
	}
	return rows.Err() //nolint:wrapcheck // wrapped by the pipeline's reader
}

const someCardsSQL = `SELECT ` + cardColumns + ` FROM card_accounts ORDER BY card_id DESC LIMIT $1`

// Fill puts the newest cards on an empty shelf, as many as a generation has room
// for: all, where a database has no more of them.
func (s *CardShelf) Fill(ctx context.Context, db Querier) error {
	rows, err := db.Query(ctx, someCardsSQL, s.room)
	if err != nil {
		return fmt.Errorf("read cards: %w", err)
	}
	if err := scanCards(rows, s.fill); err != nil {
		return fmt.Errorf("read cards: %w", err)
	}
	return nil
}

// All that a decision rests on is compared, the number too: an account may have been
// given another one. Only the PIN's reference is not: a unit that verifies a PIN reads
// the card. In the array's order, which is that of the cards' ids: two units never wait
// for each other.
const updateCardsSQL = `
WITH changed AS (
	UPDATE card_accounts c SET balance_minor = u.balance_minor, held_minor = u.held_minor, pin_failures = u.pin_failures
	FROM unnest($1::card_step[]) AS u
	WHERE c.card_id = u.card_id AND c.balance_minor = u.read_balance_minor AND c.held_minor = u.read_held_minor
		AND c.pin_failures = u.read_pin_failures AND c.status = u.read_status AND c.expiry = u.read_expiry AND c.currency = u.read_currency
		AND c.pan_token = u.read_pan_token
	RETURNING 1)
SELECT meridian_cards_unmoved(count(*), $2) FROM changed`

// QueueCardChanges stores the balances of cards, and their wrong PINs. It fails
// with an error of which [CardsMoved] is true when a card is not as it was read.
func QueueCardChanges(b *pgx.Batch, cards []*CardAccount) {
	if len(cards) == 0 {
		return
	}
	slices.SortFunc(cards, func(a, b *CardAccount) int { return cmp.Compare(a.ID, b.ID) })
	rows := postgres.NewRows(cardStep(), len(cards), 160)
	for _, c := range cards {
		rows.Begin()
		rows.Int64(c.ID)
		rows.Int64(c.BalanceMinor)
		rows.Int64(c.HeldMinor)
		rows.Int16(c.PINFailures)
		rows.Int64(c.read.balanceMinor)
		rows.Int64(c.read.heldMinor)
		rows.Int16(c.read.pinFailures)
		rows.Int16(int16(c.read.status))
		rows.Text(c.read.expiry.String())
		rows.Int16(int16(c.read.currency))
		rows.Bytes(c.Token[:])
		rows.End()
	}
	b.Queue(updateCardsSQL, rows.Known(), rows, len(cards))
}

func cardStep() *postgres.RowType {
	return &postgres.RowType{Name: "card_step", Columns: []uint32{
		pgtype.Int8OID, pgtype.Int8OID, pgtype.Int8OID, pgtype.Int2OID, pgtype.Int8OID, pgtype.Int8OID, pgtype.Int2OID, pgtype.Int2OID,
		pgtype.BPCharOID, pgtype.Int2OID, pgtype.ByteaOID,
	}}
}

// CardsMoved tells whether err ended a transaction because a card had changed
// between being read without a lock and being stored. Nothing was written.
func CardsMoved(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.ConstraintName == "card_accounts_unmoved"
}

const (
	insertCardsSQL = `
INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, status, balance_minor)
SELECT u.card_id, u.pan_token, u.pan_masked, u.expiry, u.currency, u.status, u.balance_minor
FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::bigint[])
	AS u(card_id, pan_token, pan_masked, expiry, currency, status, balance_minor)
ON CONFLICT DO NOTHING RETURNING card_id`
	insertLoadsSQL = `
INSERT INTO card_loads (card_id, reference, amount_minor, bucket, business_date, journal_id, loaded_at)
SELECT u.card_id, u.reference, u.amount_minor, $4, $5, u.journal_id, $7
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $6::uuid[]) AS u(card_id, reference, amount_minor, journal_id)`
	findLoadSQL  = `SELECT amount_minor, business_date, loaded_at FROM card_loads WHERE card_id = $1 AND reference = $2`
	lockCardSQL  = `SELECT FROM card_accounts WHERE card_id = $1 FOR NO KEY UPDATE`
	addToCardSQL = `UPDATE card_accounts SET balance_minor = balance_minor + $2 WHERE card_id = $1 AND currency = $3`
)

// FindLoad is the load of a card by its reference; an error wraps [pgx.ErrNoRows] where
// there is none.
func FindLoad(ctx context.Context, tx pgx.Tx, cardID int64, reference string) (l StoredLoad, err error) {
	var date time.Time
	if err := tx.QueryRow(ctx, findLoadSQL, cardID, reference).Scan(&l.AmountMinor, &date, &l.LoadedAt); err != nil {
		return l, fmt.Errorf("look for the reference: %w", err)
	}
	l.BusinessDate, l.LoadedAt = DateOf(date), l.LoadedAt.UTC()
	return l, nil
}
