package dialect_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/switch"
)

// What every published message asks for is in a file, line by line.
func TestPublishedUnionPayRequests(t *testing.T) {
	d := unionPay(t, func(o *dialect.Options) {
		o.DecryptTrack = func(_, track string) (string, error) {
			pan, _, _ := strings.Cut(track, "=")
			return pan + "==", nil // neither expiry nor service code
		}
	})
	messages := dumps(t)
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(messages)) {
		m := messages[id]
		if !d.Answers(m.MTI()) {
			continue
		}
		line := fmt.Sprintf("%s %s: ", id, m.MTI())
		r, refusal := d.Request(m)
		if refusal != nil {
			lines = append(lines, line+fmt.Sprintf("refused (%s) %s", refusal.Reason, refusal))
			continue
		}
		lines = append(lines, line+told(r))
	}
	if len(lines) < 25 {
		t.Fatalf("%d published requests", len(lines))
	}
	golden(t, "unionpay_requests.txt", lines)
}

// The matrix: every transaction there is, as the reference writes it.
func TestUnionPayRequests(t *testing.T) {
	d := unionPay(t)
	preauth := cardFields.but(fields{25: "06"})
	noReference := "0000000000000310" // the terminal no longer knows the batch and the trace
	reversal := cardFields.but(fields{39: "98"})
	chip := "DF310501020304059505000004E0005A0862171200000000135F24033012319F360200FF"
	const card = "card=621712******0013/3012"
	for name, c := range map[string]struct {
		mti    string
		fields fields
		want   string
	}{
		"balance": {"0200", unionPaySale.but(fields{3: "310000", 4: "", 60: "01000007000500"}), "balance trace=42 batch=7 currency=156 " + card},
		"sale":    {"0200", unionPaySale, "sale trace=42 batch=7 amount=1500 currency=156 " + card},
		"sale by track 2 with a PIN": {
			"0200",
			unionPaySale.but(fields{2: "", 14: "", 22: "021", 26: "12", 35: testTrack2, 52: "0123456789ABCDEF", 53: "2600000000000000"}),
			"sale trace=42 batch=7 amount=1500 currency=156 " + card + " pin=8 bytes, format " + fmt.Sprint(pinWithPAN),
		},
		"sale with a PIN without the card number": {
			"0200",
			unionPaySale.but(fields{22: "021", 52: "0123456789ABCDEF", 53: "1600000000000000"}),
			"sale trace=42 batch=7 amount=1500 currency=156 " + card + " pin=8 bytes, format " + fmt.Sprint(pinWithoutPAN),
		},
		"void": {
			"0200",
			unionPaySale.but(fields{3: "200000", 60: "23000007000500"}).but(unionPayReference),
			"void trace=42 batch=7 amount=1500 currency=156 " + card + " of={ sale rrn=606900000042 trace=41 batch=7 date=0310 exact }",
		},
		"void by batch and trace": {
			"0200",
			unionPaySale.but(fields{3: "200000", 60: "23000007000500", 61: "000007000041"}),
			"void trace=42 batch=7 amount=1500 currency=156 " + card + " of={ sale trace=41 batch=7 exact }",
		},
		"refund": {
			"0220",
			unionPaySale.but(fields{3: "200000", 60: "25000007000500"}).but(unionPayReference),
			"refund trace=42 batch=7 amount=1500 currency=156 " + card + " of={ rrn=606900000042 trace=41 batch=7 date=0310 exact }",
		},
		"refund of what the terminal has forgotten": {
			"0220",
			unionPaySale.but(fields{3: "200000", 60: "25000007000500", 37: "606900000042", 61: noReference}),
			"refund trace=42 batch=7 amount=1500 currency=156 " + card + " of={ rrn=606900000042 date=0310 exact }",
		},
		"refund of electronic cash": {
			"0220",
			unionPaySale.but(fields{3: "200000", 60: "27000007000500"}).but(unionPayReference),
			"refund trace=42 batch=7 amount=1500 currency=156 " + card + " of={ rrn=606900000042 trace=41 batch=7 date=0310 exact }",
		},
		"refund without an original": {
			"0220", unionPaySale.but(fields{3: "200000", 60: "25000007000500"}),
			"refund trace=42 batch=7 amount=1500 currency=156 " + card,
		},
		"pre-authorization": {
			"0100", preauth.but(fields{3: "030000", 60: "10000007000500"}),
			"authorization trace=42 batch=7 amount=1500 currency=156 " + card,
		},
		"its void": {
			"0100", preauth.but(fields{3: "200000", 38: "012345", 60: "11000007000500", 61: noReference}),
			"void trace=42 batch=7 amount=1500 currency=156 " + card + " of={ authorization code=012345 date=0310 exact }",
		},
		"its completion": {
			"0200", preauth.but(fields{3: "000000", 38: "012345", 60: "20000007000500", 61: "0000060000410310"}),
			"completion trace=42 batch=7 amount=1500 currency=156 " + card + " of={ authorization code=012345 trace=41 batch=6 date=0310 exact }",
		},
		"its completion by advice": {
			"0220", preauth.but(fields{3: "000000", 38: "012345", 60: "24000007000500"}),
			"completion trace=42 batch=7 amount=1500 currency=156 " + card + " of={ authorization code=012345 exact }",
		},
		"the completion's void": {
			"0200", preauth.but(fields{3: "200000", 38: "012345", 60: "21000007000500"}).but(unionPayReference),
			"void trace=42 batch=7 amount=1500 currency=156 " + card + " of={ completion rrn=606900000042 trace=41 batch=7 date=0310 exact }",
		},
		"offline sale": {
			"0220", unionPaySale.but(fields{38: "012345", 60: "30000007000500", 61: "000000000000000003"}),
			"advice trace=42 batch=7 amount=1500 currency=156 " + card,
		},
		"a chip's offline sale": {"0200", unionPaySale.but(fields{60: "36000007000500"}), "advice trace=42 batch=7 amount=1500 currency=156 " + card},
		"adjustment": {
			"0220", unionPaySale.but(fields{60: "32000007000500", 61: "0000070000410310"}),
			"adjustment trace=42 batch=7 amount=1500 currency=156 " + card + " of={ sale trace=41 batch=7 date=0310 exact }",
		},
		"tip": {
			"0220", unionPaySale.but(fields{48: "000000000150", 60: "34000007000500"}).but(unionPayReference),
			"adjustment trace=42 batch=7 amount=1500 currency=156 " + card +
				` of={ sale rrn=606900000042 trace=41 batch=7 date=0310 exact } tip=150 remark="tip 150 minor units"`,
		},
		"reversal, no answer": {
			"0400", reversal.but(fields{3: "000000", 60: "22000007000500"}),
			"reversal trace=42 batch=7 amount=1500 currency=156 " + card + ` remark="98: no answer within time"`,
		},
		"reversal, answer's MAC wrong": {
			"0400", reversal.but(fields{3: "030000", 25: "06", 39: "A0", 60: "10000007000500"}),
			"reversal trace=42 batch=7 amount=1500 currency=156 " + card + ` remark="A0: the answer's MAC was wrong"`,
		},
		"reversal of a void, not completed": {
			"0400", reversal.but(fields{3: "200000", 39: "96", 60: "23000007000500"}).but(unionPayReference),
			"reversal trace=42 batch=7 amount=1500 currency=156 " + card + ` remark="96: approved, but the terminal could not complete it"`,
		},
		"reversal of a completion, other": {
			"0400", reversal.but(fields{3: "000000", 25: "06", 38: "012345", 39: "06", 60: "20000007000500"}),
			"reversal trace=42 batch=7 amount=1500 currency=156 " + card + ` remark="06: other"`,
		},
		"script result": {
			"0620", unionPaySale.but(fields{55: chip, 60: "00000007951"}).but(unionPayReference),
			"script trace=42 batch=7 " + card + " of={ rrn=606900000042 trace=41 batch=7 date=0310 exact }" +
				` remark="script results 0102030405, terminal verification results 000004E000, card counter 00FF"`,
		},
		"settlement": {
			"0500", terminalFields.but(fields{48: "0000000150000020000000005000011", 60: "00000007201", 63: "01 "}),
			"settlement trace=42 batch=7 stated=2/15000,1/500",
		},
		"settlement with foreign cards": {
			"0500", terminalFields.but(fields{48: "00000001500000200000000050000110000000007000010000000000000001", 60: "00000007201", 63: "01 "}),
			"settlement trace=42 batch=7 stated=3/15700,1/500",
		},
		"upload": {
			"0320", terminalFields.but(fields{
				48: "02" + "00" + "000041" + "0" + testPAN + "000000001500" + "01" + "000040" + "00004111111111111111" + "000000000700", 60: "00000007201",
			}),
			"upload trace=42 batch=7 shown={trace=41 amount=1500 cards=1 unknown} shown={trace=40 amount=700 cards=1 unknown}",
		},
		"upload, zeros behind the card numbers": {
			"0320", terminalFields.but(fields{48: "01" + "00" + "000041" + "41111111111111110000" + "000000001500", 60: "00000007201"}),
			"upload trace=42 batch=7 shown={trace=41 amount=1500 cards=4 unknown}",
		},
		"upload of a chip's":             {"0320", terminalFields.but(fields{2: testPAN, 4: "000000001500", 60: "00000007203"}), "upload trace=42 batch=7 shown={trace=42 amount=1500 cards=1 unknown}"},
		"upload of a chip's, unbalanced": {"0320", terminalFields.but(fields{2: testPAN, 4: "000000001500", 60: "00000007205"}), "upload trace=42 batch=7 shown={trace=42 amount=1500 cards=1 unknown}"},
		"upload of a chip's that failed": {"0320", terminalFields.but(fields{2: testPAN, 4: "000000001500", 60: "00000007204"}), "upload trace=42 batch=7"},
		"upload of a refund":             {"0320", terminalFields.but(fields{2: testPAN, 3: "200000", 4: "000000001500", 60: "25000007000"}), "upload trace=42 batch=7 shown={trace=42 amount=1500 cards=1 refund}"},
		"end after an upload":            {"0320", terminalFields.but(fields{48: "0002", 60: "00000007202"}), "trailer trace=42 batch=7 after upload"},
		"end":                            {"0320", terminalFields.but(fields{48: "0000", 60: "00000007207"}), "trailer trace=42 batch=7"},
		"sign-in 001":                    {"0800", terminalFields.but(fields{60: "00000001001", 63: "01 "}), "logon keys=1"},
		"sign-in 003":                    {"0800", terminalFields.but(fields{60: "00000001003", 63: "01 "}), "logon keys=3"},
		"sign-in 004 of an operator":     {"0800", terminalFields.but(fields{60: "00000001004", 63: "01/0000"}), "logon keys=4 operator=01"},
		"sign-off":                       {"0820", terminalFields.but(fields{60: "00000001002"}), "sign_off"},
		"echo":                           {"0820", terminalFields.but(fields{11: "", 60: "00000000301"}), "echo"},
		"echo by 0800":                   {"0800", terminalFields.but(fields{11: "", 60: "00000000301"}), "echo"},
		"status of parameters":           {"0820", terminalFields.but(fields{60: "00000001362", 62: "011021031041051"}), `status catalogue="terminal parameters" skip=0`},
		"status of keys":                 {"0820", terminalFields.but(fields{60: "00000001372", 62: "100"}), `status catalogue="public keys" skip=0`},
		"more keys":                      {"0820", terminalFields.but(fields{60: "00000001372", 62: "121"}), `status catalogue="public keys" skip=21`},
		"status of applications":         {"0820", terminalFields.but(fields{60: "00000001382", 62: "100"}), `status catalogue="chip applications" skip=0`},
		"status of foreign keys":         {"0820", terminalFields.but(fields{60: "00000001373", 62: "100"}), `status catalogue="foreign keys" skip=0`},
		"parameters":                     {"0800", terminalFields.but(fields{60: "00000001364"}), `download catalogue="terminal parameters" skip=0`},
		"parameters, old form":           {"0800", terminalFields.but(fields{60: "00000001360"}), `download catalogue="terminal parameters" skip=0`},
		"a key": {
			"0800", terminalFields.but(fields{60: "00000001370", 62: "\x9F\x06\x05\xA0\x00\x00\x03\x33\x9F\x22\x01\x0B"}),
			`download catalogue="public keys" skip=0 data=A0000003330B`,
		},
		"an application": {
			"0800", terminalFields.but(fields{60: "00000001380", 62: "\x9F\x06\x08\xA0\x00\x00\x03\x33\x01\x01\x01"}),
			`download catalogue="chip applications" skip=0 data=A000000333010101`,
		},
		"parameters done":   {"0800", terminalFields.but(fields{60: "00000001361"}), `download_end catalogue="terminal parameters" skip=0`},
		"keys done":         {"0800", terminalFields.but(fields{60: "00000001371"}), `download_end catalogue="public keys" skip=0`},
		"applications done": {"0800", terminalFields.but(fields{60: "00000001381"}), `download_end catalogue="chip applications" skip=0`},
	} {
		t.Run(name, func(t *testing.T) {
			r, refusal := d.Request(received(t, d, c.mti, c.fields))
			if refusal != nil {
				t.Fatalf("refused: %s", refusal)
			}
			if got := told(r); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if r.MID != "104110000000001" || r.TID != "10000001" || r.Dialect != "unionpay" || !r.TwoStep {
				t.Errorf("merchant %q, terminal %q, dialect %q, in two steps %v", r.MID, r.TID, r.Dialect, r.TwoStep)
			}
		})
	}
}

