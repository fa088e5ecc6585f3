package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/ledger"
)

// LoadedKey is where a key went to.
type LoadedKey struct {
	Key        string `json:"key"`
	Algorithm  string `json:"algorithm"`
	CheckValue string `json:"check_value"`
	// Generation of a terminal's working keys; 0 where it is the first, or no working key.
	Generation int32 `json:"generation,omitempty"`
}

// LoadKey stores a key that people bring or have drawn, and says so in the audit
// log. A terminal's MAC or PIN key that takes the place of another one is its next
// generation: the terminal may go on with the one before until the first message
// under the new one, and for a minute after it. It needs the owner's privileges.
//
// Errors: [ErrKeyTarget], [ErrKeyExists] for a base or a transport key of the name,
// hsm.ErrAlgorithm for a key that does not fit the terminal's MAC.
func LoadKey(ctx context.Context, db ledger.TxBeginner, module hsm.Module, t KeyTarget, key hsm.Key, now time.Time, who, why string) (*LoadedKey, error) {
	if who == "" || why == "" {
		return nil, errors.New("load key: who does it and why must be said")
	}
	var loaded *LoadedKey
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		loaded, err = loadKey(ctx, tx, module, t, key, byPerson{now, who, why})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", t, err)
	}
	return loaded, nil
}

// loadKey is LoadKey in a transaction; it ends it with the audit row.
func loadKey(ctx context.Context, tx pgx.Tx, module hsm.Module, t KeyTarget, key hsm.Key, c byPerson) (*LoadedKey, error) {
	if key.Use != t.KeyUse() {
		return nil, fmt.Errorf("%w: it is a %s", hsm.ErrUse, key)
	}
	if err := moveDirectory(ctx, tx); err != nil { // first: see changeReference
		return nil, err
	}
	place, err := findPlace(ctx, tx, t)
	if err != nil {
		return nil, err
	}
	check, err := module.CheckValue(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("check value: %w", err)
	}
	loaded := &LoadedKey{Key: t.String(), Algorithm: key.Algorithm.String(), CheckValue: check.String()}
	if loaded.Generation, err = place.store(ctx, tx, module, key, c.now); err != nil {
		return nil, err
	}
	more := ""
	if place.exists && loaded.Generation == 0 {
		more = ", in place of another"
	}
	return loaded, AppendAudit(ctx, tx, loaded.entry(more, c))
}

// store puts a key into its place.
func (p *keyPlace) store(ctx context.Context, tx pgx.Tx, module hsm.Module, key hsm.Key, now time.Time) (generation int32, err error) {
	t := p.target
	if p.exists && (t.BaseKey != "" || t.Transport != "") {
		return 0, ErrKeyExists
	}
	switch t.KeyUse() {
	case hsm.UseDUKPTBase:
		return 0, execute(ctx, tx, `
			INSERT INTO base_keys (base_key_id, name, bdk_wrapped, created_at)
			SELECT coalesce(max(base_key_id), 0) + 1, $1, $2, $3 FROM base_keys`, t.BaseKey, key.Bytes(), now)
	case hsm.UseKeyBlock:
		return 0, execute(ctx, tx, `INSERT INTO transport_keys (name, kbpk_wrapped, created_at) VALUES ($1, $2, $3)`, t.Transport, key.Bytes(), now)
	case hsm.UseTerminalMaster:
		return 0, execute(ctx, tx, `UPDATE terminals SET tmk_wrapped = $2 WHERE terminal_id = $1`, p.terminalID, key.Bytes())
	default:
		return p.storeWorking(ctx, tx, module, []hsm.Key{key}, now)
	}
}

