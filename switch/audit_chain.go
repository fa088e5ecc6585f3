package switching

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// The audit log is a chain: every row has the next number, the hash of the row
// before it, and a hash over itself and that one. What is changed, taken out or
// put in between does not fit its neighbours any more; what is cut off at the
// end does not fit the head, which is kept in a row of its own.
//
//	audit_log  … ─▶ 41 ─▶ 42 ─▶ 43        audit_head: 43, its hash
//
// It protects against everybody who cannot write the whole chain anew. Who owns
// the database can, head included: only a head that was noted elsewhere shows it.

// AuditEntry is a denied attempt or a change by a person. It never holds a card
// number, a key or a PIN.
type AuditEntry struct {
	At      time.Time
	Kind    string // mac_failure, ...
	Subject string // terminal, merchant, person
	Detail  string
}

// What a row's texts are cut to, in letters: some of them come from strangers.
const (
	maxAuditKind    = 64
	maxAuditSubject = 256
	maxAuditDetail  = 2048
)

// auditHeadIdle is how long the head's row may stay locked by somebody who went
// away in the middle: everybody else's rows wait for it.
const auditHeadIdle = 5 * time.Second

// AuditHash is the hash of a row of the audit log.
type AuditHash [sha256.Size]byte

// String is the hash in hex.
func (h AuditHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is the hash in hex.
func (h AuditHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits.
func (h *AuditHash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash of the audit log is %d hex digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("hash of the audit log: %w", err)
	}
	return nil
}

// AuditHead is the end of the chain: the last row's number and hash; zeros
// before there is any.
type AuditHead struct {
	Sequence int64     `json:"sequence"`
	Hash     AuditHash `json:"hash"`
}

// auditHash is the hash of a row: SHA-256 over a mark of this form, the number
// and the time (microseconds since 1970), both 64 bits, the texts in UTF-8 with
// 32 bits of length in front of each, and the hash before. Integers are big
// endian. Migration 11 computes the same in SQL.
func auditHash(sequence int64, e *AuditEntry, previous AuditHash) AuditHash {
	b := make([]byte, 0, 256)
	b = append(b, "meridian audit 1"...)
	b = binary.BigEndian.AppendUint64(b, uint64(sequence))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	for _, text := range []string{e.Kind, e.Subject, e.Detail} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return sha256.Sum256(append(b, previous[:]...))
}

// AppendAudit puts entries at the end of the audit log. Every writer of the log
// comes through here. It locks the end of the chain until tx ends, so it must be
// the last thing that tx does: whoever took another lock after it could wait for
// one who waits for it. tx must not be of a higher isolation than read committed.
func AppendAudit(ctx context.Context, tx pgx.Tx, entries ...AuditEntry) error {
	_, err := appendAudit(ctx, tx, entries)
	return err
}

// appendAudit is AppendAudit, and returns the new head.
func appendAudit(ctx context.Context, tx pgx.Tx, entries []AuditEntry) (AuditHead, error) {
	head, err := lockAuditHead(ctx, tx)
	if err != nil {
		return head, err
	}
	var links auditLinks
	for _, e := range entries {
		e.At = e.At.Truncate(time.Microsecond) // what is stored
		e.Kind, e.Subject, e.Detail = auditText(e.Kind, maxAuditKind), auditText(e.Subject, maxAuditSubject), auditText(e.Detail, maxAuditDetail)
		head = links.add(head, &e)
	}
	b := &pgx.Batch{}
	b.Queue(`
		INSERT INTO audit_log (recorded_at, kind, subject, detail, sequence, previous_hash, hash)
		SELECT u.recorded_at, u.kind, u.subject, u.detail, u.sequence, u.previous_hash, u.hash
		FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bytea[])
			AS u(recorded_at, kind, subject, detail, sequence, previous_hash, hash) ORDER BY u.sequence`,
		links.at, links.kinds, links.subjects, links.details, links.sequences, links.previous, links.hashes)
	queueAuditHead(b, head)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return head, fmt.Errorf("append to the audit log: %w", err)
	}
	return head, nil
}

func lockAuditHead(ctx context.Context, tx pgx.Tx) (AuditHead, error) {
	var head AuditHead
	var hash []byte
	b := &pgx.Batch{}
	queueIdleBound(b, auditHeadIdle)
	b.Queue(`SELECT sequence, hash FROM audit_head FOR UPDATE`).
		QueryRow(func(row pgx.Row) error { return row.Scan(&head.Sequence, &hash) })
	err := tx.SendBatch(ctx, b).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return head, errors.New("the audit log has no head: somebody took it away (meridian audit verify)")
	}
	if err != nil {
		return head, fmt.Errorf("lock the end of the audit log: %w", err)
	}
	copy(head.Hash[:], hash)
	return head, nil
}

// queueIdleBound has the server end a transaction whose client says nothing for so long.
func queueIdleBound(b *pgx.Batch, idle time.Duration) {
	b.Queue(`SELECT set_config('idle_in_transaction_session_timeout', $1, true)`, fmt.Sprint(idle.Milliseconds()))
}

func queueAuditHead(b *pgx.Batch, head AuditHead) {
	b.Queue(`UPDATE audit_head SET sequence = $1, hash = $2`, head.Sequence, head.Hash[:])
}

// auditLinks are rows to be stored, by column.
type auditLinks struct {
	at                       []time.Time
	kinds, subjects, details []string
	sequences                []int64
	previous, hashes         [][]byte
}

// add appends an entry after head and returns the head it makes.
func (l *auditLinks) add(head AuditHead, e *AuditEntry) AuditHead {
	next := AuditHead{Sequence: head.Sequence + 1, Hash: auditHash(head.Sequence+1, e, head.Hash)}
	l.at = append(l.at, e.At)
	l.kinds, l.subjects, l.details = append(l.kinds, e.Kind), append(l.subjects, e.Subject), append(l.details, e.Detail)
	l.sequences = append(l.sequences, next.Sequence)
	l.previous, l.hashes = append(l.previous, head.Hash[:]), append(l.hashes, next.Hash[:])
	return next
}

// auditText is a text as the log keeps it: of bounded length, and without what
// the database refuses or a terminal obeys. One row that cannot be stored would
// take its neighbours along.
func auditText(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return text
}