func TestUnionPayRefusals(t *testing.T) {
	d := unionPay(t)
	void := unionPaySale.but(fields{3: "200000", 60: "23000007000500"}).but(unionPayReference)
	for name, c := range map[string]struct {
		mti    string
		fields fields
		reason switching.Reason
		field  int
	}{
		"no F60":                             {"0200", unionPaySale.but(fields{60: ""}), switching.FormatError, 60},
		"F60 too short":                      {"0200", unionPaySale.but(fields{60: "2200000"}), switching.FormatError, 60},
		"batch zero":                         {"0200", unionPaySale.but(fields{60: "22000000"}), switching.NotCurrentBatch, 60},
		"no F3":                              {"0200", unionPaySale.but(fields{3: ""}), switching.FormatError, 3},
		"no F25":                             {"0200", unionPaySale.but(fields{25: ""}), switching.FormatError, 25},
		"a sale in the family of holds":      {"0200", unionPaySale.but(fields{25: "06"}), switching.FormatError, 25},
		"a hold outside of its family":       {"0100", unionPaySale.but(fields{3: "030000", 60: "10000007"}), switching.FormatError, 25},
		"a void's type with a sale's F3":     {"0200", unionPaySale.but(fields{60: "23000007"}), switching.FormatError, 60},
		"a refund as a request":              {"0200", unionPaySale.but(fields{3: "200000", 60: "25000007"}), switching.FormatError, 60},
		"points":                             {"0200", unionPaySale.but(fields{60: "03000007"}), switching.FunctionNotSupported, 60},
		"electronic purse":                   {"0200", unionPaySale.but(fields{60: "45000007"}), switching.FunctionNotSupported, 60},
		"a reversal of a refund":             {"0400", unionPaySale.but(fields{3: "200000", 39: "98", 60: "25000007"}), switching.InvalidTransaction, 60},
		"a reversal of a balance":            {"0400", unionPaySale.but(fields{3: "310000", 39: "98", 60: "01000007"}), switching.InvalidTransaction, 60},
		"a reversal of an advice":            {"0400", unionPaySale.but(fields{39: "98", 60: "24000007"}), switching.InvalidTransaction, 60},
		"a reversal of points":               {"0400", unionPaySale.but(fields{39: "98", 60: "03000007"}), switching.FunctionNotSupported, 60},
		"a reversal for an unreadable cause": {"0400", unionPaySale.but(fields{39: "9 "}), switching.FormatError, 39},
		"no trace":                           {"0200", unionPaySale.but(fields{11: ""}), switching.FormatError, 11},
		"no terminal":                        {"0200", unionPaySale.but(fields{41: "        "}), switching.FormatError, 41},
		"no merchant":                        {"0200", unionPaySale.but(fields{42: strings.Repeat(" ", 15)}), switching.FormatError, 42},
		"no amount":                          {"0200", unionPaySale.but(fields{4: ""}), switching.FormatError, 4},
		"no card":                            {"0200", unionPaySale.but(fields{2: ""}), switching.FormatError, 2},
		"a void of nothing":                  {"0200", void.but(fields{37: "", 61: ""}), switching.FormatError, 37},
		"F61 too short":                      {"0200", void.but(fields{61: "00000700004"}), switching.FormatError, 61},
		"a completion by code without card": {
			"0200", unionPaySale.but(fields{2: "", 25: "06", 38: "012345", 60: "20000007"}), switching.FormatError, 2,
		},
		"a PIN that is not there": {"0200", unionPaySale.but(fields{22: "021"}), switching.PINMissing, 52},
		"a PIN of another format": {
			"0200", unionPaySale.but(fields{22: "021", 52: "0123456789ABCDEF", 53: "3600000000000000"}), switching.PINFormat, 53,
		},
		"an enciphered track": {
			"0200", unionPaySale.but(fields{2: "", 35: testTrack2, 53: "0610000000000000"}), switching.FunctionNotSupported, 53,
		},
		"a tip that is none":           {"0220", unionPaySale.but(fields{48: "1234567890123", 60: "34000007"}).but(unionPayReference), switching.FormatError, 48},
		"totals of another length":     {"0500", terminalFields.but(fields{48: strings.Repeat("0", 30), 60: "00000007201"}), switching.FormatError, 48},
		"no totals":                    {"0500", terminalFields.but(fields{60: "00000007201"}), switching.FormatError, 48},
		"fewer details than counted":   {"0320", terminalFields.but(fields{48: "02" + strings.Repeat("0", 40), 60: "00000007201"}), switching.FormatError, 48},
		"no details":                   {"0320", terminalFields.but(fields{60: "00000007201"}), switching.FormatError, 48},
		"a settlement of another code": {"0500", terminalFields.but(fields{60: "00000007202"}), switching.FunctionNotSupported, 60},
		"a script without its result":  {"0620", unionPaySale.but(fields{60: "00000007951"}), switching.FormatError, 55},
		"blacklist":                    {"0800", terminalFields.but(fields{60: "00000001390"}), switching.FunctionNotSupported, 60},
		"signature":                    {"0820", terminalFields.but(fields{60: "07000007"}), switching.FunctionNotSupported, 60},
		"a key without index": {
			"0800", terminalFields.but(fields{60: "00000001370", 62: "\x9F\x06\x05\xA0\x00\x00\x03\x33"}), switching.FormatError, 62,
		},
		"a download of nothing":   {"0800", terminalFields.but(fields{60: "00000001380"}), switching.FormatError, 62},
		"a type that is not here": {"0300", terminalFields.but(fields{60: "00000007201"}), switching.FunctionNotSupported, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, refusal := d.Request(received(t, d, c.mti, c.fields))
			if refusal == nil {
				t.Fatal("taken")
			}
			if refusal.Reason != c.reason || refusal.Field != c.field {
				t.Errorf("refused with %s: %s; want %s in field %d", refusal.Reason, refusal, c.reason, c.field)
			}
			if strings.Contains(refusal.String(), testPAN) {
				t.Error("the refusal shows the card number")
			}
		})
	}
}

