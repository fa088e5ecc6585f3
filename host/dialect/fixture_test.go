package dialect_test

import (
	"maps"
	"slices"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

const (
	testPAN    = "6217120000000000013" // its check digit is for the switch to look at
	testTrack2 = testPAN + "=30122010000012345"
)

// fields of a message; an empty value stands for "not there".
type fields map[int]string

// but returns the fields with others put over them.
func (f fields) but(change fields) fields {
	out := maps.Clone(f)
	for field, value := range change {
		if value == "" {
			delete(out, field)
			continue
		}
		out[field] = value
	}
	return out
}

// token stands for the vault's: the card's last digits.
func token(p card.PAN) (t [16]byte) {
	copy(t[:], "token of "+p.Last4())
	return t
}

func pan(t testing.TB, digits string) card.PAN {
	t.Helper()
	p, err := card.ParsePAN(digits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newDialect(t testing.TB, name string, change ...func(*dialect.Options)) dialect.Dialect {
	t.Helper()
	o := dialect.Options{Token: token, ApproveUnknownReversal: true}
	for _, c := range change {
		c(&o)
	}
	d, err := dialect.New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// both dialects.
func both(t testing.TB) []dialect.Dialect {
	t.Helper()
	return []dialect.Dialect{newDialect(t, "nac"), newDialect(t, "ascii")}
}

// received is a message as it is after a journey over the wire.
func received(t testing.TB, d dialect.Dialect, mti string, f fields) *wire.Message {
	t.Helper()
	m := wire.NewMessage(mti)
	for _, field := range slices.Sorted(maps.Keys(f)) {
		m.Set(field, f[field])
	}
	payload, err := d.Spec().Pack(m)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := d.Spec().Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// answerTo is a dialect's answer, in a message that was used for another one
// before; nil where there is none.
func answerTo(d dialect.Dialect, request *wire.Message, r *switching.Response) *wire.Message {
	m := wire.NewMessage("0110")
	m.Set(2, testPAN)
	m.Set(62, "of another message")
	if !d.Answer(m, request, r) {
		return nil
	}
	return m
}
