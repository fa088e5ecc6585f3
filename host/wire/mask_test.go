package wire

import (
	"strings"
	"testing"
)

// rendered is everything MaskedFields shows of a message.
func rendered(spec *Spec, m *Message) string {
	var out strings.Builder
	for _, f := range spec.MaskedFields(m) {
		out.WriteString(f.Value)
		out.WriteByte('\n')
	}
	return out.String()
}

// TestMaskedHoldsNoSecrets renders every vector and a sale with everything in it
// and looks for what must not be seen.
func TestMaskedHoldsNoSecrets(t *testing.T) {
	check := func(name string, spec *Spec, m *Message) {
		out := rendered(spec, m)
		numbers := []int{2, 34, 35, 36, 45, 52, 64, 96, 102, 103, 128}
		if spec == UnionPay() {
			numbers = append(numbers, 46, 47, 57, 59, 62)
		}
		for _, number := range numbers {
			value := m.Get(number)
			if strings.Trim(value, "0") == "" {
				continue // a MAC the source blanked
			}
			if len(value) >= 16 && strings.Contains(out, value[:len(value)/2]) {
				t.Errorf("%s: field %d is shown", name, number)
			}
		}
	}
	for _, v := range loadVectors(t) {
		spec, _ := v.spec()
		if spec == nil || v.Dialect == "jPOS ISO87B" {
			continue // jPOS's own test message has the same digits in field after field
		}
		m, err := spec.Parse(v.payload(t))
		if err != nil {
			t.Fatal(err)
		}
		check(v.ID, spec, m)
	}
	check("sale", NAC(), saleMessage())
}

