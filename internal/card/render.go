package card

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// Every interface through which a value can reach text is taken here, because
// the one that is forgotten is the one that leaks.

// String returns [PAN.Masked].
func (p PAN) String() string { return p.Masked() }

// GoString returns the truncated number in the form of a Go expression.
func (p PAN) GoString() string { return "card.PAN(" + p.Masked() + ")" }

// Format writes the truncated number for every verb; %q quotes it, and width
// and minus are obeyed so that tables line up.
func (p PAN) Format(state fmt.State, verb rune) { format(state, verb, p.Masked(), p.GoString()) }

// LogValue returns the truncated number.
func (p PAN) LogValue() slog.Value { return slog.StringValue(p.Masked()) }

// MarshalText returns the truncated number. There is no UnmarshalText: what was
// written cannot be read back.
func (p PAN) MarshalText() ([]byte, error) { return []byte(p.Masked()), nil }

// MarshalJSON returns the truncated number as a string.
func (p PAN) MarshalJSON() ([]byte, error) { return quoted(p.Masked()), nil }

// String returns the truncated number and a mark for the rest,
// "621234******0012=****"; "" for the zero Track2.
func (t Track2) String() string {
	if t.PAN.IsZero() {
		return ""
	}
	return t.PAN.Masked() + "=****"
}

// GoString returns [Track2.String] in the form of a Go expression.
func (t Track2) GoString() string { return "card.Track2(" + t.String() + ")" }

// Format writes [Track2.String] for every verb, as [PAN.Format] does.
func (t Track2) Format(state fmt.State, verb rune) { format(state, verb, t.String(), t.GoString()) }

// LogValue returns [Track2.String].
func (t Track2) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns [Track2.String].
func (t Track2) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON returns [Track2.String] as a JSON string.
func (t Track2) MarshalJSON() ([]byte, error) { return quoted(t.String()), nil }

// quoted is enough as JSON: masked text is digits, asterisks and an equals sign.
func quoted(masked string) []byte { return []byte(`"` + masked + `"`) }

func format(state fmt.State, verb rune, masked, goSyntax string) {
	text := masked
	switch {
	case verb == 'q':
		text = strconv.Quote(masked)
	case verb == 'v' && state.Flag('#'):
		text = goSyntax
	}
	width, _ := state.Width()
	padding := strings.Repeat(" ", max(0, width-len(text)))
	if state.Flag('-') {
		text += padding
	} else {
		text = padding + text
	}
	// fmt collects into memory and hands a write error on itself.
	_, _ = io.WriteString(state, text)
}
