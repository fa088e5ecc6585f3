package switching

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/argon2"

	"meridian/ledger"
)

const (
	// argon2id parameters: the second recommendation of RFC 9106 §4 with less
	// memory, because a host checks passwords beside its traffic.
	argonTime    = 3
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonBytes   = 32

	// operatorTries before an operator is locked, and for how long: enough for
	// fingers, too few to guess four digits.
	operatorTries = 5
	operatorLock  = 30 * time.Minute

	// signOnsAtOnce bounds the memory and the CPU that password checks take.
	signOnsAtOnce = 2
)

// HashPassword returns the argon2id hash of an operator's password as a PHC string.
func HashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	hash := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(hash)), nil
}

// passwordMatches checks a password against a PHC string made by HashPassword.
func passwordMatches(phc, password string) bool {
	var version, memory, passes, threads int
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	// The parameters come from our own database, and are bounded all the same.
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); err != nil ||
		memory < 8 || memory > 256*1024 || passes < 1 || passes > 16 || threads < 1 || threads > 16 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) < 16 || len(want) > 64 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, uint32(passes), uint32(memory), uint8(threads), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// signOn signs an operator on at a terminal. It runs beside the lanes: checking
// a password takes longer than a unit of work.
func (s *Switch) signOn(j *job) {
	ctx, cancel := context.WithDeadline(context.Background(), j.storeBy)
	defer cancel()
	select {
	case s.signOns <- struct{}{}:
		defer func() { <-s.signOns }()
	case <-ctx.Done():
		s.answer(j, Response{Reason: StoreUnavailable, Became: j.request.Kind})
		return
	}
	reason, err := s.checkOperator(ctx, j.request)
	if err != nil {
		s.lines.write(slog.LevelWarn, "cannot sign an operator on", "tid", j.request.TID, "error", err)
		reason = StoreUnavailable
	}
	response := Response{Reason: reason, Became: j.request.Kind, Currency: j.request.merchant.Currency}
	if reason == Approved {
		response.AcceptedAt = s.now().In(j.request.merchant.zone)
	}
	s.answer(j, response)
}

// checkOperator counts the try before it looks at the password, so that tries
// at several hosts at once count as well.
func (s *Switch) checkOperator(ctx context.Context, r *Request) (Reason, error) {
	m, now := r.merchant, s.now()
	operator := s.directory.Load().operators[operatorKey{m.ID, r.OperatorNo}]
	var failures int
	var lockedUntil *time.Time
	err := s.pool.QueryRow(ctx, `
		INSERT INTO operator_lockouts AS l (bucket, merchant_id, operator_no, failures) VALUES ($1, $2, $3, 1)
		ON CONFLICT (bucket, merchant_id, operator_no) DO UPDATE SET
			failures = CASE WHEN l.locked_until <= $4 THEN 1 ELSE l.failures + 1 END,
			locked_until = CASE WHEN l.locked_until > $4 THEN l.locked_until
				WHEN l.locked_until IS NULL AND l.failures + 1 > $5 THEN $6::timestamptz END
		RETURNING failures, locked_until`,
		m.Bucket, m.ID, r.OperatorNo, now, operatorTries, now.Add(operatorLock)).Scan(&failures, &lockedUntil)
	if err != nil {
		return 0, fmt.Errorf("count try: %w", err)
	}
	if lockedUntil != nil && now.Before(*lockedUntil) {
		return OperatorLocked, nil
	}
	if operator == nil || !passwordMatches(operator.PasswordHash, r.OperatorPassword) {
		return WrongOperatorPassword, nil
	}
	// By the operator as it is stored: this host may not have read yet that it was changed.
	signedOn, err := s.pool.Exec(ctx, `
		WITH now AS (
			SELECT supervisor FROM operators WHERE merchant_id = $5 AND operator_no = $3 AND active AND password_hash = $4),
		cleared AS (
			UPDATE operator_lockouts SET failures = 0, locked_until = NULL
			WHERE bucket = $1 AND merchant_id = $5 AND operator_no = $3 AND EXISTS (SELECT FROM now))
		INSERT INTO terminal_sessions (bucket, terminal_id, operator_no, supervisor, signed_on_at)
		SELECT b.bucket, $2, $3, now.supervisor, $6 FROM now, buckets b WHERE b.bucket = $1
		ON CONFLICT (bucket, terminal_id) DO UPDATE SET
			operator_no = excluded.operator_no, supervisor = excluded.supervisor, signed_on_at = excluded.signed_on_at`,
		m.Bucket, r.terminal.ID, r.OperatorNo, operator.PasswordHash, m.ID, now)
	if err != nil {
		return 0, fmt.Errorf("sign on: %w", err)
	}
	if signedOn.RowsAffected() == 0 {
		return WrongOperatorPassword, nil
	}
	return Approved, nil
}

// AddOperator stores an operator of a merchant, or replaces its password and
// rights, and writes it to the audit log. It lifts a lockout, and an operator
// who was there has to sign on again. It needs the owner's privileges.
func AddOperator(ctx context.Context, db ledger.TxBeginner, mid, number, password string, supervisor bool, who, why string) error {
	hash, err := HashPassword(password)
	if err != nil {
		return err
	}
	role := map[bool]string{false: "clerk", true: "supervisor"}[supervisor]
	what := fmt.Sprintf("operator %s of merchant %s: %s, new password", number, mid, role)
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what}, func(ctx context.Context, tx pgx.Tx) (string, error) {
		if err := execute(ctx, tx, `
			INSERT INTO operators (merchant_id, operator_no, supervisor, password_hash)
			SELECT merchant_id, $2, $3, $4 FROM merchants WHERE mid = $1
			ON CONFLICT (merchant_id, operator_no) DO UPDATE SET
				supervisor = excluded.supervisor, password_hash = excluded.password_hash, active = true`,
			mid, number, supervisor, hash); err != nil {
			return "", err
		}
		return "", signOff(ctx, tx, mid, number)
	})
}

// DisableOperator takes an operator's rights away and signs it off everywhere.
// [AddOperator] brings it back. It needs the owner's privileges.
func DisableOperator(ctx context.Context, db ledger.TxBeginner, mid, number, who, why string) error {
	what := fmt.Sprintf("operator %s of merchant %s: disabled", number, mid)
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what}, func(ctx context.Context, tx pgx.Tx) (string, error) {
		err := execute(ctx, tx, `
			UPDATE operators o SET active = false FROM merchants m
			WHERE m.mid = $1 AND o.merchant_id = m.merchant_id AND o.operator_no = $2 AND o.active`, mid, number)
		if err != nil {
			return "", err
		}
		return "", signOff(ctx, tx, mid, number)
	})
}

// signOff ends what an operator is signed on to by an earlier password or
// right, and forgets wrong tries.
func signOff(ctx context.Context, tx pgx.Tx, mid, number string) error {
	if _, err := tx.Exec(ctx, `
		DELETE FROM terminal_sessions s USING merchants m, terminals t
		WHERE m.mid = $1 AND t.merchant_id = m.merchant_id AND s.bucket = m.bucket AND s.terminal_id = t.terminal_id
			AND s.operator_no = $2`, mid, number); err != nil {
		return fmt.Errorf("sign off: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		DELETE FROM operator_lockouts l USING merchants m
		WHERE m.mid = $1 AND l.bucket = m.bucket AND l.merchant_id = m.merchant_id AND l.operator_no = $2`, mid, number); err != nil {
		return fmt.Errorf("lift lockout: %w", err)
	}
	return nil
}
