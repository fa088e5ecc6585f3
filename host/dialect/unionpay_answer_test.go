package dialect_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/ledger"
	"meridian/switch"
)

// fieldsOf a bitmap of sixteen hex digits.
func fieldsOf(t *testing.T, bitmap string) []int {
	t.Helper()
	b, err := hex.DecodeString(bitmap)
	if err != nil || len(b) != 8 {
		t.Fatalf("bitmap %s", bitmap)
	}
	var list []int
	for i, octet := range b {
		for bit := range 8 {
			if octet&(0x80>>bit) != 0 {
				list = append(list, 8*i+bit+1)
			}
		}
	}
	return list
}

// issued are the keys of a sign-in.
func issued(macBytes int, uses ...hsm.Use) func(*switching.Response) {
	return func(r *switching.Response) {
		r.BatchNo = 8
		for _, use := range uses {
			size := 16
			if use == hsm.UseMAC {
				size = macBytes
			}
			r.Keys = append(r.Keys, switching.IssuedKey{
				Use: use, Cryptogram: slices.Repeat([]byte{byte(use)}, size), CheckValue: slices.Repeat([]byte{0xC0 | byte(use)}, 4),
			})
		}
	}
}

func unstored(r *switching.Response) { r.RRN, r.HasBusinessDate, r.AuthCode = 0, false, "" }

// unionPayMAC stands for a terminal's.
type unionPayMAC struct{}

func (unionPayMAC) Name() string                { return "test" }
func (unionPayMAC) Sum([]byte) ([8]byte, error) { return [8]byte([]byte("0123ABCD")), nil }

