//go:build unix

package bench

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/loadgen"
	"meridian/internal/money"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/switch"
)

const (
	// terminalsEach merchant has of each dialect that is measured.
	terminalsEach = 2
	// bucketsMade by the migrations.
	bucketsMade = 4
	// calendar of all merchants: the work of a run is in one business date, or two.
	calendar = 1
	expiry   = "3912"
	// balanceMinor is more than a run can spend.
	balanceMinor = 1_000_000_000_000
	keyBytes     = 16
	// chunk of rows in one insert.
	chunk = 5_000
)

// buckets that merchants are spread over: as many as lanes. With more, each lane
// takes turns between buckets, and a unit of work gathers from one alone.
func buckets() int { return min(switching.DefaultLanes(), bucketsMade) }

// world is what the database holds for a run.
type world struct {
	vault     *vault.Vault
	terminals []*terminal // of the NAC dialect, merchant by merchant
	unionPay  []*terminal // of that dialect, in the same order
	cards     []card.PAN
	numbers   []string // the same in clear: test numbers, which the terminals send
}

// terminal is one that a load generator plays.
type terminal struct {
	id, merchantID int32
	tid, mid       string
	key            []byte
	stan           atomic.Int32
	settled        []original
	session        *loadgen.POS // of a UnionPay terminal that has signed in
}

// nextSTAN counts 1 to 999,999.
func (t *terminal) nextSTAN() int32 { return (t.stan.Add(1)-1)%999_999 + 1 }

const (
	seedReferenceSQL = `
WITH c AS (
	INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date, holiday_region, weekend_days)
	VALUES ($1, 'bench', 'UTC', '00:00', '2020-01-01', '', '{6,7}')
), p AS (
	INSERT INTO policies (policy_id, name, max_refunds) VALUES (1, 'bench', 1000)
)
INSERT INTO bin_ranges (low, high, network, route) VALUES ('6212340000000000000', '6212349999999999999', 'unionpay', 'onus')`
	seedMerchantsSQL = `
INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
SELECT m, m % $2, to_char(104110000000000 + m, 'FM000000000000000'), 'Merchant ' || m, $3, $4, 1 FROM generate_series(1, $1::int) AS m`
	seedTerminalsSQL = `
INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, tpdu, mac_algorithm, key_scheme, mak_wrapped, tmk_wrapped)
SELECT t.id, t.tid, t.merchant_id, $5, '6000010000', $6, $7,
	CASE WHEN $7 = 'static' THEN t.key END, CASE WHEN $7 = 'session' THEN t.key END
FROM unnest($1::int[], $2::text[], $3::int[], $4::bytea[]) AS t(id, tid, merchant_id, key)`
	// Cards are loaded into pages that are half full, as docs/explanation/performance.md has it:
	// Postgres prunes a page when less of it is free than the table's fillfactor
	// leaves, so a page that was loaded up to it is pruned at every change.
	looseCardsSQL = `ALTER TABLE card_accounts SET (fillfactor = 50)`
	tightCardsSQL = `ALTER TABLE card_accounts SET (fillfactor = 70)` // as the migrations have it
	settleDownSQL = `VACUUM (ANALYZE, FREEZE)`
	seedMonthsSQL = `
SELECT meridian_ensure_partitions(first::date, (first + interval '1 month')::date)
FROM (SELECT date_trunc('month', $1::date) - n * interval '1 month' AS first FROM generate_series(1, $2::int) AS n) AS months`
)