func TestMasked(t *testing.T) {
	m := NewMessage("0200")
	m.Set(2, "4761739001010119")
	m.Set(4, "000000001000")
	m.Set(14, "3012")
	m.Set(35, "4761739001010119=30122011234500000")
	m.Set(39, "0\x01")
	m.SetBytes(52, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	m.SetBytes(55, []byte("\x9F\x36\x02\x00\x01\x57\x03abc\x5A\x02\x12\x34"))
	m.Set(48, "EC9DF695353FA075")
	m.Set(60, "000001")
	m.Set(62, "4761739001010119")
	m.Set(63, "123")
	m.Set(104, "anything")
	want := map[int]MaskedField{
		2:   {2, "Primary account number", "476173******0119", true},
		4:   {4, "Amount, transaction", "000000001000", false},
		14:  {14, "Date, expiration", "(4 characters)", true},
		35:  {35, "Track 2 data", "(34 characters)", true},
		39:  {39, "Response code", "(2 characters)", true},
		48:  {48, "Additional data, private", "(16 characters)", true},
		52:  {52, "Personal identification number data", "(8 bytes)", true},
		55:  {55, "ICC data", "9F36=0001 57=(3 bytes) 5A=(2 bytes)", true},
		60:  {60, "Reserved, private", "000001", false},
		62:  {62, "Reserved, private", "(16 characters)", true},
		63:  {63, "Reserved, private", "(3 characters)", true},
		104: {104, "Transaction description", "(8 characters)", true},
	}
	got := NAC().MaskedFields(m)
	if len(got) != len(want) {
		t.Errorf("%d fields, want %d", len(got), len(want))
	}
	for _, f := range got {
		if f != want[f.Field] {
			t.Errorf("got  %+v\nwant %+v", f, want[f.Field])
		}
	}
}

func TestMaskedPrivateFields(t *testing.T) {
	for _, c := range []struct {
		mti   string
		field int
		value string
		want  string
	}{
		{"0210", 63, "VOID R16", "VOID R16"},
		{"0510", 63, "372005123456781", "372005******6781"}, // totals would have this form, too
		{"0210", 63, "CARD 4761739001010119 OK", "CARD 476173******0119 OK"},
		{"0210", 63, "REF 4761739001010118", "REF 4761739001010118"}, // no PAN: Luhn fails
		{"0210", 62, "\x00\x01", "(2 characters)"},
		{"0500", 63, "001000000050000", "001000000050000"},
		{"0320", 60, "0200000036000000000036", "0200000036000000000036"},
		{"0200", 61, "000001", "(6 characters)"},
		{"0810", 62, "EC9DF695353FA075", "(16 characters)"},
		{"0800", 60, "000001", "(6 characters)"},
		{"", 60, "000001", "(6 characters)"},
	} {
		m := NewMessage(c.mti)
		m.Set(c.field, c.value)
		if got := NAC().MaskedFields(m)[0].Value; got != c.want {
			t.Errorf("%s field %d: %q, want %q", c.mti, c.field, got, c.want)
		}
	}
}

func TestMaskedUnionPayFields(t *testing.T) {
	totals := "0000000000110110000000000020021" + "0000000000000000000000000000001"
	for _, c := range []struct {
		mti   string
		field int
		value string
		want  string
	}{
		{"0500", 48, totals, totals},
		{"0510", 48, totals[:31], totals[:31]},
		{"0500", 48, "4761739001010119", "(16 characters)"},
		{"0320", 48, "0004", "0004"},
		{"0320", 48, "01" + "00" + "000001" + "00004761739001010119" + "000000001000", "(42 characters)"},
		{"0320", 48, totals, "(62 characters)"},
		{"0200", 60, "22000001000601", "22000001000601"},
		{"0800", 60, "00000001003", "00000001003"},
		{"0200", 61, "000001000002", "000001000002"},
		{"0220", 61, "0000010000021121", "0000010000021121"},
		{"0220", 61, "4761739001010119", "476173******0119"},
		{"0200", 61, "123", "(3 characters)"},
		{"0200", 61, "110101199003070000", "(18 characters)"}, // an identity number
		{"0810", 62, "EC9DF695353FA075", "(16 characters)"},
		{"0800", 62, "Sequence No123150SXX", "(20 characters)"},
		{"0210", 62, "000001", "(6 characters)"},
		{"0800", 63, "01 ", "01 "},
		{"0800", 63, "01 0000", "(7 characters)"},
		{"0220", 63, "CUP", "CUP"},
		{"0210", 63, "CUPAPPROVED R29", "CUPAPPROVED R29"},
		{"0210", 63, "CUP 4761739001010119", "CUP 476173******0119"},
		{"0210", 63, "CUP\xB3\xC9\xB9\xA6", "CUP and 4 more characters"},
		{"0210", 63, "\xB3\xC9\xB9\xA6", "(4 characters)"},
		{"0210", 63, "\xB3\xC9", "(2 characters)"},
		{"0200", 57, "4761739001010119", "(16 characters)"},
		{"0210", 56, "00", "(2 characters)"},
		{"", 60, "000001", "(6 characters)"},
	} {
		m := NewMessage(c.mti)
		m.Set(c.field, c.value)
		got := UnionPay().MaskedFields(m)[0]
		if got.Value != c.want || got.Hidden != (c.want != c.value) {
			t.Errorf("%s field %d: %q (hidden %t), want %q", c.mti, c.field, got.Value, got.Hidden, c.want)
		}
	}
	// A field the spec does not have is one of another dialect: its length is told.
	m := NewMessage("0200")
	m.Set(40, "101")
	if got := UnionPay().MaskedFields(m)[0]; got.Value != "(3 characters)" || !got.Hidden {
		t.Errorf("undefined field: %+v", got)
	}
}

func TestMaskPAN(t *testing.T) {
	for pan, want := range map[string]string{
		"":                    "",
		"123456789012":        "************",
		"4222222222222":       "422222***2222",
		"6217000000000000012": "621700*********0012",
	} {
		if got := MaskPAN(pan); got != want {
			t.Errorf("%d digits: %q, want %q", len(pan), got, want)
		}
	}
}

// TestCardsAreMaskedWhereverTheyStand puts card numbers into fields whose content is
// no secret.
func TestCardsAreMaskedWhereverTheyStand(t *testing.T) {
	const bare, seen = "4761739001010119", "476173******0119"
	for _, c := range []struct {
		spec  *Spec
		mti   string
		field int
		value string
		want  string
	}{
		{NAC(), "0200", 42, "378282246310005", "378282******0005"},
		{NAC(), "0200", 42, "4222222222222  ", "422222********22  "},
		{NAC(), "0200", 43, "SHOP " + bare + " BERLIN", "SHOP " + seen + " BERLIN"},
		{NAC(), "0200", 43, "SHOP 4761 7390 0101 0119", "SHOP 476173******0119"},
		{NAC(), "0200", 43, "4761-7390-0101-0119", seen},
		{NAC(), "0200", 43, bare + "=30122011234500000", seen + "=****"},
		{NAC(), "0210", 44, "00" + bare + "000000", "00" + seen + "000000"},
		{NAC(), "0200", 54, bare + "C000000001000", seen + "C000000001000"},
		{NAC(), "0200", 90, bare + strings.Repeat("0", 26), seen + strings.Repeat("0", 26)},
		{NAC(), "0200", 90, "0200" + bare + strings.Repeat("0", 22), "0200" + seen + strings.Repeat("0", 22)},
		{NAC(), "0200", 90, "02000000011121202500" + bare + "000000", "02000000011121202500" + seen + "000000"},
		{NAC(), "0200", 95, bare + strings.Repeat("0", 26), seen + strings.Repeat("0", 26)},
		{NAC(), "0210", 60, "4761 7390 0101 0119", seen},
		{NAC(), "0210", 60, "01" + bare + "99", "01" + seen + "99"},
		{NAC(), "0210", 62, "1010" + bare, "1010" + seen},
		{NAC(), "0200", 62, "000000" + bare, "000000" + seen},
		{NAC(), "0210", 63, "REF 123 4761-7390-0101-0119-7", "REF 123 " + seen + "-7"},
		{NAC(), "0500", 63, bare + strings.Repeat("0", 14), seen + strings.Repeat("0", 14)},
		{UnionPay(), "0500", 48, bare + strings.Repeat("0", 15), seen + strings.Repeat("0", 15)},
		{UnionPay(), "0200", 60, "4222222222222", "422222********22"},
		{UnionPay(), "0200", 61, bare + strings.Repeat("0", 13), seen + strings.Repeat("0", 13)},
		{UnionPay(), "0210", 63, "CUP 4761 7390 0101 0119", "CUP " + seen},
	} {
		m := NewMessage(c.mti)
		m.Set(c.field, c.value)
		got := c.spec.MaskedFields(m)[0]
		if got.Value != c.want || !got.Hidden {
			t.Errorf("%s field %d: %q (hidden %t), want %q", c.spec.Name(), c.field, got.Value, got.Hidden, c.want)
		}
	}
	m := NewMessage("0200")
	m.SetBytes(55, []byte("\x9F\x36\x02\x00\x01\x9F\x10\x08\x47\x61\x73\x90\x01\x01\x01\x19\x9F\x10\x10"+bare))
	if got := NAC().MaskedFields(m)[0]; got.Value != "9F36=0001 9F10=(8 bytes) 9F10=(16 bytes)" {
		t.Errorf("chip data: %q", got.Value)
	}
}

// TestOrdinaryValuesStayLegible has values in which some digits would pass for a card
// number's.
func TestOrdinaryValuesStayLegible(t *testing.T) {
	for _, c := range []struct {
		spec  *Spec
		mti   string
		field int
		value string
	}{
		{NAC(), "0200", 4, "000000001000"},
		{NAC(), "0200", 7, "1121202500"},
		{NAC(), "0200", 11, "000018"},
		{NAC(), "0210", 37, "632500000121"},
		{NAC(), "0200", 42, "104110000000002"}, // passes the check
		{NAC(), "0200", 43, "MERIDIAN TEST SHOP 12, 10115 BERLIN"},
		{NAC(), "0200", 53, "2600000000000000"},
		{NAC(), "0210", 54, "0001156C0041111111110002156D000000001000"},
		{NAC(), "0200", 90, "0200412346112120250000000012345" + "00000000000"},
		{NAC(), "0200", 90, "02000000411121202500" + "00491000000" + "00491000008"},
		{NAC(), "0420", 95, "000000456709000000000000C00000000C00000000"},
		{NAC(), "0320", 60, "0200041234000000041234"},
		{NAC(), "0320", 60, "0200411111632500000121"},
		{NAC(), "0500", 63, "411000045678900"},
		{NAC(), "0500", 63, "411000045678900002000000001000"},
		{UnionPay(), "0500", 48, "0000456789000030000000020000011"},
		{UnionPay(), "0200", 60, "22000006000601"},
		{UnionPay(), "0220", 61, "0012340000021121"},
		{UnionPay(), "0220", 61, "00123400000211210000000000000"},
	} {
		m := NewMessage(c.mti)
		m.Set(c.field, c.value)
		if got := c.spec.MaskedFields(m)[0]; got.Value != c.value || got.Hidden {
			t.Errorf("%s field %d: %q (hidden %t), want %q", c.spec.Name(), c.field, got.Value, got.Hidden, c.value)
		}
	}
}