// The bitmaps of the reference (UnionPay, §3): what an answer carries to what a
// request carries. A reversal's row that says "the same" is taken for a reversal's.
func TestUnionPayAnswerBitmaps(t *testing.T) {
	const (
		sale     = "703E00810ED08813"
		reversal = "703E00810AD08811"
	)
	swiped := cardFields
	preauth := swiped.but(fields{25: "06"})
	d := unionPay(t)
	for _, c := range []struct {
		name, mti string
		request   fields
		response  *switching.Response
		want      string
	}{
		{"balance", "0200", swiped.but(fields{3: "310000", 4: "", 60: "01000007000500"}), outcome(switching.Approved, balance(12_34, 156)), "603C00810AD08C11"},
		{"sale", "0200", unionPaySale, outcome(switching.Approved), sale},
		{"sale reversal", "0400", unionPaySale.but(fields{39: "98"}), outcome(switching.Approved, became(switching.KindReversal, 0)), reversal},
		{"sale void", "0200", swiped.but(fields{3: "200000", 60: "23000007000500"}).but(unionPayReference), outcome(switching.Approved, became(switching.KindVoid, 16)), sale},
		{"sale-void reversal", "0400", swiped.but(fields{3: "200000", 39: "98", 60: "23000007000500"}), outcome(switching.Approved, became(switching.KindReversal, 0)), reversal},
		{"refund", "0220", swiped.but(fields{3: "200000", 60: "25000007000500"}).but(unionPayReference), outcome(switching.Approved, became(switching.KindRefund, 29)), "703E00810AD08813"},
		{"pre-auth", "0100", preauth.but(fields{3: "030000", 60: "10000007000500"}), outcome(switching.Approved, became(switching.KindAuthorization, 0)), sale},
		{"pre-auth void", "0100", preauth.but(fields{3: "200000", 38: "012345", 60: "11000007000500", 61: "0000000000000310"}), outcome(switching.Approved, became(switching.KindVoid, 31)), sale},
		{"pre-auth void reversal", "0400", preauth.but(fields{3: "200000", 38: "012345", 39: "98", 60: "11000007000500", 61: "0000000000000310"}), outcome(switching.Approved, became(switching.KindReversal, 0)), reversal},
		{"completion", "0200", preauth.but(fields{3: "000000", 38: "012345", 60: "20000007000500", 61: "0000000000000310"}), outcome(switching.Approved, became(switching.KindCompletion, 0)), sale},
		{"completion reversal", "0400", preauth.but(fields{3: "000000", 38: "012345", 39: "98", 60: "20000007000500", 61: "0000000000000310"}), outcome(switching.Approved, became(switching.KindReversal, 0)), reversal},
		{"completion void", "0200", preauth.but(fields{3: "200000", 60: "21000007000500"}).but(unionPayReference), outcome(switching.Approved, became(switching.KindVoid, 30)), sale},
		{"completion void reversal", "0400", preauth.but(fields{3: "200000", 39: "98", 60: "21000007000500"}), outcome(switching.Approved, became(switching.KindReversal, 0)), reversal},
		{"sign-in", "0800", terminalFields.but(fields{60: "00000001003", 63: "01 "}), outcome(switching.Approved, issued(16, hsm.UsePIN, hsm.UseMAC)), "003800010AC00014"},
		{"sign-off", "0820", terminalFields.but(fields{60: "00000007002"}), outcome(switching.Approved), "003800010AC00010"},
		{"batch settle", "0500", terminalFields.but(fields{48: strings.Repeat("0", 62), 49: "156", 60: "00000007201", 63: "01 "}), outcome(switching.Approved), "003A000108C18012"},
		{"batch upload", "0320", terminalFields.but(fields{48: "00", 60: "00000007201"}), outcome(switching.Approved), "003800010AC10010"},
		{"batch end", "0320", terminalFields.but(fields{48: "0000", 60: "00000007207"}), outcome(switching.Approved), "003800010AC10010"},
		{"param dl 364", "0800", terminalFields.but(fields{11: "", 60: "00000007364"}), outcome(switching.Approved, unstored, func(r *switching.Response) { r.Data = []byte("1160") }), "001800000AC00014"},
		{"echo 301", "0820", terminalFields.but(fields{11: "", 60: "00000007301"}), outcome(switching.Approved, unstored), "0018000002C00010"},
		{"status 362", "0820", terminalFields.but(fields{11: "", 60: "00000007362", 62: "100"}), outcome(switching.Approved, unstored), "0018000002C00014"},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := received(t, d, c.mti, c.request)
			if _, refusal := d.Request(request); refusal != nil {
				t.Fatalf("the request is refused: %s", refusal)
			}
			answer := answerTo(d, request, c.response)
			want := fieldsOf(t, c.want)
			got := answer.Fields()
			if d.Authenticated(answer.MTI()) {
				payload, err := d.Spec().AppendPackWithMAC(nil, answer, unionPayMAC{})
				if err != nil {
					t.Fatal(err)
				}
				sealed, err := d.Spec().Parse(payload)
				if err != nil {
					t.Fatal(err)
				}
				got = sealed.Fields()
			}
			if !slices.Equal(got, want) {
				t.Errorf("fields %v, want %v", got, want)
			}
		})
	}
}

// line of F63.2, decoded by hand: these texts are ASCII and known characters.
func text63(t *testing.T, m *wire.Message) (scheme, text string) {
	t.Helper()
	f63 := m.Get(63)
	if len(f63) != 63 {
		t.Fatalf("F63 has %d bytes", len(f63))
	}
	if strings.TrimSpace(f63[3:23]) != "" {
		t.Errorf("the issuer says %X", f63[3:23])
	}
	return f63[:3], strings.TrimRight(f63[23:], " ")
}

