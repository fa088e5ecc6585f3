package card

import (
	"errors"
	"fmt"
	"strings"
)

// maxTrack2 is the most characters track 2 has without its sentinels and check
// character (ISO/IEC 7813: 40 with them).
const maxTrack2 = 37

// ErrTrack2 is in the chain of every error about track 2. Such errors never
// contain any part of it.
var ErrTrack2 = errors.New("not track 2 data")

// Track2 is the content of track 2, or of tag 57 of a chip. It shows itself as
// its truncated card number in every rendering; what follows the service code
// (the discretionary data with PIN and card verification values) can be had
// only as part of [Track2.Reveal]. The zero value is "no track".
type Track2 struct {
	PAN         PAN
	Expiry      Expiry  // zero where the track has a separator in its place
	ServiceCode string  // three digits, "" where the track has none
	content     *string // see the package's invariants for why it is a pointer
}

// ParseTrack2 reads the track without its sentinels, with "=" or "D" as the
// separator:
//
//	PAN separator YYMM|separator service-code|separator discretionary-data
//
// Short tracks, which end after the expiry or the service code, are accepted:
// virtual and prepaid cards have them. The error wraps [ErrTrack2] (and
// [ErrPAN] or [ErrExpiry] where that part is at fault) and never contains data.
func ParseTrack2(s string) (Track2, error) {
	if len(s) > maxTrack2 {
		return Track2{}, fmt.Errorf("%w: %d characters, at most %d", ErrTrack2, len(s), maxTrack2)
	}
	end := strings.IndexFunc(s, func(r rune) bool { return r == '=' || r == 'D' })
	if end < 0 {
		return Track2{}, fmt.Errorf("%w: no separator", ErrTrack2)
	}
	pan, err := ParsePAN(s[:end])
	if err != nil {
		return Track2{}, fmt.Errorf("%w: %w", ErrTrack2, err)
	}
	for i := end + 1; i < len(s); i++ {
		if !isDigit(s[i]) && !isSeparator(s[i]) {
			return Track2{}, fmt.Errorf("%w: the character at offset %d is neither digit nor separator", ErrTrack2, i)
		}
	}

	expiryText, rest, err := takeField(s[end+1:], len("YYMM"))
	if err != nil {
		return Track2{}, fmt.Errorf("%w: expiry: %w", ErrTrack2, err)
	}
	var expiry Expiry
	if expiryText != "" {
		if expiry, err = ParseExpiry(expiryText); err != nil {
			return Track2{}, fmt.Errorf("%w: %w", ErrTrack2, err)
		}
	}
	var serviceCode string
	if rest != "" {
		if serviceCode, _, err = takeField(rest, len("201")); err != nil {
			return Track2{}, fmt.Errorf("%w: service code: %w", ErrTrack2, err)
		}
	}
	content := strings.Clone(s) // s may be a part of a whole frame
	return Track2{PAN: pan, Expiry: expiry, ServiceCode: strings.Clone(serviceCode), content: &content}, nil
}

func isSeparator(b byte) bool { return b == '=' || b == 'D' }

var errShortField = errors.New("too few digits")

// takeField cuts a field of size digits off s, or the separator that stands in
// its place, which gives "".
func takeField(s string, size int) (field, rest string, err error) {
	if s != "" && isSeparator(s[0]) {
		return "", s[1:], nil
	}
	if len(s) < size || firstNonDigit(s[:size]) >= 0 {
		return "", "", errShortField
	}
	return s[:size], s[size:], nil
}

// IsZero reports whether there is no track.
func (t Track2) IsZero() bool { return t.content == nil }

// Reveal returns the track in clear as it was read, separators included: for an
// outgoing message or a card verification, never for a log, an error or a row.
func (t Track2) Reveal() string {
	if t.content == nil {
		return ""
	}
	return *t.content
}
