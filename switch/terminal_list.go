package switching

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/ledger"
)

// TerminalState is a terminal as people see it.
type TerminalState struct {
	TID     string `json:"tid"`
	MID     string `json:"mid"`
	Dialect string `json:"dialect"`
	// TPDU as it sends it, in hex; empty where it is not known.
	TPDU string `json:"tpdu,omitempty"`
	// Active is false while a person has suspended it.
	Active bool `json:"active"`
	// Lock is the last one after wrong MACs, which may be over; nil if there was none.
	Lock      *LockState `json:"lock,omitempty"`
	MAC       string     `json:"mac"`
	KeyScheme KeyScheme  `json:"key_scheme"`
	PINFormat string     `json:"pin_format"`
	// Certificate is the SHA-256 of the one it is bound to, in hex; empty for none.
	Certificate string `json:"certificate_sha256,omitempty"`
	AllowVoid   bool   `json:"allow_void"`
	AllowRefund bool   `json:"allow_refund"`
	// BaseKey names the key that its keys are derived of; InitialKSN is its part of
	// the key serial number, in hex.
	BaseKey    string    `json:"base_key,omitempty"`
	InitialKSN string    `json:"initial_ksn,omitempty"`
	Keys       []HeldKey `json:"keys"`
	// Generations of working keys, the newest first; [FindTerminal] alone has them.
	Generations []KeyGeneration `json:"generations,omitempty"`
}

// Locked tells whether the terminal is locked at now.
func (t *TerminalState) Locked(now time.Time) bool {
	return t.Lock != nil && t.Lock.UnlockedAt == nil && now.Before(t.Lock.Until)
}

// LockState is the last time that a terminal was locked.
type LockState struct {
	At         time.Time  `json:"locked_at"`
	Until      time.Time  `json:"locked_until"`
	Failures   int        `json:"failures"`
	UnlockedAt *time.Time `json:"unlocked_at,omitempty"`
}

// HeldKey says which key there is, and nothing of it.
type HeldKey struct {
	Use       string `json:"use"`
	Algorithm string `json:"algorithm"`
}

// KeyGeneration is one generation of working keys.
type KeyGeneration struct {
	Number    int32      `json:"generation"`
	Keys      []HeldKey  `json:"keys"`
	IssuedAt  time.Time  `json:"issued_at"`
	FirstUsed *time.Time `json:"first_used_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// ErrNoTerminal: there is no terminal with that TID.
var ErrNoTerminal = errors.New("no terminal with that TID")

// TerminalsListed bounds one listing: some 4 MB of JSON.
const TerminalsListed = 10_000

// TerminalFilter chooses terminals; zero values choose every one.
type TerminalFilter struct {
	MID string
	// Prefix is what TIDs begin with.
	Prefix string
	// LockedAt chooses those that are locked at that time.
	LockedAt *time.Time
	// After a TID, or past so many, is where a listing goes on.
	After  string
	Offset int
	// Limit is at most, and 0 is, [TerminalsListed].
	Limit int
}

// TerminalStates lists terminals by their TIDs. Errors: [ErrNoMerchant].
func TerminalStates(ctx context.Context, db ledger.Querier, f TerminalFilter) ([]*TerminalState, error) {
	where, locked := `($1 = '' OR m.mid = $1) AND starts_with(t.tid, $2) AND t.tid > $3`, []any{}
	if f.LockedAt != nil {
		where += ` AND l.unlocked_at IS NULL AND l.locked_until > $6`
		locked = []any{*f.LockedAt}
	}
	limit := f.Limit
	if limit <= 0 || limit > TerminalsListed {
		limit = TerminalsListed
	}
	list, err := terminalStates(ctx, db, where+` ORDER BY t.tid OFFSET $4 LIMIT $5`,
		append([]any{f.MID, f.Prefix, f.After, f.Offset, limit}, locked...)...)
	if err == nil && len(list) == 0 && f.MID != "" {
		var known bool
		if err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM merchants WHERE mid = $1)`, f.MID).Scan(&known); err != nil {
			return nil, fmt.Errorf("list terminals: %w", err)
		}
		if !known {
			return nil, ErrNoMerchant
		}
	}
	return list, err
}

