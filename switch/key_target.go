package switching

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/ledger"
)

// KeyTarget names a key that people load: a terminal's, a base key's that keys of
// transactions are derived of, or a transport key's that protects key blocks.
type KeyTarget struct {
	// TID and Use of a terminal's: UseTerminalMaster, UseMAC or UsePIN.
	TID string
	Use hsm.Use
	// BaseKey or Transport is the key's name.
	BaseKey, Transport string
}

// Errors of keys that people load.
var (
	// ErrKeyTarget: the terminal takes no such key from people, or the name is none.
	ErrKeyTarget = errors.New("no such key can be loaded")
	// ErrKeyExists: there is a base or transport key of that name.
	ErrKeyExists = errors.New("there is a key of that name")
	// ErrNoKey: there is no such key.
	ErrNoKey = errors.New("there is no such key")
)

// KeyUse is what the key is for.
func (t KeyTarget) KeyUse() hsm.Use {
	switch {
	case t.BaseKey != "":
		return hsm.UseDUKPTBase
	case t.Transport != "":
		return hsm.UseKeyBlock
	default:
		return t.Use
	}
}

// String names the key for people and the audit log.
func (t KeyTarget) String() string {
	switch {
	case t.BaseKey != "":
		return "base key " + t.BaseKey
	case t.Transport != "":
		return "transport key " + t.Transport
	default:
		return fmt.Sprintf("%s key of terminal %s", t.Use, t.TID)
	}
}

// keyName is what base and transport keys are called.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// keyPlace is where a key of a target is, or goes to.
type keyPlace struct {
	target     KeyTarget
	terminalID int32
	bucket     int16
	scheme     KeyScheme
	mac        string
	tmk        []byte
	now        workingKeys // of the newest generation, else of the terminal's row
	// generations there are, of a terminal whose keys people load.
	generations int
	exists      bool
}

// findPlace looks where a target's key goes, and locks it there until tx ends.
func findPlace(ctx context.Context, tx pgx.Tx, t KeyTarget) (*keyPlace, error) {
	p := &keyPlace{target: t}
	var err error
	switch {
	case t.BaseKey != "" || t.Transport != "":
		err = p.findNamed(ctx, tx)
	default:
		if err = p.findTerminal(ctx, tx); err == nil {
			err = p.takes()
		}
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *keyPlace) findNamed(ctx context.Context, tx pgx.Tx) error {
	name, sql := p.target.BaseKey, `SELECT EXISTS (SELECT FROM base_keys WHERE name = $1)`
	if name == "" {
		name, sql = p.target.Transport, `SELECT EXISTS (SELECT FROM transport_keys WHERE name = $1)`
	}
	if !keyName.MatchString(name) {
		return fmt.Errorf("%w: %q is no name: letters, digits, dots, lines and underscores, up to 64", ErrKeyTarget, name)
	}
	if holdsCard(name) {
		return fmt.Errorf("%w: the name %s", ErrKeyTarget, heldCard)
	}
	if err := tx.QueryRow(ctx, sql, name).Scan(&p.exists); err != nil {
		return fmt.Errorf("look for %s: %w", p.target, err)
	}
	return nil
}

func (p *keyPlace) findTerminal(ctx context.Context, tx pgx.Tx) error {
	err := tx.QueryRow(ctx, `
		SELECT t.terminal_id, m.bucket, t.key_scheme, t.mac_algorithm, t.tmk_wrapped, t.mak_wrapped, t.pik_wrapped
		FROM terminals t JOIN merchants m USING (merchant_id) WHERE t.tid = $1 FOR UPDATE OF t`, p.target.TID).
		Scan(&p.terminalID, &p.bucket, &p.scheme, &p.mac, &p.tmk, &p.now.mak, &p.now.pik)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%w: there is no terminal %s", ErrKeyTarget, p.target.TID)
	case err != nil:
		return fmt.Errorf("look for terminal %s: %w", p.target.TID, err)
	}
	p.exists = map[hsm.Use][]byte{hsm.UseTerminalMaster: p.tmk, hsm.UseMAC: p.now.mak, hsm.UsePIN: p.now.pik}[p.target.Use] != nil
	if p.scheme == SchemeStatic {
		err := tx.QueryRow(ctx, `
			SELECT mak_wrapped, pik_wrapped, count(*) OVER () FROM working_keys
			WHERE bucket = $1 AND terminal_id = $2 AND ended_at IS NULL
			ORDER BY generation DESC LIMIT 1`, p.bucket, p.terminalID).Scan(&p.now.mak, &p.now.pik, &p.generations)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("look for keys of terminal %s: %w", p.target.TID, err)
		}
	}
	return nil
}