// seed fills an empty database of this version's schema.
func seed(ctx context.Context, pool *pgxpool.Pool, v *vault.Vault, o *Options, now time.Time) (*world, error) {
	w := &world{vault: v}
	if _, err := pool.Exec(ctx, seedReferenceSQL, calendar); err != nil {
		return nil, fmt.Errorf("seed reference data: %w", err)
	}
	if _, err := pool.Exec(ctx, seedMerchantsSQL, o.Merchants, buckets(), int16(money.CNY), calendar); err != nil {
		return nil, fmt.Errorf("seed merchants: %w", err)
	}
	var err error
	if w.terminals, err = w.seedTerminals(ctx, pool, o.Merchants, nacTerminals); err != nil {
		return nil, fmt.Errorf("seed terminals: %w", err)
	}
	if w.unionPay, err = w.seedTerminals(ctx, pool, o.Merchants, unionPayTerminals); err != nil {
		return nil, fmt.Errorf("seed UnionPay terminals: %w", err)
	}
	calendars, err := ledger.Calendars(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	if err := ledger.EnsureWindows(ctx, pool, calendars, now); err != nil {
		return nil, fmt.Errorf("seed business days: %w", err)
	}
	if _, err := pool.Exec(ctx, seedMonthsSQL, now, o.Months); err != nil {
		return nil, fmt.Errorf("seed months: %w", err)
	}
	if _, err := pool.Exec(ctx, looseCardsSQL); err != nil {
		return nil, fmt.Errorf("seed cards: %w", err)
	}
	for first := 1; first <= o.Cards; first += chunk {
		if err := w.seedCards(ctx, pool, first, min(first+chunk-1, o.Cards), now); err != nil {
			return nil, fmt.Errorf("seed cards: %w", err)
		}
	}
	if _, err := pool.Exec(ctx, tightCardsSQL); err != nil {
		return nil, fmt.Errorf("seed cards: %w", err)
	}
	if _, err := pool.Exec(ctx, settleDownSQL); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	return w, nil
}

// terminalKind is what terminals of a dialect have in common.
type terminalKind struct {
	first          int // number
	dialect        string
	mac, keyScheme string
	key            hsm.Use
}

var (
	nacTerminals      = terminalKind{10_000_000, "nac", "x919", "static", hsm.UseMAC}
	unionPayTerminals = terminalKind{20_000_000, "unionpay", "unionpay-ecb", "session", hsm.UseTerminalMaster}
)

// seedTerminals makes terminals of every merchant, merchant by merchant.
func (w *world) seedTerminals(ctx context.Context, pool *pgxpool.Pool, merchants int, kind terminalKind) (list []*terminal, err error) {
	var ids, owners []int32
	var tids []string
	var keys [][]byte
	for m := 1; m <= merchants; m++ {
		for n := range terminalsEach {
			t := &terminal{
				id: int32(kind.first + m*10 + n), merchantID: int32(m), mid: fmt.Sprintf("%015d", 104110000000000+m), key: make([]byte, keyBytes),
			}
			t.tid = fmt.Sprintf("%08d", t.id)
			_, _ = rand.Read(t.key) // never fails: crypto/rand
			wrapped, err := w.form(ctx, kind.key, t)
			if err != nil {
				return nil, err
			}
			list = append(list, t)
			ids, owners, tids, keys = append(ids, t.id), append(owners, t.merchantID), append(tids, t.tid), append(keys, wrapped.Bytes())
		}
	}
	if _, err := pool.Exec(ctx, seedTerminalsSQL, ids, tids, owners, keys, kind.dialect, kind.mac, kind.keyScheme); err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	return list, nil
}

// form makes a terminal's key of two components, as people would, and sets
// the terminal's own to what they come to.
func (w *world) form(ctx context.Context, use hsm.Use, t *terminal) (hsm.Key, error) {
	other := make([]byte, keyBytes)
	_, _ = rand.Read(other) // never fails: crypto/rand
	key, err := hsm.NewSoftware(w.vault, w.vault.FirstDataKeys()).
		FormKey(ctx, use, hsm.TDES2, vault.NewSecret(t.key), vault.NewSecret(other))
	if err != nil {
		return hsm.Key{}, fmt.Errorf("form key: %w", err)
	}
	subtle.XORBytes(t.key, t.key, other)
	return key, nil
}

func (w *world) seedCards(ctx context.Context, pool *pgxpool.Pool, first, last int, now time.Time) error {
	var list []ledger.NewCard
	for n := first; n <= last; n++ {
		pan, err := card.WithCheckDigit(fmt.Sprintf("621234%012d", n))
		if err != nil {
			return fmt.Errorf("number %d: %w", n, err)
		}
		w.cards, w.numbers = append(w.cards, pan), append(w.numbers, pan.Reveal())
		list = append(list, ledger.NewCard{
			ID: int64(n), Token: w.vault.Token(pan), Masked: pan.Masked(), Expiry: ledger.Expiry([]byte(expiry)), Currency: money.CNY,
			Status: ledger.CardActive, OpeningMinor: balanceMinor, OpeningID: uuid.Must(uuid.NewV7()),
		})
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := ledger.OpenCards(ctx, tx, calendar, now, list)
		return err
	})
	if err != nil {
		return fmt.Errorf("cards %d to %d: %w", first, last, err)
	}
	return nil
}
