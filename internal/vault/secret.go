package vault

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// secretText stands for a Secret of any content and length.
const secretText = "[secret]"

// Secret is bytes that show as "[secret]" in every rendering: fmt with any
// verb, JSON, text encodings, slog. The zero value holds no bytes and shows the
// same. Secrets are compared with [Secret.Equal]; == does not compile.
type Secret struct {
	_       [0]func()
	content Opaque[[]byte]
}

// NewSecret copies content: the caller may clear its own.
func NewSecret(content []byte) Secret {
	return Secret{content: Conceal(bytes.Clone(content))}
}

// Reveal returns a copy of the bytes, nil for the zero Secret: the only way to
// them.
func (s Secret) Reveal() []byte {
	content := s.content.Value()
	if content == nil {
		return nil
	}
	return bytes.Clone(*content)
}

// Len returns the number of bytes.
func (s Secret) Len() int {
	content := s.content.Value()
	if content == nil {
		return 0
	}
	return len(*content)
}

// IsZero reports whether there are no bytes.
func (s Secret) IsZero() bool { return s.Len() == 0 }

// Equal reports whether both hold the same bytes, in a time that depends on
// their lengths only.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// String returns "[secret]".
func (s Secret) String() string { return secretText }

// GoString returns "[secret]".
func (s Secret) GoString() string { return secretText }

// Format writes "[secret]" for every verb.
func (s Secret) Format(state fmt.State, _ rune) {
	// fmt collects into memory and hands a write error on itself.
	_, _ = io.WriteString(state, secretText)
}

// LogValue returns "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(secretText) }

// MarshalText returns "[secret]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// MarshalJSON returns "[secret]" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + secretText + `"`), nil }