func TestUnionPayAnswerFields(t *testing.T) {
	d := unionPay(t)
	chip := unionPaySale.but(fields{22: "052", 23: "001"})
	request := received(t, d, "0200", chip)
	answer := answerTo(d, request, outcome(switching.Approved, func(r *switching.Response) { r.Network = "unionpay" }))
	want := fields{
		2: testPAN, 3: "000000", 4: "000000001500", 11: "000042", 12: "230509", 13: "0310", 14: "3012", 15: "0311", 23: "001", 25: "00",
		32: "48031000", 37: "606900000042", 38: "012345", 39: "00", 41: "10000001", 42: "104110000000001",
		44: "48031000   48031000   ", 49: "156", 53: "0600000000000000", 60: "22000007000500",
	}
	for field, value := range want {
		if got := answer.Get(field); got != value {
			t.Errorf("F%d is %q, want %q", field, got, value)
		}
	}
	if scheme, text := text63(t, answer); scheme != "CUP" || text != gbkOf(t)["交易成功"] {
		t.Errorf("F63 is %s, % X", scheme, text)
	}
	if got := answer.MTI(); got != "0210" {
		t.Errorf("type %s", got)
	}
	// The request's own track, PIN and chip data never come back.
	full := received(t, d, "0200", chip.but(fields{35: testTrack2, 52: "0123456789ABCDEF", 55: "9F3602001B", 26: "12"}))
	for _, field := range []int{26, 35, 52, 55} {
		if answerTo(d, full, outcome(switching.Approved)).Has(field) {
			t.Errorf("the answer has F%d", field)
		}
	}
	// A decline has no authorization code.
	if declined := answerTo(d, request, outcome(switching.InsufficientFunds)); declined.Has(38) || declined.Get(39) != "51" {
		t.Errorf("declined: fields %v, F39 %s", declined.Fields(), declined.Get(39))
	}
	balances := received(t, d, "0200", unionPaySale.but(fields{3: "310000", 4: "", 60: "01000007000500"}))
	if got := answerTo(d, balances, outcome(switching.Approved, balance(-12_34, 156))).Get(54); got != "0002156D000000001234" {
		t.Errorf("F54 is %s", got)
	}
	for scheme, network := range map[string]string{"VIS": "visa", "MCC": "mastercard", "MAE": "maestro", "JCB": "jcb", "AMX": "amex", "   ": "giftcards"} {
		answer := answerTo(d, request, outcome(switching.Approved, func(r *switching.Response) { r.Network = network }))
		if got, _ := text63(t, answer); got != scheme {
			t.Errorf("network %s is %q", network, got)
		}
	}
	refund := received(t, d, "0220", unionPaySale.but(fields{3: "200000", 60: "25000007000500", 63: "VIS"}).but(unionPayReference))
	if got, _ := text63(t, answerTo(d, refund, outcome(switching.Approved))); got != "VIS" {
		t.Errorf("a refund that says its scheme is answered %q", got)
	}
}

// A repeat is answered byte for byte.
func TestUnionPayRepeats(t *testing.T) {
	d := unionPay(t)
	for name, c := range map[string]struct {
		mti      string
		request  fields
		response *switching.Response
	}{
		"sale":       {"0200", unionPaySale, outcome(switching.Approved)},
		"settlement": {"0500", terminalFields.but(fields{48: strings.Repeat("0", 62), 60: "00000007201"}), outcome(switching.BatchOutOfBalance)},
		"reversal":   {"0400", unionPaySale.but(fields{39: "98"}), outcome(switching.OriginalNotFound)},
	} {
		var answers []string
		for _, stored := range []bool{false, true} {
			response := *c.response
			response.Stored = stored
			request := received(t, d, c.mti, c.request)
			if _, refusal := d.Request(request); refusal != nil {
				t.Fatal(refusal)
			}
			payload, err := d.Spec().Pack(answerTo(d, request, &response))
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, string(payload))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: a repeat is answered otherwise", name)
		}
	}
}

func TestUnionPaySettlementAnswers(t *testing.T) {
	const domestic, foreign = "000000015000002000000000500001", "000000000700001000000000000000"
	none := strings.Repeat("0", 30)
	for name, c := range map[string]struct {
		profile   string
		f48       string
		reason    switching.Reason
		want, f39 string
	}{
		"balanced":                    {"cup", domestic + "0" + none + "0", switching.Approved, domestic + "1" + none + "1", ""},
		"not balanced":                {"cup", domestic + "0" + none + "0", switching.BatchOutOfBalance, domestic + "2" + none + "1", ""},
		"not balanced, foreign cards": {"cup", domestic + "0" + foreign + "0", switching.BatchOutOfBalance, domestic + "2" + foreign + "2", ""},
		"domestic alone":              {"cup", domestic + "1", switching.BatchOutOfBalance, domestic + "2", ""},
		"host error":                  {"cup", domestic + "1", switching.StoreUnavailable, domestic + "3", ""},
		"another batch":               {"cup", domestic + "1", switching.NotCurrentBatch, domestic + "0", "77"},
		"another request":             {"cup", domestic + "1", switching.RepeatDiffers, domestic + "0", "94"},
		"with a code":                 {"spp", domestic + "0" + none + "0", switching.BatchOutOfBalance, domestic + "2" + none + "1", "00"},
		"with a code, another batch":  {"spp", domestic + "1", switching.NotCurrentBatch, domestic + "0", "77"},
	} {
		d := unionPay(t, profile(c.profile))
		request := received(t, d, "0500", terminalFields.but(fields{48: c.f48, 60: "00000007201", 63: "01 "}))
		answer := answerTo(d, request, outcome(c.reason))
		if answer.Get(48) != c.want || answer.Get(39) != c.f39 || answer.Get(63) != "01 " {
			t.Errorf("%s: F48 %s, F39 %q", name, answer.Get(48), answer.Get(39))
		}
	}
}

