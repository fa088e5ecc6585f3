//go:build unix

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/switch"
)

// ErrProduction: the database is somebody's production.
var ErrProduction = errors.New("the database belongs to a production installation that is in use: a sandbox never touches it; " +
	"give --database-url an empty database, or add --ephemeral to have one made")

// ErrOtherRows: the database holds something else where the sandbox's rows go.
var ErrOtherRows = errors.New("the database holds other merchants, terminals or cards under the sandbox's numbers")

// guard refuses a production database that is in use, before anything is done
// to it. A database without Meridian's schema is not one.
func guard(ctx context.Context, db ledger.Querier) error {
	var installed bool
	if err := db.QueryRow(ctx, installedSQL).Scan(&installed); err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	if !installed {
		return nil
	}
	kind, err := installation(ctx, db, inUseSQL)
	if err != nil {
		return err
	}
	return kind.refuse()
}

// installed is what an installation is, and whether it has merchants or cards.
type installed struct {
	kind  string
	inUse bool
}

func installation(ctx context.Context, db ledger.Querier, sql string) (i installed, err error) {
	if err := db.QueryRow(ctx, sql).Scan(&i.kind, &i.inUse); err != nil {
		return i, fmt.Errorf("look at the installation: %w", err)
	}
	return i, nil
}

func (i installed) refuse() error {
	if i.kind == kindProduction && i.inUse {
		return ErrProduction
	}
	return nil
}

const kindProduction = "production"

// seed puts everything a sandbox has into the database, as far as it is not
// there yet, in one transaction.
func seed(ctx context.Context, db ledger.TxBeginner, v *vault.Vault, now time.Time) (changed bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		was, err := installation(ctx, tx, inUseSQL+lockInstallation)
		if err != nil {
			return err
		}
		if err := was.refuse(); err != nil {
			return err
		}
		s := seeder{tx: tx, vault: v, module: hsm.NewSoftware(v, v.FirstDataKeys()), now: now}
		if err := s.run(ctx); err != nil {
			return err
		}
		if changed = s.changed > 0 || was.kind == kindProduction; !changed {
			return nil
		}
		if _, err := tx.Exec(ctx, markSandboxSQL); err != nil {
			return fmt.Errorf("mark the installation: %w", err)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("seed: %w", err)
	}
	return changed, nil
}

// seeder is one run of seed.
type seeder struct {
	tx      pgx.Tx
	vault   *vault.Vault
	module  *hsm.Software
	now     time.Time
	changed int64 // rows of reference data
}

func (s *seeder) run(ctx context.Context) error {
	all := merchants()
	b := &pgx.Batch{}
	for i := range all {
		m := &all[i]
		low, high := m.binRange()
		s.queue(b, insertCalendarSQL, m.id, m.calendarName(), m.zone, m.cutoff, firstDate, m.region, m.weekend)
		s.queue(b, insertPolicySQL, m.id, m.policyName(), m.mode, maxAmountMinor, maxCashbackMinor)
		s.queue(b, insertMerchantSQL, m.id, m.bucket, m.mid, m.name, m.currency, m.id, m.id)
		s.queue(b, insertRangeSQL, low, high, m.network)
		for _, t := range m.terminals() {
			if err := s.queueTerminal(b, t); err != nil {
				return err
			}
		}
	}
	for _, h := range holidays() {
		s.queue(b, insertHolidaySQL, h.calendar, h.date, h.name)
	}
	if err := s.queueCatalogues(b); err != nil {
		return fmt.Errorf("catalogues: %w", err)
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("reference data: %w", err)
	}
	if err := s.replaceKeys(ctx, all); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := s.operators(ctx, all); err != nil {
		return fmt.Errorf("operators: %w", err)
	}
	if err := s.cards(ctx, all); err != nil {
		return err
	}
	return s.check(ctx, all)
}

// queue adds an insert that does nothing where its row is, and counts what it did.
func (s *seeder) queue(b *pgx.Batch, sql string, args ...any) {
	b.Queue(sql, args...).Exec(func(tag commandTag) error {
		s.changed += tag.RowsAffected()
		return nil
	})
}

func (s *seeder) queueTerminal(b *pgx.Batch, t terminal) error {
	stored, err := s.storedKeys(t.tid)
	if err != nil {
		return err
	}
	s.queue(b, insertTerminalSQL, t.id, t.tid, t.merchant.id, t.dialect, t.tpdu, t.mac, t.scheme(), stored[0], stored[1], stored[2])
	return nil
}

// storedUses are the keys of a terminal's row, in the order of its columns.
var storedUses = [...]hsm.Use{hsm.UseTerminalMaster, hsm.UseMAC, hsm.UsePIN}

// storedKeys are a terminal's keys as its row has them.
func (s *seeder) storedKeys(tid string) (stored [len(storedUses)][]byte, err error) {
	k := keysOf(tid)
	for i, use := range storedUses {
		key, err := s.module.Enter(use, hsm.TDES2, k.of(use))
		if err != nil {
			return stored, fmt.Errorf("terminal %s: %w", tid, err)
		}
		stored[i] = key.Bytes()
	}
	return stored, nil
}

