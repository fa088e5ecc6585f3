package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/ledger"
	"meridian/switch"
)

// Token is what lets somebody into a host's console. Its secret is known to its
// owner alone: the database has a hash of it.
type Token struct {
	ID        string     `json:"token_id"`
	Name      string     `json:"name"`
	Role      Role       `json:"role"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// Valid tells whether the token lets anybody in at now.
func (t *Token) Valid(now time.Time) bool { return t.RevokedAt == nil && now.Before(t.ExpiresAt) }

const (
	tokenPrefix = "mct_" // by which a leaked one is recognized
	secretBytes = 32
	idBytes     = 8
	// maxTokenLife is how long a token may last: it is renewed by somebody who still
	// works here.
	maxTokenLife = 400 * 24 * time.Hour
	maxNameBytes = 64
)

// Errors of tokens.
var (
	ErrToken   = errors.New("not a token that lets anybody in")
	ErrNoToken = errors.New("no such token, or it is revoked already")
)

// NewToken is a token to be made.
type NewToken struct {
	Name string
	Role Role
	Life time.Duration
	// Who makes it and why, for the audit log.
	Who, Why string
}

// MakeToken stores a token and returns it with its text, which is not to be had
// again. It needs the owner's privileges, and is in the audit log.
func MakeToken(ctx context.Context, db ledger.TxBeginner, now time.Time, n NewToken) (*Token, string, error) {
	switch {
	case n.Who == "" || n.Why == "":
		return nil, "", errors.New("make token: who makes it and why must be said")
	case n.Name == "" || len(n.Name) > maxNameBytes:
		return nil, "", fmt.Errorf("make token: a name has 1 to %d bytes", maxNameBytes)
	case card.HideTyped(n.Name, nil) != n.Name:
		return nil, "", errors.New("make token: the name has a card number in it, which is kept nowhere")
	case n.Role != RoleViewer && n.Role != RoleOperator:
		return nil, "", fmt.Errorf("make token: %q is no role: %s or %s", n.Role, RoleViewer, RoleOperator)
	case n.Life <= 0 || n.Life > maxTokenLife:
		return nil, "", fmt.Errorf("make token: it lasts up to %d days", maxTokenLife/(24*time.Hour))
	}
	random := make([]byte, idBytes+secretBytes)
	_, _ = rand.Read(random) // it never fails
	t := &Token{
		ID: hex.EncodeToString(random[:idBytes]), Name: n.Name, Role: n.Role,
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: now.Add(n.Life).UTC().Truncate(time.Microsecond),
	}
	secret := base64.RawURLEncoding.EncodeToString(random[idBytes:])
	hash := sha256.Sum256([]byte(secret))
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO console_tokens (token_id, secret_sha256, name, role, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			t.ID, hash[:], t.Name, string(t.Role), t.CreatedAt, t.ExpiresAt); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return switching.AppendAudit(ctx, tx, switching.AuditEntry{
			At: now, Kind: "console_token_made", Subject: "console token " + t.ID,
			Detail: fmt.Sprintf("%s of %s until %s, by %s: %s", t.Role, t.Name, t.ExpiresAt.Format(time.RFC3339), n.Who, n.Why),
		})
	})
	if err != nil {
		return nil, "", fmt.Errorf("make token: %w", err)
	}
	return t, tokenPrefix + t.ID + "_" + secret, nil
}

// RevokeToken ends a token now; hosts follow within seconds. It needs the owner's
// privileges, and is in the audit log. Errors: [ErrNoToken].
func RevokeToken(ctx context.Context, db ledger.TxBeginner, now time.Time, id, who, why string) error {
	if who == "" || why == "" {
		return errors.New("revoke token: who does it and why must be said")
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE console_tokens SET revoked_at = $2 WHERE token_id = $1 AND revoked_at IS NULL`, id, now)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return ErrNoToken
		}
		return switching.AppendAudit(ctx, tx, switching.AuditEntry{
			At: now, Kind: "console_token_revoked", Subject: "console token " + id, Detail: "by " + who + ": " + why,
		})
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

const tokenColumns = `token_id, name, role, created_at, expires_at, revoked_at`

// maxTokens bounds a listing: more people than look at one host.
const maxTokens = 1000

// Tokens lists the newest tokens, the newest first.
func Tokens(ctx context.Context, db ledger.Querier) ([]*Token, error) {
	rows, err := db.Query(ctx, `SELECT `+tokenColumns+` FROM console_tokens ORDER BY created_at DESC, token_id LIMIT $1`, maxTokens)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Token, error) {
		var t Token
		return &t, scanToken(row, &t)
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

func scanToken(row pgx.Row, t *Token, more ...any) error {
	err := row.Scan(append([]any{&t.ID, &t.Name, &t.Role, &t.CreatedAt, &t.ExpiresAt, &t.RevokedAt}, more...)...)
	t.CreatedAt, t.ExpiresAt = t.CreatedAt.UTC(), t.ExpiresAt.UTC()
	return err //nolint:wrapcheck // wrapped by the callers
}

// openToken finds the token that a text is. Errors: [ErrToken] for what is none,
// whatever is wrong with it.
func openToken(ctx context.Context, db ledger.Querier, now time.Time, text string) (*Token, error) {
	id, secret, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), tokenPrefix), "_")
	if !found || len(id) != 2*idBytes || len(secret) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return nil, ErrToken
	}
	var t Token
	var want []byte
	err := scanToken(db.QueryRow(ctx, `SELECT `+tokenColumns+`, secret_sha256 FROM console_tokens WHERE token_id = $1`, id), &t, &want)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrToken
	}
	if err != nil {
		return nil, fmt.Errorf("look up a token: %w", err)
	}
	got := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(got[:], want) != 1 || !t.Valid(now) {
		return nil, ErrToken
	}
	return &t, nil
}

// tokenStands tells whether a token that somebody signed in with still lets them in.
func tokenStands(ctx context.Context, db ledger.Querier, now time.Time, id string) (bool, error) {
	var t Token
	err := scanToken(db.QueryRow(ctx, `SELECT `+tokenColumns+` FROM console_tokens WHERE token_id = $1`, id), &t)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up a token: %w", err)
	}
	return t.Valid(now), nil
}
