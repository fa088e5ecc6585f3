package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moov-io/iso8583"
	"pgregory.net/rapid"
)

func builtin() []*Spec { return []*Spec{ASCII87(), NAC(), UnionPay()} }

// unionPayFields are the fields of UnionPay's table.
var unionPayFields = []int{
	2, 3, 4, 11, 12, 13, 14, 15, 22, 23, 25, 26, 32, 35, 36, 37, 38, 39, 41, 42, 43, 44, 46, 47, 48, 49,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64,
}

// hasField tells whether a built-in table is to have a field: those of ISO
// 8583:1987 have every field of two bitmaps but the bit of a third one.
func hasField(spec *Spec, number int) bool {
	if spec == UnionPay() {
		return slices.Contains(unionPayFields, number)
	}
	return number != tertiaryBitmap
}

// TestFieldsDefined: the tables have their fields and no others.
func TestFieldsDefined(t *testing.T) {
	for _, spec := range builtin() {
		for number := 2; number <= lastField; number++ {
			info := spec.Describe(number)
			if (info.Kind != KindUndefined) != hasField(spec, number) {
				t.Errorf("%s: field %d is %+v", spec.Name(), number, info)
			}
			if info.Kind != KindUndefined && (info.Name == "" || info.Field != number || info.MaxLength == 0) {
				t.Errorf("%s: field %d is described as %+v", spec.Name(), number, info)
			}
		}
		for _, number := range []int{-1, 1, 65, 129} {
			if info := spec.Describe(number); info != (FieldInfo{}) {
				t.Errorf("%s: field %d is described as %+v", spec.Name(), number, info)
			}
		}
	}
}

// drawValue draws a value that a field of this description takes, in the form
// Get gives it.
func drawValue(t *rapid.T, info FieldInfo) string {
	length := info.MaxLength
	if info.Length != Fixed {
		length = rapid.IntRange(0, info.MaxLength).Draw(t, fmt.Sprintf("length %d", info.Field))
	}
	label := fmt.Sprintf("field %d", info.Field)
	of := func(alphabet string, n int) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte(alphabet)), n, n).Draw(t, label))
	}
	switch info.Kind {
	case KindNumeric:
		return of("0123456789", length)
	case KindTrack:
		return of("0123456789=", length)
	case KindAmount:
		return of(signs, 1) + of("0123456789", length-1)
	case KindBinary:
		return of(upperHex, 2*length)
	case KindPrivate:
		return string(rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, label))
	default:
		return of(" !0Az~", length)
	}
}

