package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"meridian/internal/hsm/mac"
)

const testMAK = "0123456789ABCDEFFEDCBA9876543210"

func testAlgorithm(tb testing.TB) MACAlgorithm {
	tb.Helper()
	alg, err := mac.New(mac.X919, unhexT(tb, testMAK))
	if err != nil {
		tb.Fatal(err)
	}
	return alg
}

func sumOf(tb testing.TB, alg MACAlgorithm, data []byte) [macBytes]byte {
	tb.Helper()
	sum, err := alg.Sum(data)
	if err != nil {
		tb.Fatal(err)
	}
	return sum
}

func macMessage(above64 bool) *Message {
	m := NewMessage("0200")
	m.Set(3, "000000")
	m.Set(4, "000000001000")
	m.Set(11, "000001")
	m.Set(41, "10000001")
	if above64 {
		m.Set(90, strings.Repeat("0", 42))
	}
	return m
}

func TestMAC(t *testing.T) {
	alg := testAlgorithm(t)
	for _, spec := range builtin() {
		for _, above64 := range []bool{false, true} {
			m := macMessage(above64)
			payload, err := spec.AppendPackWithMAC(nil, m, alg)
			if above64 && spec.pages == 1 {
				if err == nil || m.Has(128) {
					t.Errorf("%s: packed a MAC behind its only bitmap", spec.Name())
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := spec.VerifyMAC(payload, alg); err != nil {
				t.Errorf("own MAC: %v", err)
			}
			field, other := 64, 128
			if above64 {
				field, other = 128, 64
			}
			parsed, err := spec.Parse(payload)
			if err != nil {
				t.Fatal(err)
			}
			if !parsed.Has(field) || parsed.Has(other) || parsed.Get(field) != m.Get(field) {
				t.Errorf("MAC is in fields %v", parsed.Fields())
			}
			// Computed here once more, over the bytes before the field.
			size := 8
			if spec == ASCII87() {
				size = 16
			}
			want := sumOf(t, alg, payload[:len(payload)-size])
			if !bytes.Equal(parsed.Bytes(field), want[:]) {
				t.Errorf("MAC %X, want %X", parsed.Bytes(field), want)
			}
			// Packed again, a parsed message replaces its MAC and stays the same.
			again, err := spec.AppendPackWithMAC(nil, parsed, alg)
			if err != nil || !bytes.Equal(again, payload) {
				t.Errorf("packed again: %X (%v)", again, err)
			}
			// No byte can be changed without being noticed.
			for i := range payload {
				broken := bytes.Clone(payload)
				broken[i] ^= 0x01
				if err := spec.VerifyMAC(broken, alg); err == nil {
					t.Errorf("%s: byte %d changed and the MAC holds", spec.Name(), i)
				}
			}
		}
	}
}

func TestMACMoves(t *testing.T) {
	m := macMessage(false)
	if _, err := NAC().AppendPackWithMAC(nil, m, testAlgorithm(t)); err != nil {
		t.Fatal(err)
	}
	m.Set(70, "301")
	payload, err := NAC().AppendPackWithMAC(nil, m, testAlgorithm(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.Has(64) || !m.Has(128) {
		t.Errorf("fields %v: the MAC must follow the last field", m.Fields())
	}
	if err := NAC().VerifyMAC(payload, testAlgorithm(t)); err != nil {
		t.Error(err)
	}
}

func TestMACRefused(t *testing.T) {
	alg := testAlgorithm(t)
	otherKey, err := mac.New(mac.X919, bytes.Repeat([]byte{0x11}, 16))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := NAC().AppendPackWithMAC(nil, macMessage(false), alg)
	if err != nil {
		t.Fatal(err)
	}
	signedASCII, err := ASCII87().AppendPackWithMAC(nil, macMessage(false), alg)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := NAC().Pack(macMessage(false))
	if err != nil {
		t.Fatal(err)
	}
	behind := macMessage(true)
	behind.SetBytes(64, make([]byte, 8))
	inTheMiddle, err := NAC().Pack(behind)
	if err != nil {
		t.Fatal(err)
	}
	lower := bytes.ToLower(signedASCII)
	for name, c := range map[string]struct {
		spec    *Spec
		payload []byte
		alg     MACAlgorithm
		want    error
	}{
		"other key":              {NAC(), signed, otherKey, ErrMACWrong},
		"trailing byte":          {NAC(), append(bytes.Clone(signed), 0), alg, ErrMACWrong},
		"no MAC":                 {NAC(), unsigned, alg, ErrMACMissing},
		"F64 is not the last":    {NAC(), inTheMiddle, alg, ErrMACMissing},
		"cut off":                {NAC(), signed[:12], alg, ErrMACMissing},
		"not hex":                {ASCII87(), append(bytes.Clone(signedASCII[:len(signedASCII)-1]), 'x'), alg, ErrMACWrong},
		"lower-case hex is fine": {ASCII87(), append(bytes.Clone(signedASCII[:len(signedASCII)-16]), lower[len(lower)-16:]...), alg, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.spec.VerifyMAC(c.payload, c.alg); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	for name, payload := range map[string][]byte{"empty": nil, "no bitmap": {0x02, 0x00}, "third bitmap": append([]byte{2, 0}, bytes.Repeat([]byte{0xFF}, 40)...)} {
		var parseErr *ParseError
		if err := NAC().VerifyMAC(payload, alg); !errors.As(err, &parseErr) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NAC().AppendPackWithMAC(nil, macMessage(false), nil); err == nil {
		t.Error("packed with no algorithm")
	}
	bad := macMessage(false)
	bad.Set(4, "x")
	if _, err := NAC().AppendPackWithMAC(nil, bad, alg); err == nil || bad.Has(64) {
		t.Errorf("a message that does not pack: %v, fields %v", err, bad.Fields())
	}
}

// brokenModule is an algorithm whose key cannot be used at the moment.
type brokenModule struct{ err error }

func (brokenModule) Name() string { return "broken" }

func (b brokenModule) Sum([]byte) ([macBytes]byte, error) { return [macBytes]byte{}, b.err }

// TestMACOfAFailingModule shows that a module that cannot compute says nothing
// about the message, and leaves no placeholder behind in one that is packed.
func TestMACOfAFailingModule(t *testing.T) {
	down := errors.New("module is down")
	signed, err := NAC().AppendPackWithMAC(nil, macMessage(false), testAlgorithm(t))
	if err != nil {
		t.Fatal(err)
	}
	err = NAC().VerifyMAC(signed, brokenModule{down})
	if !errors.Is(err, down) || errors.Is(err, ErrMACWrong) || errors.Is(err, ErrMACMissing) {
		t.Errorf("verify: %v", err)
	}
	m := macMessage(false)
	if packed, err := NAC().AppendPackWithMAC(nil, m, brokenModule{down}); !errors.Is(err, down) || packed != nil || m.Has(64) {
		t.Errorf("pack: %X, %v, MAC field kept: %t", packed, err, m.Has(64))
	}
}
