package wire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moov-io/iso8583"
)

// seed adds every vector and a few wrong messages to a fuzz target; more seeds
// are in testdata/fuzz.
func seed(f *testing.F) {
	f.Helper()
	for _, v := range loadVectors(f) {
		f.Add(v.payload(f))
	}
	f.Add([]byte{})
	f.Add(append([]byte{0x02, 0x00}, bytes.Repeat([]byte{0xFF}, 4094)...))
	f.Add(append([]byte("0200"), bytes.Repeat([]byte("F"), 4092)...))
}

func FuzzNAC(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) { checkPayload(t, NAC(), payload) })
}

func FuzzUnionPay(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) { checkPayload(t, UnionPay(), payload) })
}

func FuzzASCII87(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) { checkPayload(t, ASCII87(), payload) })
}

// checkPayload holds Parse to what the package promises for any bytes.
func checkPayload(t *testing.T, spec *Spec, payload []byte) {
	t.Helper()
	checkCost(t, spec, payload)
	m, err := spec.Parse(payload)
	checkReuse(t, spec, payload, m, err)
	if err != nil {
		var parseErr *ParseError
		if !errors.As(err, &parseErr) {
			t.Fatalf("error of another type: %v", err)
		}
		if parseErr.Offset < 0 || parseErr.Offset > len(payload) || parseErr.Reason == "" {
			t.Fatalf("no place for the fault: %+v", parseErr)
		}
		checkMoovRefuses(t, spec, payload, parseErr)
		return
	}

	packed, err := spec.Pack(m)
	if err != nil {
		t.Fatalf("parsed but not packed: %v", err)
	}
	if !bytes.Equal(packed, payload) {
		t.Fatalf("parsed\n%X\npacked\n%X", payload, packed)
	}
	checkMoovAgrees(t, spec, payload, m)

	// The same values in a message that knows nothing of the bytes.
	fresh := NewMessage(m.MTI())
	for _, number := range m.Fields() {
		fresh.Set(number, m.Get(number))
	}
	packed, err = spec.Pack(fresh)
	if err != nil {
		t.Fatalf("values parsed but not packed: %v", err)
	}
	again, err := spec.Parse(packed)
	if err != nil {
		t.Fatalf("own message refused: %v", err)
	}
	for _, number := range m.Fields() {
		// Raw bytes compare equal whatever the case of hex was.
		if got, want := again.Bytes(number), m.Bytes(number); !bytes.Equal(got, want) {
			t.Fatalf("field %d was %q, is %q", number, want, got)
		}
	}
	if len(spec.MaskedFields(m)) != len(m.Fields()) {
		t.Fatal("rendering left a field out")
	}
}

// checkReuse parses into a message that held others before, and wants the verdict
// and the values of a new one, which moov is asked about.
func checkReuse(t *testing.T, spec *Spec, payload []byte, want *Message, wantErr error) {
	t.Helper()
	used := saleIn(spec)
	if packed, err := spec.Pack(used); err != nil || spec.ParseInto(used, packed) != nil {
		t.Fatalf("a sale: %v", err)
	}
	used.Set(39, "00")
	got := bytes.Clone(payload)
	err := spec.ParseInto(used, got)
	clear(got) // the payload's memory is another's by now
	if wantErr != nil {
		var parseErr, wantParseErr *ParseError
		if !errors.As(err, &parseErr) || !errors.As(wantErr, &wantParseErr) || *parseErr != *wantParseErr {
			t.Fatalf("refused with %v, a new message with %v", err, wantErr)
		}
		if want = spec.Readable(payload); want == nil {
			if used.MTI() != "" || len(used.Fields()) != 0 {
				t.Fatalf("a message without a type has fields %v", used.Fields())
			}
			return
		}
	} else if err != nil {
		t.Fatalf("refused with %v", err)
	}
	if used.MTI() != want.MTI() || !slices.Equal(used.Fields(), want.Fields()) {
		t.Fatalf("%s with fields %v, want %s with %v", used.MTI(), used.Fields(), want.MTI(), want.Fields())
	}
	for _, number := range want.Fields() {
		if used.Get(number) != want.Get(number) || !bytes.Equal(used.View(number), want.View(number)) ||
			!bytes.Equal(used.Bytes(number), want.Bytes(number)) {
			t.Fatalf("field %d is %q, want %q", number, used.Get(number), want.Get(number))
		}
	}
	packed, packErr := spec.Pack(used)
	wantPacked, wantPackErr := spec.Pack(want)
	if (packErr == nil) != (wantPackErr == nil) || !bytes.Equal(packed, wantPacked) {
		t.Fatalf("packed %X (%v), want %X (%v)", packed, packErr, wantPacked, wantPackErr)
	}
}

// checkMoovAgrees holds our walk to moov's over the same definition.
func checkMoovAgrees(t *testing.T, spec *Spec, payload []byte, m *Message) {
	t.Helper()
	theirs := iso8583.NewMessage(spec.Moov())
	if err := theirs.Unpack(payload); err != nil {
		t.Fatalf("moov refuses what we parsed: %v", err)
	}
	if mti, err := theirs.GetMTI(); err != nil || mti != m.MTI() {
		t.Fatalf("MTI %s, moov has %s (%v)", m.MTI(), mti, err)
	}
	if got, want := len(m.Fields()), len(theirs.GetFields())-2; got != want {
		t.Fatalf("%d fields, moov has %d", got, want)
	}
	for _, number := range m.Fields() {
		if value, err := theirs.GetString(number); err != nil || value != m.Get(number) {
			t.Fatalf("field %d is %q, moov has %q (%v)", number, m.Get(number), value, err)
		}
	}
}

// checkMoovRefuses: what we refuse moov refuses too, except where it is known to
// be lax.
func checkMoovRefuses(t *testing.T, spec *Spec, payload []byte, parseErr *ParseError) {
	t.Helper()
	if parseErr.Field == NoField || parseErr.Field == tertiaryBitmap {
		return // moov takes trailing bytes and any number of bitmaps
	}
	if parseErr.Field == secondaryBitmap && spec.pages == 1 && len(payload) >= 10 {
		return // moov passes over bit 1 of a single bitmap
	}
	if err := iso8583.NewMessage(spec.Moov()).Unpack(payload); err == nil {
		t.Fatalf("moov parses what we refuse with %v", parseErr)
	}
}

// TestErrorsHoldNoValues breaks every byte of every vector and looks for the
// fields' values in the errors.
func TestErrorsHoldNoValues(t *testing.T) {
	for _, v := range loadVectors(t) {
		spec, _ := v.spec()
		if spec == nil {
			continue
		}
		payload := v.payload(t)
		m, err := spec.Parse(payload)
		if err != nil {
			t.Fatal(err)
		}
		var secrets []string
		for _, number := range []int{2, 35, 36, 42, 45, 52, 55} {
			if value := m.Get(number); len(value) > 8 {
				secrets = append(secrets, value[:8], value[len(value)-8:])
			}
		}
		for i := range payload {
			for _, b := range []byte{0x00, 0x7F, 0xFF, 'A', payload[i] ^ 0x80} {
				broken := bytes.Clone(payload)
				broken[i] = b
				_, err := spec.Parse(broken)
				if err == nil {
					continue
				}
				for _, secret := range secrets {
					if strings.Contains(err.Error(), secret) {
						t.Fatalf("%s: error quotes the message: %v", v.ID, err)
					}
				}
			}
		}
	}
}
