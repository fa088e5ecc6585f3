package wire

import (
	"errors"
	"fmt"
)

// NoField is [ParseError.Field] where the fault is not in one field.
const NoField = -1

// ParseError reports a payload that is not a message of the spec. It never
// contains a field's value, so it may be logged whole.
type ParseError struct {
	// MTI is the message type indicator where it could be read, else "".
	MTI string
	// Field is where reading stopped: 0 the MTI, 1 the bitmaps, 2 to 128 a data
	// element, NoField behind the last one.
	Field int
	// Offset is the byte of the payload at fault.
	Offset int
	// Reason says what is wrong with it.
	Reason string
}

func (e *ParseError) Error() string {
	if e.Field == NoField {
		return fmt.Sprintf("parse message %s: offset %d: %s", e.name(), e.Offset, e.Reason)
	}
	return fmt.Sprintf("parse message %s: field %d, offset %d: %s", e.name(), e.Field, e.Offset, e.Reason)
}

func (e *ParseError) name() string {
	if e.MTI == "" {
		return "of unknown type"
	}
	return e.MTI
}

// PackError reports a message that cannot be written in the spec. Like
// [ParseError] it contains no values.
type PackError struct {
	MTI    string
	Field  int
	Reason string
}

func (e *PackError) Error() string {
	return fmt.Sprintf("pack message %s: field %d: %s", e.MTI, e.Field, e.Reason)
}

var (
	// ErrMACMissing is a message whose last field is not its MAC field.
	ErrMACMissing = errors.New("message has no MAC")
	// ErrMACWrong is a MAC other than the one computed over the message.
	ErrMACWrong = errors.New("message has a wrong MAC")
)

// fault is what a codec reports: a place within the value it was given and a
// reason that contains nothing of that value.
type fault struct {
	at     int
	reason string
}

func (f *fault) Error() string { return f.reason }