// takes tells whether the terminal's key is one that people load.
func (p *keyPlace) takes() error {
	refuse := func(format string, arguments ...any) error {
		return fmt.Errorf("%w: terminal %s %s", ErrKeyTarget, p.target.TID, fmt.Sprintf(format, arguments...))
	}
	switch use := p.target.Use; {
	case use == hsm.UseTerminalMaster:
		return nil
	case use != hsm.UseMAC && use != hsm.UsePIN:
		return refuse("has no %s key of its own", use)
	case p.scheme == SchemeSession:
		return refuse("signs in for its working keys: load its terminal-master key")
	case p.scheme.Derives():
		return refuse("derives its keys of a base key (%s)", p.scheme)
	}
	return nil
}

// TargetKey reads the key of a target: the newest one where a terminal has
// generations of them. Errors: [ErrNoKey], [ErrKeyTarget], those of [hsm.ParseKey].
func TargetKey(ctx context.Context, db ledger.TxBeginner, t KeyTarget) (key hsm.Key, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		place, err := findPlace(ctx, tx, t)
		if err != nil {
			return err
		}
		stored := place.now.pik
		switch t.KeyUse() {
		case hsm.UseTerminalMaster:
			stored = place.tmk
		case hsm.UseMAC:
			stored = place.now.mak
		case hsm.UseDUKPTBase:
			stored, err = wrappedKey(ctx, tx, `SELECT bdk_wrapped FROM base_keys WHERE name = $1`, t.BaseKey)
		case hsm.UseKeyBlock:
			stored, err = wrappedKey(ctx, tx, `SELECT kbpk_wrapped FROM transport_keys WHERE name = $1`, t.Transport)
		default:
		}
		if err != nil {
			return err
		}
		if stored == nil {
			return ErrNoKey
		}
		key, err = hsm.ParseKey(stored, t.KeyUse())
		return err
	})
	if err != nil {
		return hsm.Key{}, fmt.Errorf("%s: %w", t, err)
	}
	return key, nil
}

// wrappedKey reads one key; nil if there is none.
func wrappedKey(ctx context.Context, tx pgx.Tx, sql, name string) (stored []byte, err error) {
	err = tx.QueryRow(ctx, sql, name).Scan(&stored)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read: %w", err)
	}
	return stored, nil
}

// InitialSerial is what a terminal's derived keys begin with: its base key, and
// its key serial number with a counter of zero. Errors: [ErrNoTerminal], [ErrNoKey].
func InitialSerial(ctx context.Context, db ledger.Querier, tid string) (base hsm.Key, ksn []byte, err error) {
	var stored []byte
	err = db.QueryRow(ctx, `
		SELECT k.bdk_wrapped, t.initial_ksn FROM terminals t LEFT JOIN base_keys k USING (base_key_id) WHERE t.tid = $1`, tid).Scan(&stored, &ksn)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return base, nil, ErrNoTerminal
	case err != nil:
		return base, nil, fmt.Errorf("base key of terminal %s: %w", tid, err)
	case stored == nil:
		return base, nil, fmt.Errorf("%w: terminal %s derives its keys from no base key", ErrNoKey, tid)
	}
	if len(ksn) == aesInitialBytes {
		ksn = append(ksn, make([]byte, aesKSNBytes-aesInitialBytes)...)
	}
	if base, err = hsm.ParseKey(stored, hsm.UseDUKPTBase); err != nil {
		return base, nil, fmt.Errorf("base key of terminal %s: %w", tid, err)
	}
	return base, ksn, nil
}

// byPerson is who does something with keys, when and why.
type byPerson struct {
	now      time.Time
	who, why string
}