func TestUnionPayTracks(t *testing.T) {
	asked := unionPaySale.but(fields{2: "", 14: "", 35: "6217120000000000013=123456789012", 53: "0610000000000000"})
	opened := func(answer string, err error) dialect.Dialect {
		return unionPay(t, func(o *dialect.Options) {
			o.DecryptTrack = func(tid, track string) (string, error) {
				if tid != "10000001" || track != asked[35] {
					t.Errorf("deciphers %d characters of terminal %q", len(track), tid)
				}
				return answer, err
			}
		})
	}
	d := opened(testTrack2, nil)
	m := received(t, d, "0200", asked)
	r, refusal := d.Request(m)
	if refusal != nil || !r.PAN.Equal(pan(t, testPAN)) || r.Expiry != "3012" {
		t.Fatalf("card %s/%s, %v", r.PAN, r.Expiry, refusal)
	}
	// The answer has the card, which the terminal cannot tell from its track.
	answer := answerTo(d, m, outcome(switching.Approved))
	if answer.Get(2) != testPAN || answer.Get(14) != "3012" || answer.Has(35) {
		t.Errorf("answer has fields %v", answer.Fields())
	}
	d = opened("", errors.New("wrong key"))
	if _, refusal := d.Request(received(t, d, "0200", asked)); refusal == nil || refusal.Reason != switching.SecurityViolation {
		t.Errorf("refusal %v", refusal)
	}
}