func TestUnionPayWorkingKeys(t *testing.T) {
	d := unionPay(t)
	pik, mak, tdk := strings.Repeat("03", 16)+"C3C3C3C3", strings.Repeat("02", 16)+"C2C2C2C2", strings.Repeat("04", 16)+"C4C4C4C4"
	single := strings.Repeat("02", 8)
	for name, c := range map[string]struct {
		code     string
		response *switching.Response
		want     string
	}{
		"double":         {"003", outcome(switching.Approved, issued(16, hsm.UsePIN, hsm.UseMAC)), pik + mak},
		"single MAC key": {"003", outcome(switching.Approved, issued(8, hsm.UsePIN, hsm.UseMAC)), pik + single + strings.Repeat("0", 16) + "C2C2C2C2"},
		"with a track key": {
			"004", outcome(switching.Approved, issued(16, hsm.UsePIN, hsm.UseMAC, hsm.UseTrack)), pik + mak + tdk,
		},
		"refused": {"003", outcome(switching.TerminalLocked), ""},
	} {
		request := received(t, d, "0800", terminalFields.but(fields{60: "00000001" + c.code, 63: "01 "}))
		answer := answerTo(d, request, c.response)
		if got := strings.ToUpper(hex.EncodeToString(answer.Bytes(62))); got != c.want {
			t.Errorf("%s: F62 is %s", name, got)
		}
		if want := fmt.Sprintf("00%06d%s", max(c.response.BatchNo, 1), c.code); answer.Get(60) != want {
			t.Errorf("%s: F60 is %s, want %s", name, answer.Get(60), want)
		}
	}
	single001 := outcome(switching.Approved, issued(8, hsm.UseMAC), func(r *switching.Response) {
		r.Keys = append(r.Keys, switching.IssuedKey{Use: hsm.UsePIN, Cryptogram: []byte("12345678"), CheckValue: []byte("abcd")})
	})
	answer := answerTo(d, received(t, d, "0800", terminalFields.but(fields{60: "00000001001"})), single001)
	if got, want := string(answer.Bytes(62)), "12345678abcd"+strings.Repeat("\x02", 8)+"\xC2\xC2\xC2\xC2"; got != want {
		t.Errorf("001: F62 is % X", got)
	}
	r, _ := unionPay(t, profile("spp")).Request(received(t, d, "0800", terminalFields.but(fields{60: "00000001003"})))
	if !r.SingleMAC {
		t.Error("the profile spp asks for a MAC key of two DES keys")
	}
}