// FindTerminal is one terminal with its generations of keys. Errors: [ErrNoTerminal].
func FindTerminal(ctx context.Context, db ledger.Querier, tid string) (*TerminalState, error) {
	list, err := terminalStates(ctx, db, `t.tid = $1`, tid)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNoTerminal
	}
	rows, err := db.Query(ctx, `
		SELECT w.generation, w.mak_wrapped, w.pik_wrapped, w.tdk_wrapped, w.issued_at, w.first_used_at, w.ended_at
		FROM working_keys w JOIN terminals t USING (terminal_id) WHERE t.tid = $1 ORDER BY w.generation DESC`, tid)
	if err != nil {
		return nil, fmt.Errorf("read keys of terminal %s: %w", tid, err)
	}
	list[0].Generations, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g KeyGeneration, err error) {
		var mak, pik, tdk []byte
		err = row.Scan(&g.Number, &mak, &pik, &tdk, &g.IssuedAt, &g.FirstUsed, &g.EndedAt)
		g.Keys = heldKeys(heldAs{mak, hsm.UseMAC}, heldAs{pik, hsm.UsePIN}, heldAs{tdk, hsm.UseTrack})
		return g, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("read keys of terminal %s: %w", tid, err)
	}
	return list[0], nil
}

func terminalStates(ctx context.Context, db ledger.Querier, where string, arguments ...any) ([]*TerminalState, error) {
	rows, err := db.Query(ctx, `
		SELECT t.tid, m.mid, t.dialect, t.tpdu, t.active, t.mac_algorithm, t.key_scheme, t.pin_format, t.certificate_sha256,
			t.allow_void, t.allow_refund, coalesce(k.name, ''), t.initial_ksn, t.tmk_wrapped, t.mak_wrapped, t.pik_wrapped,
			l.locked_at, l.locked_until, l.failures, l.unlocked_at
		FROM terminals t JOIN merchants m USING (merchant_id) LEFT JOIN base_keys k USING (base_key_id)
		LEFT JOIN terminal_locks l ON l.bucket = m.bucket AND l.terminal_id = t.terminal_id
		WHERE `+where, arguments...)
	if err != nil {
		return nil, fmt.Errorf("list terminals: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*TerminalState, error) {
		var t TerminalState
		var certificate, ksn, tmk, mak, pik []byte
		var at, until, unlocked *time.Time
		var failures *int
		err := row.Scan(&t.TID, &t.MID, &t.Dialect, &t.TPDU, &t.Active, &t.MAC, &t.KeyScheme, &t.PINFormat, &certificate,
			&t.AllowVoid, &t.AllowRefund, &t.BaseKey, &ksn, &tmk, &mak, &pik, &at, &until, &failures, &unlocked)
		if at != nil {
			t.Lock = &LockState{At: at.UTC(), Until: until.UTC(), Failures: *failures, UnlockedAt: unlocked}
		}
		t.Certificate, t.InitialKSN = hex.EncodeToString(certificate), hex.EncodeToString(ksn)
		t.Keys = heldKeys(heldAs{tmk, hsm.UseTerminalMaster}, heldAs{mak, hsm.UseMAC}, heldAs{pik, hsm.UsePIN})
		return &t, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("list terminals: %w", err)
	}
	return list, nil
}

// heldAs is a stored key and what its column is for.
type heldAs struct {
	stored []byte
	use    hsm.Use
}

// heldKeys are those of the keys that are there. One that cannot be read has the
// algorithm "unreadable".
func heldKeys(columns ...heldAs) []HeldKey {
	held := []HeldKey{}
	for _, c := range columns {
		if c.stored == nil {
			continue
		}
		one := HeldKey{Use: c.use.String(), Algorithm: "unreadable"}
		if key, err := hsm.ParseKey(c.stored, c.use); err == nil {
			one.Algorithm = key.Algorithm.String()
		}
		held = append(held, one)
	}
	return held
}

// SetTerminalActive suspends a terminal, or lets it in again. It needs the
// owner's privileges. Errors: [ErrNothingChanged] also where it is so already.
func SetTerminalActive(ctx context.Context, db ledger.TxBeginner, tid string, active bool, who, why string) error {
	c := PolicyChange{Who: who, Why: why, What: "terminal " + tid, Kind: "terminal_suspended"}
	if active {
		c.Kind = "terminal_activated"
	}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		return "", execute(ctx, tx, `UPDATE terminals SET active = $2 WHERE tid = $1 AND active <> $2`, tid, active)
	})
}