func TestUnionPayVoidReferences(t *testing.T) {
	void := unionPaySale.but(fields{3: "200000", 60: "23000007000500"}).but(unionPayReference)
	for name, c := range map[string]struct {
		fields fields
		want   string
	}{
		"cup":  {void, "of={ sale rrn=606900000042 trace=41 batch=7 date=0310 exact }"},
		"spp":  {void, "of={ sale rrn=606900000042 trace=41 batch=7 date=0310 exact }"},
		"posp": {void, "of={ sale trace=41 batch=7 date=0310 }"},
	} {
		d := unionPay(t, profile(name))
		r, refusal := d.Request(received(t, d, "0200", c.fields))
		if refusal != nil || !strings.HasSuffix(told(r), c.want) {
			t.Errorf("%s: %s, %v", name, told(r), refusal)
		}
		if r.ApproveUnknownOriginal != (name == "posp") {
			t.Errorf("%s: a reversal of an unknown original is approved: %v", name, r.ApproveUnknownOriginal)
		}
	}
	if _, err := dialect.New("unionpay", dialect.Options{Token: token, Profile: "another"}); err == nil {
		t.Error("an unknown profile is taken")
	}
	if _, err := dialect.New("unionpay", dialect.Options{Token: token, AcquirerID: "1234567"}); err == nil {
		t.Error("an acquirer of seven digits is taken")
	}
}

func TestUnionPayAuthenticated(t *testing.T) {
	d := unionPay(t)
	for mti, want := range map[string]bool{
		"0100": true, "0110": true, "0200": true, "0220": true, "0230": true, "0400": true, "0410": true, "0620": true, "0630": true,
		"0320": false, "0330": false, "0500": false, "0510": false, "0800": false, "0820": false, "0830": false, "": false,
	} {
		if d.Authenticated(mti) != want {
			t.Errorf("%s carries a MAC: %v", mti, !want)
		}
	}
}
