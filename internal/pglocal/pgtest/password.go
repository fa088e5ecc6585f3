//go:build unix

package pgtest

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/internal/pglocal"
)

// quickenPassword stores the superuser's password anew, hashed once in place of 4,096
// times: each connection of a client has to do the same, and tests make thousands of
// them. The password is random, so that guessing it is no easier.
func quickenPassword(ctx context.Context, server *pglocal.Server) error {
	conn, err := pgx.Connect(ctx, server.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("quicken the password: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))

	verifier, err := scramVerifier(conn.Config().Password)
	if err != nil {
		return fmt.Errorf("quicken the password: %w", err)
	}

	// The statement takes no parameters; the verifier has no quotes.
	if _, err := conn.Exec(ctx, "ALTER ROLE CURRENT_USER PASSWORD '"+verifier+"'"); err != nil {
		return fmt.Errorf("quicken the password: %w", err)
	}

	return nil
}

// scramVerifier is what Postgres keeps of a password (RFC 5803, section 3), with one
// iteration.
func scramVerifier(password string) (string, error) {
	const iterations = 1

	var salt [16]byte

	_, _ = rand.Read(salt[:]) // never fails

	salted, err := pbkdf2.Key(sha256.New, password, salt[:], iterations, sha256.Size)
	if err != nil {
		return "", err
	}

	keyed := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))

		return mac.Sum(nil)
	}
	stored := sha256.Sum256(keyed("Client Key"))
	text := base64.StdEncoding.EncodeToString

	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, text(salt[:]), text(stored[:]), text(keyed("Server Key"))), nil
}