// TestRoundTrip: any values of any fields survive packing and parsing, and moov
// packs the same definition to the same bytes.
func TestRoundTrip(t *testing.T) {
	for _, spec := range builtin() {
		t.Run(spec.Name(), rapid.MakeCheck(func(t *rapid.T) {
			mti := rapid.StringMatching("[0-9]{4}").Draw(t, "mti")
			numbers := rapid.SliceOfNDistinct(rapid.IntRange(2, lastField).Filter(func(n int) bool {
				return hasField(spec, n)
			}), 0, 40, rapid.ID).Draw(t, "fields")
			m, theirs := NewMessage(mti), iso8583.NewMessage(spec.Moov())
			theirs.MTI(mti)
			for _, number := range numbers {
				m.Set(number, drawValue(t, spec.Describe(number)))
			}
			packed, err := spec.Pack(m)
			if err != nil {
				t.Fatalf("pack: %v", err)
			}
			got, err := spec.Parse(packed)
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			if got.MTI() != mti || len(got.Fields()) != len(numbers) {
				t.Fatalf("MTI %s with fields %v", got.MTI(), got.Fields())
			}
			for _, number := range numbers {
				if got.Get(number) != m.Get(number) {
					t.Fatalf("field %d was %q, is %q", number, m.Get(number), got.Get(number))
				}
				if err := theirs.BinaryField(number, got.moovBytes(number)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := theirs.Pack()
			if err != nil {
				t.Fatalf("moov: %v", err)
			}
			if !bytes.Equal(packed, want) {
				t.Fatalf("packed\n%X\nmoov has\n%X", packed, want)
			}
		}))
	}
}

// moovBytes is a value in the form moov's fields take: raw bytes or characters.
func (m *Message) moovBytes(field int) []byte {
	return bytes.Clone(m.View(field))
}

// TestNamesAreFilled: terminal, merchant and its name are completed with spaces,
// and spaces that came are kept.
func TestNamesAreFilled(t *testing.T) {
	for _, spec := range builtin() {
		m := NewMessage("0800")
		m.Set(41, "T1")
		m.Set(42, "")
		m.Set(43, "SHOP")
		packed, err := spec.Pack(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := spec.Parse(packed)
		if err != nil {
			t.Fatal(err)
		}
		for number, want := range map[int]string{41: "T1      ", 42: strings.Repeat(" ", 15), 43: "SHOP" + strings.Repeat(" ", 36)} {
			if got.Get(number) != want {
				t.Errorf("%s: field %d is %q, want %q", spec.Name(), number, got.Get(number), want)
			}
		}
	}
}

// TestFreedomIsKept: the same value written in another way the dialect allows
// parses to the same value and packs to its own bytes, until it is set anew.
func TestFreedomIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		spec      *Spec
		parts     []string
		field     int
		value     string
		canonical []string
	}{
		"PAN padded with F": {
			NAC(),
			[]string{"x:0200" + bitmapOf(2) + "19 1234560000000066789F"},
			2, "1234560000000066789",
			[]string{"x:0200" + bitmapOf(2) + "19 12345600000000667890"},
		},
		"track padded with F": {
			NAC(),
			[]string{"x:0200" + bitmapOf(35) + "05 1234DF"},
			35, "1234=",
			[]string{"x:0200" + bitmapOf(35) + "05 1234D0"},
		},
		"institution padded with F": {
			NAC(),
			[]string{"x:0200" + bitmapOf(32) + "03 123F"},
			32, "123",
			[]string{"x:0200" + bitmapOf(32) + "03 1230"},
		},
		"entry mode padded with F": {
			UnionPay(),
			[]string{"x:0200" + bitmapOf(22) + "051F"},
			22, "051",
			[]string{"x:0200" + bitmapOf(22) + "0510"},
		},
		"encrypted track padded with F": {
			UnionPay(),
			[]string{"x:0200" + bitmapOf(35) + "09 1234DABCEF"},
			35, "1234=ABCE",
			[]string{"x:0200" + bitmapOf(35) + "09 1234DABCE0"},
		},
		"track 3 padded with F": {
			UnionPay(),
			[]string{"x:0200" + bitmapOf(36) + "0005 9912DF"},
			36, "9912=",
			[]string{"x:0200" + bitmapOf(36) + "0005 9912D0"},
		},
		"totals padded with F": {
			UnionPay(),
			[]string{"x:0500" + bitmapOf(48) + "0003 121F"},
			48, "121",
			[]string{"x:0500" + bitmapOf(48) + "0003 1210"},
		},
		"batch padded with F": {
			UnionPay(),
			[]string{"x:0820" + bitmapOf(60) + "0011 00000123301F"},
			60, "00000123301",
			[]string{"x:0820" + bitmapOf(60) + "0011 000001233010"},
		},
		"lower-case bitmap": {
			ASCII87(),
			[]string{"0200" + strings.ToLower(bitmapOf(2, 42, 54)), "02420123456789012340010"},
			2, "42",
			[]string{"0200" + bitmapOf(2, 42, 54), "02420123456789012340010"},
		},
		"track separator as D": {
			ASCII87(),
			[]string{"0200" + bitmapOf(35), "061234D5"},
			35, "1234=5",
			[]string{"0200" + bitmapOf(35), "061234=5"},
		},
		"lower-case hex": {
			ASCII87(),
			[]string{"0200" + bitmapOf(52), "00aabbCCddeeff11"},
			52, "00AABBCCDDEEFF11",
			[]string{"0200" + bitmapOf(52), "00AABBCCDDEEFF11"},
		},
		"empty second bitmap": {
			NAC(),
			[]string{"x:0800 A000000000000000 0000000000000000 990000"},
			3, "990000",
			[]string{"x:0800 2000000000000000 990000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			payload := message(t, c.parts...)
			m, err := c.spec.Parse(payload)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Get(c.field); got != c.value {
				t.Errorf("value %q, want %q", got, c.value)
			}
			if packed, err := c.spec.Pack(m); err != nil || !bytes.Equal(packed, payload) {
				t.Errorf("packs to %X (%v), want %X", packed, err, payload)
			}
			fresh := NewMessage(m.MTI())
			for _, number := range m.Fields() {
				fresh.Set(number, m.Get(number))
			}
			want := message(t, c.canonical...)
			if packed, err := c.spec.Pack(fresh); err != nil || !bytes.Equal(packed, want) {
				t.Errorf("fresh message packs to %X (%v), want %X", packed, err, want)
			}
		})
	}
}