func TestUnionPayDownloads(t *testing.T) {
	d := unionPay(t)
	key := func(i uint8) switching.CatalogueEntry {
		return switching.CatalogueEntry{RID: []byte{0xA0, 0, 0, 3, 0x33}, KeyIndex: i, ExpiresOn: ledger.MakeDate(2030, 12, 31)}
	}
	keyText := func(i byte) string {
		return "\x9F\x06\x05\xA0\x00\x00\x03\x33\x9F\x22\x01" + string([]byte{i}) + "\xDF\x05\x0820301231"
	}
	list := func(entries ...switching.CatalogueEntry) *switching.Response {
		return outcome(switching.Approved, unstored, func(r *switching.Response) { r.Catalogue = entries })
	}
	var many []switching.CatalogueEntry
	var first strings.Builder
	for i := range uint8(30) {
		many = append(many, key(i))
		if i < 21 { // 21 of 23 bytes each are below 500
			first.WriteString(keyText(i))
		}
	}
	data := func(text string) *switching.Response {
		return outcome(switching.Approved, unstored, func(r *switching.Response) { r.Data = []byte(text) })
	}
	for name, c := range map[string]struct {
		mti, f60, f62 string
		response      *switching.Response
		want          string
	}{
		"no keys":             {"0820", "00000001372", "100", list(), "0"},
		"keys":                {"0820", "00000001372", "100", list(key(8), key(11)), "1" + keyText(8) + keyText(11)},
		"more keys than fit":  {"0820", "00000001372", "100", list(many...), "2" + first.String()},
		"the last of them":    {"0820", "00000001372", "121", list(key(29)), "3" + keyText(29)},
		"nothing beyond":      {"0820", "00000001372", "130", list(), "0"},
		"applications":        {"0820", "00000001382", "100", list(switching.CatalogueEntry{AID: []byte{0xA0, 0, 0, 0, 3, 0x10, 0x10}}), "1\x9F\x06\x07\xA0\x00\x00\x00\x03\x10\x10"},
		"parameters there":    {"0820", "00000001362", "011021", list(switching.CatalogueEntry{Code: "11", Parameters: []byte("60")}), "1"},
		"no parameters":       {"0820", "00000001362", "011021", list(), "0"},
		"parameters":          {"0800", "00000001364", "", data("1160123"), "1160123"},
		"a key":               {"0800", "00000001370", "\x9F\x06\x05\xA0\x00\x00\x03\x33\x9F\x22\x01\x0B", data("\x9F\x06\x05"), "1\x9F\x06\x05"},
		"a key that is not":   {"0800", "00000001370", "\x9F\x06\x05\xA0\x00\x00\x03\x33\x9F\x22\x01\x0C", data(""), "0"},
		"an application":      {"0800", "00000001380", "\x9F\x06\x05\xA0\x00\x00\x03\x33", data("\x9F\x06"), "1\x9F\x06"},
		"the end of download": {"0800", "00000001371", "", data(""), ""},
	} {
		request := received(t, d, c.mti, terminalFields.but(fields{60: c.f60, 62: c.f62}))
		if _, refusal := d.Request(request); refusal != nil {
			t.Fatalf("%s: %s", name, refusal)
		}
		if got := string(answerTo(d, request, c.response).Bytes(62)); got != c.want {
			t.Errorf("%s: F62 is %q, want %q", name, got, c.want)
		}
	}
}

func TestUnionPayDemands(t *testing.T) {
	for reason, want := range map[switching.Reason]wire.Demand{
		switching.Approved: wire.DemandNone, switching.InsufficientFunds: wire.DemandNone, switching.UnknownTerminal: wire.DemandNone,
		switching.SignInRequired: wire.DemandSignIn, switching.NotCurrentBatch: wire.DemandSignIn, switching.MACWrong: wire.DemandSignIn,
		switching.PINFormat: wire.DemandSignIn,
	} {
		if got := dialect.Demand(outcome(reason)); got != want {
			t.Errorf("%s demands %d", reason, got)
		}
	}
	if got := dialect.Demand(outcome(switching.Approved, func(r *switching.Response) { r.Demand = switching.DemandDownload })); got != wire.DemandParameters {
		t.Errorf("a download is demanded as %d", got)
	}
}

// What cannot be read as a request is answered with what it has, and never panics.
func TestUnionPayAnswersToTheUnreadable(t *testing.T) {
	d := unionPay(t)
	for name, f := range map[string]fields{
		"nothing":            {},
		"no F60":             {3: "000000", 11: "000042", 41: "10000001"},
		"an unknown message": {11: "000042", 41: "10000001", 60: "99000001"},
	} {
		for _, mti := range []string{"0200", "0500", "0320", "0800"} {
			answer := answerTo(d, received(t, d, mti, f), &switching.Response{Reason: switching.FormatError})
			if answer == nil || answer.Get(39) != "30" || answer.Get(11) != f[11] {
				t.Errorf("%s: %s is answered %v", name, mti, answer)
			}
		}
	}
	if answerTo(d, received(t, d, "0200", unionPaySale), &switching.Response{}) != nil {
		t.Error("a response that says nothing is answered")
	}
	if d.Answers("0210") || d.Answers("0110") || !d.Answers("0200") || !d.Answers("0620") {
		t.Error("answers and requests are taken for one another")
	}
}
