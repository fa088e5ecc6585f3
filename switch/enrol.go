package switching

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
)

// Enrolment is how reference data comes into being: calendars, policies,
// merchants, terminals, card ranges and terms. Each is one transaction that
// holds the directory's row from its beginning on ([changeReference]), so that
// numbers are handed out once and nothing that was looked for appears meanwhile;
// it ends with a row of the audit log, and hosts take it up within seconds. All
// of it needs the owner's privileges: the service's role only reads these tables.

// FieldError says which part of what somebody enters is not as it has to be, and
// why. [ErrTaken], [ErrMissing] or [ErrNotNow] is in its chain where the form is
// right and the database is what it does not fit.
type FieldError struct {
	// Field by its name for people: mid, currency, time-zone.
	Field   string
	Problem string

	cause error
}

// Error is the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Unwrap is why, where somebody may want to tell it from a wrong form.
func (e *FieldError) Unwrap() error { return e.cause }

var (
	// ErrTaken: there is one of that name, or something else is where it goes to.
	ErrTaken = errors.New("taken")
	// ErrMissing: what it refers to is not there.
	ErrMissing = errors.New("missing")
	// ErrNotNow: it cannot be while things are as they are.
	ErrNotNow = errors.New("not now")
)

// wrong is a field whose form is not right.
func wrong(field, format string, arguments ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, arguments...)}
}

// taken is a field that another row has already.
func taken(field, format string, arguments ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, arguments...), cause: ErrTaken}
}

// missing is a field that names what is not there.
func missing(field, format string, arguments ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, arguments...), cause: ErrMissing}
}

// notNow is a field that the state of something else does not allow.
func notNow(field, format string, arguments ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, arguments...), cause: ErrNotNow}
}

// maxNameLetters of calendars, policies and merchants: they are read in lists.
const maxNameLetters = 64

// checkName wants a name that people can read in a list and type again.
func checkName(name string) error {
	const field = "name"
	switch {
	case name == "":
		return wrong(field, "is empty")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return wrong(field, "%q has a character that cannot be shown", name)
	case strings.TrimSpace(name) != name:
		return wrong(field, "%q begins or ends with a space", name)
	case utf8.RuneCountInString(name) > maxNameLetters:
		return wrong(field, "is longer than %d letters", maxNameLetters)
	case holdsCard(name):
		return wrong(field, heldCard) // nor told
	}
	return nil
}

// heldCard is what is wrong with a text that holdsCard.
const heldCard = "has a card number in it, which is kept nowhere"

// holdsCard tells whether somebody typed a card number into a text that is kept as it is. A merchant's own number, which
// is 15 digits that may pass a card's check, goes through [checkNumber] alone.
func holdsCard(text string) bool { return card.HideTyped(text, nil) != text }

// checkNumber wants what terminals send as their own or their merchant's name:
// up to most characters (F41, F42: ans). Terminals fill them up with spaces, which
// hosts cut off, so that none may be in them.
func checkNumber(field, text string, most int) error {
	switch {
	case text == "":
		return wrong(field, "is empty")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return wrong(field, "%q has a space, or a character that no terminal sends", text)
	case len(text) > most:
		return wrong(field, "%q has %d characters, and terminals send at most %d", text, len(text), most)
	}
	return nil
}

// nextNumber is the number of the next row of a table. The directory's row, which
// tx has held since it began, keeps everybody else from the same one. Numbers do
// not come back: rows of reference data are never deleted.
func nextNumber(ctx context.Context, tx pgx.Tx, table, column string, most int64) (next int64, err error) {
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(`+column+`), 0)::bigint + 1 FROM `+table).Scan(&next); err != nil {
		return 0, fmt.Errorf("next number of %s: %w", table, err)
	}
	if next > most {
		return 0, fmt.Errorf("%s: all %d numbers are handed out", table, most)
	}
	return next, nil
}
