package wire

import (
	"errors"
	"strings"
	"testing"
)

// message assembles a payload from parts; "x:" parts are hex.
func message(tb testing.TB, parts ...string) []byte {
	tb.Helper()
	var b []byte
	for _, p := range parts {
		if digits, ok := strings.CutPrefix(p, "x:"); ok {
			b = append(b, unhexT(tb, strings.ReplaceAll(digits, " ", ""))...)
		} else {
			b = append(b, p...)
		}
	}
	return b
}

// bitmapOf is the hex of the bitmaps for the fields given.
func bitmapOf(fields ...int) string {
	m := NewMessage("0000")
	for _, f := range fields {
		m.Set(f, "")
	}
	return string(ASCII87().packBitmaps(nil, m))
}

// TestRefusals names, for every way a payload can be wrong, the field and the
// byte at fault.
func TestRefusals(t *testing.T) {
	nac := func(fields ...int) string { return "x:0200" + bitmapOf(fields...) }
	ascii := func(fields ...int) string { return "0200" + bitmapOf(fields...) }
	for name, c := range map[string]struct {
		spec   *Spec
		parts  []string
		mti    string
		field  int
		offset int
		reason string
	}{
		"nac empty":                    {NAC(), nil, "", 0, 0, reasonTruncated},
		"nac half an MTI":              {NAC(), []string{"x:02"}, "", 0, 1, reasonTruncated},
		"nac MTI nibble":               {NAC(), []string{"x:0A00 0000000000000000"}, "", 0, 0, reasonNibble},
		"nac MTI nibble in 2nd byte":   {NAC(), []string{"x:020F 0000000000000000"}, "", 0, 1, reasonNibble},
		"nac no bitmap":                {NAC(), []string{"x:0200"}, "0200", 1, 2, "message ends inside the bitmap"},
		"nac half a bitmap":            {NAC(), []string{"x:0200 20000000"}, "0200", 1, 6, "message ends inside the bitmap"},
		"nac no second bitmap":         {NAC(), []string{"x:0200 8000000000000000"}, "0200", 1, 10, "message ends inside the bitmap"},
		"nac third bitmap":             {NAC(), []string{"x:0200 8000000000000000 8000000000000000"}, "0200", 65, 10, "bit 65 announces a third bitmap, which this spec does not have"},
		"nac all ones":                 {NAC(), []string{"x:0200", strings.Repeat("\xFF", 1000)}, "0200", 65, 10, "bit 65 announces a third bitmap, which this spec does not have"},
		"nac truncated n6":             {NAC(), []string{nac(3), "x:0000"}, "0200", 3, 12, reasonTruncated + ": 3 bytes announced, 2 left"},
		"nac digit high nibble":        {NAC(), []string{nac(3), "x:00A000"}, "0200", 3, 11, reasonNibble},
		"nac digit low nibble":         {NAC(), []string{nac(3), "x:00000B"}, "0200", 3, 12, reasonNibble},
		"nac second field":             {NAC(), []string{nac(3, 11), "x:000000 00000C"}, "0200", 11, 15, reasonNibble},
		"nac n3 pad nibble":            {NAC(), []string{nac(22), "x:1051"}, "0200", 22, 10, reasonPad},
		"nac n3 pad nibble F":          {NAC(), []string{nac(24), "x:F001"}, "0200", 24, 10, reasonPad},
		"nac n1 pad nibble":            {NAC(), []string{nac(27), "x:11"}, "0200", 27, 10, reasonPad},
		"nac PAN pad nibble":           {NAC(), []string{nac(2), "x:19 1234560000000066 7891"}, "0200", 2, 20, reasonRightPad},
		"nac PAN too long":             {NAC(), []string{nac(2), "x:20 12345600000000667890"}, "0200", 2, 10, "length 20 is over the maximum of 19"},
		"nac PAN length nibble":        {NAC(), []string{nac(2), "x:1A 12345600000000667890"}, "0200", 2, 10, "length prefix is not decimal"},
		"nac PAN no length":            {NAC(), []string{nac(2)}, "0200", 2, 10, "message ends inside the length prefix"},
		"nac PAN digit":                {NAC(), []string{nac(2), "x:16 12345D0000000066"}, "0200", 2, 13, reasonNibble},
		"nac PAN truncated":            {NAC(), []string{nac(2), "x:16 123456"}, "0200", 2, 14, reasonTruncated + ": 8 bytes announced, 3 left"},
		"nac track nibble":             {NAC(), []string{nac(35), "x:06 1234 5E"}, "0200", 35, 13, reasonTrack},
		"nac track pad nibble":         {NAC(), []string{nac(35), "x:05 1234 5D"}, "0200", 35, 13, reasonRightPad},
		"nac track F inside":           {NAC(), []string{nac(35), "x:06 1234 5F"}, "0200", 35, 13, reasonTrack},
		"nac track too long":           {NAC(), []string{nac(35), "x:38"}, "0200", 35, 10, "length 38 is over the maximum of 37"},
		"nac LLL second byte":          {NAC(), []string{nac(60), "x:001A"}, "0200", 60, 11, "length prefix is not decimal"},
		"nac LLL half":                 {NAC(), []string{nac(60), "x:00"}, "0200", 60, 11, "message ends inside the length prefix"},
		"nac LLL over four digits":     {NAC(), []string{nac(60), "x:1000"}, "0200", 60, 10, "length 1000 is over the maximum of 999"},
		"nac F54 over its own maximum": {NAC(), []string{nac(54), "x:0121"}, "0200", 54, 10, "length 121 is over the maximum of 120"},
		"nac F55 truncated":            {NAC(), []string{nac(55), "x:0004 9F0206"}, "0200", 55, 15, reasonTruncated + ": 4 bytes announced, 3 left"},
		"nac ans unprintable":          {NAC(), []string{nac(41), "TERM\x00001"}, "0200", 41, 14, reasonPrintable},
		"nac ans over ASCII":           {NAC(), []string{nac(37), "12345678901\xE9"}, "0200", 37, 21, reasonPrintable},
		"nac amount sign":              {NAC(), []string{nac(28), "X", "x:00000100"}, "0200", 28, 10, reasonSign},
		"nac amount digit":             {NAC(), []string{nac(28), "C", "x:0000010A"}, "0200", 28, 14, reasonNibble},
		"unionpay bit 1":               {UnionPay(), []string{"x:0800 8000000000000000 0000000000000000"}, "0800", 1, 2, "bit 1 announces a second bitmap, which this spec does not have"},
		"unionpay undefined field":     {UnionPay(), []string{nac(40), "x:0101"}, "0200", 40, 10, "field is not defined in this spec"},
		"unionpay F22 right":           {UnionPay(), []string{nac(22), "x:0021"}, "0200", 22, 11, reasonRightPad},
		"unionpay F23 left":            {UnionPay(), []string{nac(23), "x:1230"}, "0200", 23, 10, reasonPad},
		"unionpay F32 pad":             {UnionPay(), []string{nac(32), "x:03 1234"}, "0200", 32, 12, reasonRightPad},
		"unionpay track pad":           {UnionPay(), []string{nac(35), "x:05 ABCDE1"}, "0200", 35, 13, reasonRightPad},
		"unionpay track 3 too long":    {UnionPay(), []string{nac(36), "x:0105"}, "0200", 36, 10, "length 105 is over the maximum of 104"},
		"unionpay F48 too long":        {UnionPay(), []string{nac(48), "x:0323"}, "0200", 48, 10, "length 323 is over the maximum of 322"},
		"unionpay F48 in characters":   {UnionPay(), []string{nac(48), "x:0004", "0000"}, "0200", NoField, 14, "2 bytes after the last field"},
		"unionpay F60 too long":        {UnionPay(), []string{nac(60), "x:0018"}, "0200", 60, 10, "length 18 is over the maximum of 17"},
		"unionpay F60 nibble":          {UnionPay(), []string{nac(60), "x:0002 2A"}, "0200", 60, 12, reasonNibble},
		"unionpay F63 too long":        {UnionPay(), []string{nac(63), "x:0164"}, "0200", 63, 10, "length 164 is over the maximum of 163"},
		"unionpay F64 cut off":         {UnionPay(), []string{nac(64), "x:00112233445566"}, "0200", 64, 17, reasonTruncated + ": 8 bytes announced, 7 left"},
		"nac trailing":                 {NAC(), []string{nac(3), "x:000000 00"}, "0200", NoField, 13, "1 bytes after the last field"},
		"nac trailing after bitmap":    {NAC(), []string{"x:0200 0000000000000000 0102"}, "0200", NoField, 10, "2 bytes after the last field"},
		"nac MAC truncated":            {NAC(), []string{nac(64), "x:00112233445566"}, "0200", 64, 17, reasonTruncated + ": 8 bytes announced, 7 left"},

		"ascii empty":               {ASCII87(), nil, "", 0, 0, reasonTruncated},
		"ascii MTI letter":          {ASCII87(), []string{"02A0" + bitmapOf()}, "", 0, 2, reasonDigit},
		"ascii MTI in BCD":          {ASCII87(), []string{"x:0200 3000000000000000"}, "", 0, 0, reasonDigit},
		"ascii half a bitmap":       {ASCII87(), []string{"02007000"}, "0200", 1, 8, "message ends inside the bitmap"},
		"ascii bitmap letter":       {ASCII87(), []string{"0200700000000000000G"}, "0200", 1, 19, reasonHex},
		"ascii 2nd bitmap letter":   {ASCII87(), []string{"0200800000000000000000000000000 0000"}, "0200", 1, 31, reasonHex},
		"ascii third bitmap":        {ASCII87(), []string{"020080000000000000008000000000000000"}, "0200", 65, 20, "bit 65 announces a third bitmap, which this spec does not have"},
		"ascii n6 letter":           {ASCII87(), []string{ascii(3), "00000x"}, "0200", 3, 25, reasonDigit},
		"ascii n6 minus":            {ASCII87(), []string{ascii(3), "-00000"}, "0200", 3, 20, reasonDigit},
		"ascii n12 space":           {ASCII87(), []string{ascii(4), "        1000"}, "0200", 4, 20, reasonDigit},
		"ascii PAN letter":          {ASCII87(), []string{ascii(2), "16424242424242424F"}, "0200", 2, 37, reasonDigit},
		"ascii PAN length letter":   {ASCII87(), []string{ascii(2), "1x4242424242424242"}, "0200", 2, 21, "length prefix is not decimal"},
		"ascii PAN too long":        {ASCII87(), []string{ascii(2), "2042424242424242424242"}, "0200", 2, 20, "length 20 is over the maximum of 19"},
		"ascii PAN truncated":       {ASCII87(), []string{ascii(2), "164242"}, "0200", 2, 26, reasonTruncated + ": 16 bytes announced, 4 left"},
		"ascii LLL minus":           {ASCII87(), []string{ascii(60), "-01x"}, "0200", 60, 20, "length prefix is not decimal"},
		"ascii track sentinel":      {ASCII87(), []string{ascii(35), "06;1234="}, "0200", 35, 22, reasonTrack},
		"ascii PIN block hex":       {ASCII87(), []string{ascii(52), "001122334455667G"}, "0200", 52, 35, reasonHex},
		"ascii PIN block raw":       {ASCII87(), []string{ascii(52), "x:0011223344556677"}, "0200", 52, 28, reasonTruncated + ": 16 bytes announced, 8 left"},
		"ascii amount sign":         {ASCII87(), []string{ascii(28), "+00000100"}, "0200", 28, 20, reasonSign},
		"ascii amount digit":        {ASCII87(), []string{ascii(28), "D0000010 "}, "0200", 28, 28, reasonDigit},
		"ascii F55 unprintable":     {ASCII87(), []string{ascii(55), "004", "x:9F020600"}, "0200", 55, 23, reasonPrintable},
		"ascii trailing":            {ASCII87(), []string{ascii(3), "000000", "\r\n"}, "0200", NoField, 26, "2 bytes after the last field"},
		"ascii F44 over ISO's 25":   {ASCII87(), []string{ascii(44), "26", strings.Repeat("A", 26)}, "0200", 44, 20, "length 26 is over the maximum of 25"},
		"ascii field above 64 late": {ASCII87(), []string{ascii(70), "30"}, "0200", 70, 38, reasonTruncated + ": 3 bytes announced, 2 left"},
	} {
		t.Run(name, func(t *testing.T) {
			payload := message(t, c.parts...)
			m, err := c.spec.Parse(payload)
			if m != nil {
				t.Error("a message came with the error")
			}
			var got *ParseError
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			if want := (ParseError{c.mti, c.field, c.offset, c.reason}); *got != want {
				t.Errorf("got  %+v\nwant %+v", *got, want)
			}
			if readable := c.spec.Readable(payload); (readable != nil) != (c.mti != "") || readable != nil && readable.MTI() != c.mti {
				t.Errorf("readable %v", readable)
			}
		})
	}
}