// storeWorking stores MAC and PIN keys of a terminal: in its row where it has none
// of them yet, else as its next generation, with what is not replaced.
func (p *keyPlace) storeWorking(ctx context.Context, tx pgx.Tx, module hsm.Module, keys []hsm.Key, now time.Time) (generation int32, err error) {
	next, replaces := p.now, false
	for _, key := range keys {
		place := &next.pik
		if key.Use == hsm.UseMAC {
			place = &next.mak
			if p.mac != noMAC {
				if _, err := module.MAC(ctx, key, p.mac); err != nil {
					return 0, fmt.Errorf("the terminal's MAC is %s: %w", p.mac, err)
				}
			}
		}
		replaces = replaces || *place != nil
		*place = key.Bytes()
	}
	if replaces {
		return storeGeneration(ctx, tx, p.bucket, p.terminalID, next, now)
	}
	if p.generations > 0 { // a generation says everything, so the row's keys would not count
		return storeGeneration(ctx, tx, p.bucket, p.terminalID, next, now)
	}
	return 0, execute(ctx, tx, `UPDATE terminals SET mak_wrapped = $2, pik_wrapped = $3 WHERE terminal_id = $1`, p.terminalID, next.mak, next.pik)
}

// LoadGeneration stores a terminal's MAC key, its PIN key, or both at once: its
// next generation, or its first keys. See [LoadKey].
func LoadGeneration(ctx context.Context, db ledger.TxBeginner, module hsm.Module, tid string, keys []hsm.Key, now time.Time, who, why string) ([]*LoadedKey, error) {
	if who == "" || why == "" {
		return nil, errors.New("load keys: who does it and why must be said")
	}
	var loaded []*LoadedKey
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		loaded, err = loadGeneration(ctx, tx, module, tid, keys, byPerson{now, who, why})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load keys of terminal %s: %w", tid, err)
	}
	return loaded, nil
}

func loadGeneration(ctx context.Context, tx pgx.Tx, module hsm.Module, tid string, keys []hsm.Key, c byPerson) ([]*LoadedKey, error) {
	var place *keyPlace
	var loaded []*LoadedKey
	var audit []AuditEntry
	if err := moveDirectory(ctx, tx); err != nil { // first: see changeReference
		return nil, err
	}
	for _, key := range keys {
		t := KeyTarget{TID: tid, Use: key.Use}
		if key.Use == hsm.UseTerminalMaster {
			return nil, fmt.Errorf("%w: %s is no working key", ErrKeyTarget, key)
		}
		var err error
		if place, err = findPlace(ctx, tx, t); err != nil {
			return nil, err
		}
		check, err := module.CheckValue(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("check value: %w", err)
		}
		loaded = append(loaded, &LoadedKey{Key: t.String(), Algorithm: key.Algorithm.String(), CheckValue: check.String()})
	}
	if place == nil {
		return nil, ErrNoKey
	}
	generation, err := place.storeWorking(ctx, tx, module, keys, c.now)
	if err != nil {
		return nil, err
	}
	for _, l := range loaded {
		l.Generation = generation
		audit = append(audit, l.entry("", c))
	}
	return loaded, AppendAudit(ctx, tx, audit...)
}

// entry tells of the key in the audit log.
func (l *LoadedKey) entry(more string, c byPerson) AuditEntry {
	detail := l.Algorithm + ", check value " + l.CheckValue
	if l.Generation != 0 {
		detail += fmt.Sprintf(", generation %d", l.Generation)
	}
	return AuditEntry{At: c.now, Kind: "key_loaded", Subject: l.Key, Detail: detail + more + ", " + byWhom(c.who, c.why)}
}

// moveDirectory has hosts read their reference data anew. Until tx ends, nobody
// else changes reference data.
func moveDirectory(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `UPDATE installation SET directory_version = directory_version + 1`); err != nil {
		return fmt.Errorf("move version: %w", err)
	}
	return nil
}

// RecordKeyExport writes to the audit log that a key leaves in a key block, before
// it does.
func RecordKeyExport(ctx context.Context, db ledger.TxBeginner, now time.Time, what, transport, checkValue, who, why string) error {
	if who == "" || why == "" {
		return errors.New("export key: who does it and why must be said")
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return AppendAudit(ctx, tx, AuditEntry{
			At: now, Kind: "key_exported", Subject: what,
			Detail: fmt.Sprintf("check value %s, under transport key %s, %s", checkValue, transport, byWhom(who, why)),
		})
	})
	if err != nil {
		return fmt.Errorf("export %s: %w", what, err)
	}
	return nil
}
