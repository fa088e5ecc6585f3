package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Cards are shared by all buckets, so units of work that have nothing else in
// common meet on them. A unit reads them as they are and holds no lock while it
// decides; its last statement changes those that are still as it read them, and
// ends the unit where one is not ([CardsMoved]). Run again, it locks them first.

const cardColumns = `card_id, pan_token, pan_masked, expiry, currency, status, balance_minor, held_minor, pin_reference, pin_failures`

const (
	cardsByTokenSQL = `SELECT ` + cardColumns + ` FROM card_accounts WHERE pan_token = ANY($1::bytea[])`
	cardsSQL        = `SELECT ` + cardColumns + ` FROM card_accounts WHERE pan_token = ANY($1::bytea[]) OR card_id = ANY($2::bigint[])`
	// In the order in which changes lock, too.
	lockCards = ` ORDER BY card_id FOR UPDATE`
)

// QueueCards reads on-us cards by token and by id and hands each to found;
// locked, when lock says so. Cards are the last thing a unit locks.
func QueueCards(b *pgx.Batch, tokens [][]byte, ids []int64, lock bool, found func(*CardAccount)) {
	if len(tokens) == 0 && len(ids) == 0 {
		return
	}
	sql, arguments := cardsByTokenSQL, []any{tokens}
	if len(ids) > 0 {
		sql, arguments = cardsSQL, []any{tokens, ids}
	}
	if lock {
		sql += lockCards
	}
	b.Queue(sql, arguments...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var c CardAccount
			var token []byte
			if err := rows.Scan(&c.ID, &token, &c.Masked, &c.Expiry, &c.Currency, &c.Status, &c.BalanceMinor, &c.HeldMinor,
				&c.PINReference, &c.PINFailures); err != nil {
				return fmt.Errorf("scan card account: %w", err)
			}
			copy(c.Token[:], token)
			c.read = c.state()
			found(&c)
		}
		return rows.Err()
	})
}

// Every figure that a decision rests on is compared. In the arrays' order, which
// is that of the cards' ids: two units never wait for each other.
const updateCardsSQL = `
WITH changed AS (
	UPDATE card_accounts c SET balance_minor = u.balance_minor, held_minor = u.held_minor, pin_failures = u.pin_failures
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[])
		AS u(card_id, balance_minor, held_minor, pin_failures, read_balance_minor, read_held_minor, read_pin_failures, read_status)
	WHERE c.card_id = u.card_id AND c.balance_minor = u.read_balance_minor AND c.held_minor = u.read_held_minor
		AND c.pin_failures = u.read_pin_failures AND c.status = u.read_status
	RETURNING 1)
SELECT meridian_cards_unmoved(count(*), $9) FROM changed`

// QueueCardChanges stores the balances of cards, and their wrong PINs. It fails
// with an error of which [CardsMoved] is true when a card is not as it was read.
func QueueCardChanges(b *pgx.Batch, cards []*CardAccount) {
	n := len(cards)
	if n == 0 {
		return
	}
	slices.SortFunc(cards, func(a, b *CardAccount) int { return cmp.Compare(a.ID, b.ID) })
	var (
		ids, balances, held       = make([]int64, n), make([]int64, n), make([]int64, n)
		readBalances, readHeld    = make([]int64, n), make([]int64, n)
		failures, readFailures, s = make([]int16, n), make([]int16, n), make([]int16, n)
	)
	for i, c := range cards {
		ids[i], balances[i], held[i], failures[i] = c.ID, c.BalanceMinor, c.HeldMinor, c.PINFailures
		readBalances[i], readHeld[i], readFailures[i], s[i] = c.read.balanceMinor, c.read.heldMinor, c.read.pinFailures, int16(c.read.status)
	}
	b.Queue(updateCardsSQL, ids, balances, held, failures, readBalances, readHeld, readFailures, s, n)
}

// CardsMoved tells whether err ended a transaction because a card had changed
// between being read without a lock and being stored. Nothing was written.
func CardsMoved(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.ConstraintName == "card_accounts_unmoved"
}