// TestUndefinedField: a spec without a field refuses a message that has it.
func TestUndefinedField(t *testing.T) {
	spec, err := LoadSpec("small", strings.NewReader(`{"fields": {
		"0": {"type": "String", "length": 4, "enc": "n.ASCII", "prefix": "Fixed"},
		"1": {"type": "Bitmap", "length": 8, "enc": "b.Hex", "prefix": "Fixed", "disableAutoExpand": true},
		"3": {"type": "String", "length": 6, "enc": "n.ASCII", "prefix": "Fixed"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = spec.Parse([]byte("0200" + bitmapOf(3, 4) + "000000000000000100"))
	if got := new(ParseError); !errors.As(err, &got) || got.Field != 4 || got.Offset != 26 {
		t.Errorf("undefined field: %v", err)
	}
	// One bitmap only: bit 1 announces what the spec cannot read.
	_, err = spec.Parse([]byte("0200" + bitmapOf(3, 70) + "000000301"))
	if got := new(ParseError); !errors.As(err, &got) || got.Field != 1 || got.Offset != 4 {
		t.Errorf("second bitmap: %v", err)
	}
	m := NewMessage("0200")
	m.Set(4, "000000000100")
	if _, err := spec.Pack(m); err == nil {
		t.Error("an undefined field was packed")
	}
}

// TestPackRefusals: what cannot be written is an error, never something else
// than was asked for.
func TestPackRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spec   *Spec
		mti    string
		field  int
		value  string
		reason string
	}{
		"short MTI":            {NAC(), "200", 0, "", "length 3 is not the fixed length of 4"},
		"MTI letter":           {ASCII87(), "02x0", 0, "", reasonDigit},
		"short amount":         {NAC(), "0200", 4, "100", "length 3 is not the fixed length of 12"},
		"long amount":          {NAC(), "0200", 4, "1000000000000", "length 13 is not the fixed length of 12"},
		"short RRN":            {NAC(), "0210", 37, "123", "length 3 is not the fixed length of 12"},
		"short currency":       {ASCII87(), "0200", 49, "97", "length 2 is not the fixed length of 3"},
		"letters in amount":    {NAC(), "0200", 4, "00000000100x", reasonDigit},
		"negative amount":      {ASCII87(), "0200", 4, "-00000000100", reasonDigit},
		"PAN with blanks":      {NAC(), "0200", 2, "4242 4242", reasonDigit},
		"long PAN":             {NAC(), "0200", 2, strings.Repeat("4", 20), "length 20 is over the maximum of 19"},
		"letter in track":      {NAC(), "0200", 35, "1234F", reasonTrack},
		"line feed in name":    {NAC(), "0200", 43, "A\nB", reasonPrintable},
		"long terminal":        {NAC(), "0200", 41, "123456789", "length 9 is not the fixed length of 8"},
		"PIN block not hex":    {NAC(), "0200", 52, "001122334455667G", reasonHex},
		"PIN block odd hex":    {NAC(), "0200", 52, "001122334455667", "odd number of hex digits"},
		"short PIN block":      {ASCII87(), "0200", 52, "0011", "length 2 is not the fixed length of 8"},
		"fee without sign":     {ASCII87(), "0200", 28, "100000000", reasonSign},
		"fee in words":         {NAC(), "0200", 28, "Cxxxxxxxx", reasonDigit},
		"private too long":     {NAC(), "0200", 63, strings.Repeat("A", 1000), "length 1000 is over the maximum of 999"},
		"bitmap as a field":    {NAC(), "0200", 1, "00", "field is not defined in this spec"},
		"tertiary bitmap":      {NAC(), "0200", 65, "00", "field is not defined in this spec"},
		"field over 128":       {NAC(), "0200", 129, "00", "field is not defined in this spec"},
		"negative field":       {NAC(), "0200", -1, "00", "field is not defined in this spec"},
		"chip data as letters": {NAC(), "0200", 55, "not hex!", reasonHex},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMessage(c.mti)
			if c.field != 0 {
				m.Set(c.field, c.value)
			}
			out, err := c.spec.AppendPack([]byte("kept"), m)
			var got *PackError
			if !errors.As(err, &got) || *got != (PackError{c.mti, c.field, c.reason}) {
				t.Errorf("got %+v, want field %d: %s", err, c.field, c.reason)
			}
			if string(out) != "kept" {
				t.Errorf("destination became %q", out)
			}
		})
	}
}