// replaceKeys gives terminals new wrappings whose keys do not open: those that an
// older version has seeded.
func (s *seeder) replaceKeys(ctx context.Context, all []merchant) error {
	terminals := map[int32]string{}
	for i := range all {
		for _, t := range all[i].terminals() {
			terminals[t.id] = t.tid
		}
	}
	rows, err := s.tx.Query(ctx, terminalKeysSQL, slices.Collect(maps.Keys(terminals)))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	var id int32
	var stored [len(storedUses)][]byte
	closed := map[int32]bool{}
	_, err = pgx.ForEachRow(rows, []any{&id, &stored[0], &stored[1], &stored[2]}, func() error {
		for i, use := range storedUses {
			closed[id] = closed[id] || stored[i] != nil && !s.opens(ctx, stored[i], use)
		}
		stored = [len(storedUses)][]byte{}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	b := &pgx.Batch{}
	for id, is := range closed {
		if !is {
			continue
		}
		keys, err := s.storedKeys(terminals[id])
		if err != nil {
			return err
		}
		s.queue(b, replaceKeysSQL, id, keys[0], keys[1], keys[2])
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	return nil
}

func (s *seeder) opens(ctx context.Context, stored []byte, use hsm.Use) bool {
	key, err := hsm.ParseKey(stored, use)
	if err != nil {
		return false
	}
	_, err = s.module.CheckValue(ctx, key)
	return err == nil
}

// operators gives every merchant its operators. A password's hash is slow on
// purpose and new each time, so it is made only where one is missing.
func (s *seeder) operators(ctx context.Context, all []merchant) error {
	passwords := map[string]string{operator: operatorPassword, supervisor: supervisorPassword}
	numbers := slices.Sorted(maps.Keys(passwords))
	ids := make([]int32, len(all))
	for i := range all {
		ids[i] = all[i].id
	}
	var have int
	if err := s.tx.QueryRow(ctx, operatorsSQL, ids, numbers).Scan(&have); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if have == len(ids)*len(numbers) {
		return nil
	}
	b := &pgx.Batch{}
	for _, number := range numbers {
		hash, err := switching.HashPassword(passwords[number])
		if err != nil {
			return err
		}
		for _, id := range ids {
			s.queue(b, insertOperatorSQL, id, number, number == supervisor, hash)
		}
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return nil
}

// cards opens the accounts that are missing and loads them.
func (s *seeder) cards(ctx context.Context, all []merchant) error {
	calendars, err := ledger.Calendars(ctx, s.tx)
	if err != nil {
		return fmt.Errorf("calendars: %w", err)
	}
	// The loads need a window to be posted in.
	if err := ledger.EnsureWindows(ctx, s.tx, calendars, s.now); err != nil {
		return fmt.Errorf("business days: %w", err)
	}
	for i := range all {
		if err := s.cardsOf(ctx, &all[i]); err != nil {
			return fmt.Errorf("cards of %s: %w", all[i].mid, err)
		}
	}
	return nil
}

func (s *seeder) cardsOf(ctx context.Context, m *merchant) error {
	list, err := m.cards()
	if err != nil {
		return err
	}
	made := make([]ledger.NewCard, 0, len(list))
	b := &pgx.Batch{}
	for _, c := range list {
		if c.id == 0 {
			continue
		}
		token := s.vault.Token(c.pan)
		reference, err := s.module.ReferenceClearPIN(cardPIN, token)
		if err != nil {
			return fmt.Errorf("PIN: %w", err)
		}
		made = append(made, ledger.NewCard{
			ID: c.id, Token: token, Masked: c.pan.Masked(), Expiry: ledger.Expiry([]byte(c.expiry)), Currency: m.currency, Status: c.status,
			OpeningMinor: c.balance, OpeningID: loadID(c.id),
		})
		s.queue(b, setPINSQL, c.id, token[:], reference)
	}
	if _, err := ledger.OpenCards(ctx, s.tx, int16(m.id), s.now, made); err != nil {
		return err
	}
	if err := s.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("PINs: %w", err)
	}
	return nil
}

// loadID is the same for a card in every sandbox.
func loadID(cardID int64) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "meridian:sandbox:load:%d", cardID))
}

// check looks whether what is there now is what was to be seeded: an insert
// that met another row under its number did nothing.
func (s *seeder) check(ctx context.Context, all []merchant) error {
	var want, have int
	for i := range all {
		m := &all[i]
		var merchantIDs, terminalIDs []int32
		var tids []string
		var cardIDs []int64
		var tokens [][]byte
		merchantIDs = append(merchantIDs, m.id)
		for _, t := range m.terminals() {
			terminalIDs, tids = append(terminalIDs, t.id), append(tids, t.tid)
		}
		list, err := m.cards()
		if err != nil {
			return err
		}
		for _, c := range list {
			if c.id != 0 {
				token := s.vault.Token(c.pan)
				cardIDs, tokens = append(cardIDs, c.id), append(tokens, token[:])
			}
		}
		want += len(merchantIDs) + len(tids) + len(tokens)
		var found int
		if err := s.tx.QueryRow(ctx, countSeedsSQL, m.id, m.mid, terminalIDs, tids, cardIDs, tokens).Scan(&found); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		have += found
	}
	if have != want {
		return fmt.Errorf("%w (%d of %d rows are the sandbox's)", ErrOtherRows, have, want)
	}
	return nil
}
