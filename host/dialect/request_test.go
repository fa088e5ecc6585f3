package dialect_test

import (
	"reflect"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/internal/money"
	"meridian/switch"
)

// purchase is what a sale carries at least, without its card.
var purchase = fields{3: "000000", 4: "000000001234", 11: "000007", 41: "10000001", 42: "104110000000001"}

// withCard is the same with a typed card.
var withCard = purchase.but(fields{2: testPAN, 14: "3012"})

// asked is what purchase asks for, changed by the functions given.
func asked(d dialect.Dialect, kind switching.Kind, change ...func(*switching.Request)) *switching.Request {
	r := &switching.Request{
		Kind: kind, MID: "104110000000001", TID: "10000001", Dialect: d.Name(), STAN: 7,
		AmountMinor: 1234, HasAmount: true, ApproveUnknownOriginal: true,
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func cardOf(t testing.TB, expiry string) func(*switching.Request) {
	t.Helper()
	return func(r *switching.Request) {
		r.PAN, r.Expiry = pan(t, testPAN), expiry
		r.Token = token(r.PAN)
	}
}

func noAmount(r *switching.Request) { r.AmountMinor, r.HasAmount = 0, false }

func isRepeat(r *switching.Request) { r.Repeat = true }

func refersTo(ref switching.Reference) func(*switching.Request) {
	return func(r *switching.Request) { r.Original = ref }
}

// request asserts what a message asks for.
func request(t *testing.T, d dialect.Dialect, mti string, f fields, want *switching.Request) {
	t.Helper()
	got, refusal := d.Request(received(t, d, mti, f))
	if refusal != nil {
		t.Fatalf("%s refused: %v", mti, refusal)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s asks for\n%+v\nwant\n%+v", mti, got, want)
	}
}

// TestTransactions is design §6: message type and the first two digits of F3.
func TestTransactions(t *testing.T) {
	const rrn = "606900000042"
	byRRN := refersTo(switching.Reference{RRN: 606900000042, HasRRN: true})
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, test := range []struct {
				name, mti string
				fields    fields
				want      *switching.Request
			}{
				{"authorization", "0100", withCard, asked(d, switching.KindAuthorization, cardOf(t, "3012"))},
				{"sale", "0200", withCard, asked(d, switching.KindSale, cardOf(t, "3012"))},
				{"sale from a savings account", "0200", withCard.but(fields{3: "001000"}), asked(d, switching.KindSale, cardOf(t, "3012"))},
				{"sale by track", "0200", purchase.but(fields{35: testTrack2}), asked(d, switching.KindSale, cardOf(t, "3012"))},
				{"sale without expiry", "0200", withCard.but(fields{14: ""}), asked(d, switching.KindSale, cardOf(t, ""))},
				{
					"sale with cashback", "0200", withCard.but(fields{3: "090000", 54: "000000000500"}),
					asked(d, switching.KindSale, cardOf(t, "3012"), func(r *switching.Request) { r.CashbackMinor = 500 }),
				},
				{"void", "0200", purchase.but(fields{3: "020000", 37: rrn}), asked(d, switching.KindVoid, byRRN)},
				{"refund", "0200", purchase.but(fields{3: "200000", 37: rrn}), asked(d, switching.KindRefund, byRRN)},
				{"unreferenced refund", "0200", withCard.but(fields{3: "200000"}), asked(d, switching.KindRefund, cardOf(t, "3012"))},
				{"cancel", "0200", purchase.but(fields{3: "290000", 37: rrn}), asked(d, switching.KindCancel, byRRN)},
				{"cancel of all that is left", "0200", purchase.but(fields{3: "290000", 4: "", 37: rrn}), asked(d, switching.KindCancel, byRRN, noAmount)},
				{"cancel of nothing", "0200", purchase.but(fields{3: "290000", 4: "000000000000", 37: rrn}), asked(d, switching.KindCancel, byRRN,
					func(r *switching.Request) { r.AmountMinor = 0 })},
				{"balance", "0200", withCard.but(fields{3: "310000", 4: ""}), asked(d, switching.KindBalance, cardOf(t, "3012"), noAmount)},
				{"balance with an amount", "0200", withCard.but(fields{3: "310000"}), asked(d, switching.KindBalance, cardOf(t, "3012"), noAmount)},
				{"balance as an authorization", "0100", withCard.but(fields{3: "310000"}), asked(d, switching.KindBalance, cardOf(t, "3012"), noAmount)},
				{"offline advice", "0220", withCard, asked(d, switching.KindAdvice, cardOf(t, "3012"))},
				{"completion", "0220", purchase.but(fields{37: rrn}), asked(d, switching.KindCompletion, byRRN)},
				{"completion with card", "0220", withCard.but(fields{37: rrn}), asked(d, switching.KindCompletion, byRRN, cardOf(t, "3012"))},
				{"reversal of a sale", "0400", purchase, asked(d, switching.KindReversal)},
				{"reversal without amount", "0400", purchase.but(fields{4: ""}), asked(d, switching.KindReversal, noAmount)},
				{"reversal of a void", "0400", purchase.but(fields{3: "020000"}), asked(d, switching.KindReversal)},
				{"reversal of a cancel", "0420", withCard.but(fields{3: "290000"}), asked(d, switching.KindReversal, cardOf(t, "3012"))},
				// What only a purchase needs does not hinder a repair.
				{"reversal of a cashback", "0400", purchase.but(fields{3: "090000", 54: "rubbish"}), asked(d, switching.KindReversal)},
			} {
				t.Run(test.name, func(t *testing.T) {
					request(t, d, test.mti, test.fields, test.want)
					isRepeat(test.want)
					request(t, d, test.mti[:3]+"1", test.fields, test.want)
				})
			}
		})
	}
}

func TestNetworkManagement(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, test := range []struct {
				name   string
				fields fields
				kind   switching.Kind
			}{
				{"echo by F70", fields{70: "301", 41: "10000001"}, switching.KindEcho},
				{"echo by F3", fields{3: "990000", 41: "10000001"}, switching.KindEcho},
				{"F70 before F3", fields{3: "920000", 70: "301", 41: "10000001"}, switching.KindEcho},
				{"F70 of zeros is none", fields{3: "920000", 70: "000", 41: "10000001"}, switching.KindLogon},
				{"logon by F70", fields{70: "001", 41: "10000001"}, switching.KindLogon},
				{"logon by F3", fields{3: "920000", 41: "10000001"}, switching.KindLogon},
			} {
				t.Run(test.name, func(t *testing.T) {
					for mti, repeat := range map[string]bool{"0800": false, "0801": true} {
						request(t, d, mti, test.fields, &switching.Request{
							Kind: test.kind, TID: "10000001", Dialect: d.Name(), Repeat: repeat, ApproveUnknownOriginal: true,
						})
					}
				})
			}
			t.Run("echo between hosts", func(t *testing.T) {
				request(t, d, "0800", fields{11: "000001", 70: "301"},
					&switching.Request{Kind: switching.KindEcho, Dialect: d.Name(), ApproveUnknownOriginal: true})
			})
		})
	}
}

// TestReferences: F37 first; F90; in NAC F60 with the original's batch and STAN,
// and F62 with its invoice. All that is given is handed on.
func TestReferences(t *testing.T) {
	const f90 = "0200" + "000042" + "0310120000" + "00000000000" + "00000000000"
	rrn := switching.Reference{RRN: 606900000042, HasRRN: true}
	bySTAN := switching.Reference{STAN: 42, HasSTAN: true}
	for _, test := range []struct {
		name       string
		fields     fields
		nac, ascii switching.Reference
	}{
		{"none", fields{}, switching.Reference{}, switching.Reference{}},
		{"F37", fields{37: "606900000042"}, rrn, rrn},
		{"F37 of zeros", fields{37: "000000000000"}, switching.Reference{}, switching.Reference{}},
		{"F37 of spaces", fields{37: "            "}, switching.Reference{}, switching.Reference{}},
		{"F37 not ours", fields{37: "A69000000042"}, switching.Reference{RRN: -1, HasRRN: true}, switching.Reference{RRN: -1, HasRRN: true}},
		{"F37 short", fields{37: "69042       "}, switching.Reference{RRN: -1, HasRRN: true}, switching.Reference{RRN: -1, HasRRN: true}},
		{"F37 signed", fields{37: "+00000000042"}, switching.Reference{RRN: -1, HasRRN: true}, switching.Reference{RRN: -1, HasRRN: true}},
		{"F90", fields{90: f90}, bySTAN, bySTAN},
		{"F90 of zeros", fields{90: strings.Repeat("0", 42)}, switching.Reference{}, switching.Reference{}},
		{
			"F37 and F90",
			fields{37: "606900000042", 90: f90},
			switching.Reference{RRN: 606900000042, HasRRN: true, STAN: 42, HasSTAN: true},
			switching.Reference{RRN: 606900000042, HasRRN: true, STAN: 42, HasSTAN: true},
		},
		{"F60", fields{60: "000003000042"}, switching.Reference{BatchNo: 3, STAN: 42, HasSTAN: true}, switching.Reference{}},
		{"F60 with an original amount", fields{60: "000000000042"}, switching.Reference{}, switching.Reference{}},
		{"F60 with a batch alone", fields{60: "000003"}, switching.Reference{}, switching.Reference{}},
		{"F60 without STAN", fields{60: "000003000000"}, switching.Reference{}, switching.Reference{}},
		{"F60 with text", fields{60: "BATCH 000003"}, switching.Reference{}, switching.Reference{}},
		{"F90 before F60", fields{60: "000003000041", 90: f90}, bySTAN, bySTAN},
		{"F62", fields{62: "000009"}, switching.Reference{Invoice: "000009"}, switching.Reference{}},
		{
			"F60 and F62",
			fields{60: "000003000042", 62: "000009"},
			switching.Reference{BatchNo: 3, STAN: 42, HasSTAN: true, Invoice: "000009"},
			switching.Reference{},
		},
		{"empty F60 and F62", fields{60: " ", 62: "  "}, switching.Reference{}, switching.Reference{}},
	} {
		for _, d := range both(t) {
			t.Run(d.Name(), func(t *testing.T) {
				t.Run(test.name, func(t *testing.T) {
					want := test.ascii
					if d.Name() == "nac" {
						want = test.nac
					}
					for processing, kind := range map[string]switching.Kind{
						"020000": switching.KindVoid, "200000": switching.KindRefund, "290000": switching.KindCancel,
					} {
						request(t, d, "0200", purchase.but(test.fields).but(fields{3: processing}), asked(d, kind, refersTo(want)))
					}
					// A reversal is known by its STAN: the invoice it carries is its original's own.
					want.Invoice = ""
					request(t, d, "0400", purchase.but(test.fields), asked(d, switching.KindReversal, refersTo(want)))
					// A 0220 that refers to something is a completion; its invoice is its own.
					kind, invoice := switching.KindAdvice, ""
					if want.Given() {
						kind = switching.KindCompletion
					}
					if d.Name() == "nac" {
						invoice = strings.TrimSpace(test.fields[62])
					}
					request(t, d, "0220", withCard.but(test.fields), asked(d, kind, refersTo(want), cardOf(t, "3012"),
						func(r *switching.Request) { r.Invoice = invoice }))
				})
			})
		}
	}
}

func TestInvoice(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			invoice := ""
			if d.Name() == "nac" {
				invoice = "000009"
			}
			for mti, kind := range map[string]switching.Kind{"0100": switching.KindAuthorization, "0200": switching.KindSale, "0220": switching.KindAdvice} {
				request(t, d, mti, withCard.but(fields{62: "000009"}), asked(d, kind, cardOf(t, "3012"),
					func(r *switching.Request) { r.Invoice = invoice }))
			}
			// What is no invoice is not kept, whatever it is.
			for _, other := range []string{"9999990000000007", "9999990000000007=30122014648350505", "CARD 9999 99", "123456789012", "number 9"} {
				request(t, d, "0200", withCard.but(fields{62: other}), asked(d, switching.KindSale, cardOf(t, "3012")))
				request(t, d, "0200", withCard.but(fields{3: "020000", 62: other}), asked(d, switching.KindVoid, cardOf(t, "3012")))
			}
			// What a sale carries in F37, F60 and F90 refers to nothing.
			request(t, d, "0200", withCard.but(fields{37: "606900000042", 60: "000003000042", 90: strings.Repeat("1", 42)}),
				asked(d, switching.KindSale, cardOf(t, "3012")))
		})
	}
}

func TestCashback(t *testing.T) {
	const group = "0040156D000000000500"
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for f54, want := range map[string]int64{
				"000000000500":                          500,
				group:                                   500,
				"0002156C000000099999" + group:          500,
				group + "0040156D000000000700":          500, // the first one counts
				"2040156D999999999999":                  999_999_999_999,
				"":                                      0, // the whole is sold
				"000000000000":                          0,
				strings.Repeat(group, 6):                500,
				"0040978D000000000500":                  500,
				"0001156C000000000001" + group + "0001": -1,
				"0002156C000000099999":                  -1, // no cashback in it
				"00000000050":                           -1,
				"0000000005000":                         -1,
				"00000000050A":                          -1,
				"+00000000500":                          -1,
				"0040156D0000000005-0":                  -1,
			} {
				f := withCard.but(fields{3: "090000", 54: f54})
				if want < 0 {
					refused(t, d, "0200", f, switching.FormatError, 54)
					continue
				}
				request(t, d, "0200", f, asked(d, switching.KindSale, cardOf(t, "3012"), func(r *switching.Request) { r.CashbackMinor = want }))
			}
			// Only a sale with cashback has one.
			request(t, d, "0200", withCard.but(fields{54: "000000000500"}), asked(d, switching.KindSale, cardOf(t, "3012")))
		})
	}
}

func TestPartialReversal(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			rest := strings.Repeat("0", 30)
			for f95, want := range map[string]int64{
				"000000001000" + rest:                       1000,
				"999999999999" + rest:                       999_999_999_999,
				"000000001000" + strings.Repeat(" ", 30):    1000,
				"000000000000" + rest:                       0, // a full reversal
				"00000000100A" + rest:                       -1,
				strings.Repeat(" ", 42):                     -1,
				"-00000001000" + rest:                       -1,
				"        1000" + rest:                       -1,
				"C00000001000" + rest:                       -1,
				"000000001000C00000000D000000000000" + "0,": 1000,
			} {
				f95 = (f95 + rest)[:42]
				for _, mti := range []string{"0400", "0420"} {
					if want < 0 {
						refused(t, d, mti, purchase.but(fields{95: f95}), switching.FormatError, 95)
						continue
					}
					request(t, d, mti, purchase.but(fields{95: f95}), asked(d, switching.KindReversal, func(r *switching.Request) {
						r.ReplacementMinor, r.HasReplacement = want, want != 0
					}))
				}
			}
			request(t, d, "0200", withCard.but(fields{95: "000000001000" + rest}), asked(d, switching.KindSale, cardOf(t, "3012")))
		})
	}
}

func TestCurrency(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for f49, want := range map[string]money.Currency{"156": 156, "EUR": 978, "036": 36, "": 0, "   ": 0} {
				request(t, d, "0200", withCard.but(fields{49: f49}), asked(d, switching.KindSale, cardOf(t, "3012"),
					func(r *switching.Request) { r.Currency = want }))
			}
			for _, f49 := range []string{"000", "111", "XQX", "eur", "1 6", "???"} {
				got, refusal := d.Request(received(t, d, "0200", withCard.but(fields{49: f49})))
				if refusal != nil || got.Currency == 0 || got.Currency.Valid() {
					t.Errorf("F49 %q became currency %v (%v), want one that no merchant has", f49, got, refusal)
				}
			}
		})
	}
}

func TestCards(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			sale := func(expiry string) *switching.Request { return asked(d, switching.KindSale, cardOf(t, expiry)) }
			request(t, d, "0200", withCard.but(fields{35: testTrack2}), sale("3012"))
			request(t, d, "0200", purchase.but(fields{35: testTrack2, 14: "3012"}), sale("3012"))
			request(t, d, "0200", purchase.but(fields{35: testPAN + "=="}), sale(""))
			request(t, d, "0200", withCard.but(fields{35: testPAN + "=="}), sale("3012"))
			request(t, d, "0200", purchase.but(fields{35: testPAN + "=3012"}), sale("3012"))

			refused(t, d, "0200", purchase.but(fields{35: testTrack2, 14: "3011"}), switching.WrongExpiry, 14)
			refused(t, d, "0200", withCard.but(fields{35: testTrack2, 14: "3011"}), switching.WrongExpiry, 14)
			refused(t, d, "0200", withCard.but(fields{35: "6217120000000000021=3012201"}), switching.FormatError, 35)
			refused(t, d, "0200", purchase.but(fields{35: testPAN}), switching.FormatError, 35)
			refused(t, d, "0200", purchase.but(fields{35: testPAN + "=3013201"}), switching.FormatError, 35)
			refused(t, d, "0200", purchase.but(fields{35: "123=3012201"}), switching.FormatError, 35)
			refused(t, d, "0200", withCard.but(fields{2: "12345678901"}), switching.FormatError, 2)

			// What refers to an original asks nothing of the expiry.
			request(t, d, "0400", purchase.but(fields{35: testTrack2, 14: "3011"}), asked(d, switching.KindReversal, cardOf(t, "3011")))
			// Without F2 and F35, F14 says nothing.
			request(t, d, "0400", purchase.but(fields{14: "3012"}), asked(d, switching.KindReversal))
		})
	}
}

// TestUnknownReversalBySetting: the host's answer to a reversal of an unknown
// original is a setting of the dialect.
func TestUnknownReversalBySetting(t *testing.T) {
	for _, approve := range []bool{true, false} {
		d := newDialect(t, "nac", func(o *dialect.Options) { o.ApproveUnknownReversal = approve })
		r, refusal := d.Request(received(t, d, "0400", purchase))
		if refusal != nil || r.ApproveUnknownOriginal != approve {
			t.Errorf("setting %t: %+v, %v", approve, r, refusal)
		}
	}
}

func TestTrailingSpacesAreNoPartOfAnID(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			m := received(t, d, "0200", withCard.but(fields{41: "T1", 42: "SHOP"}))
			r, refusal := d.Request(m)
			if refusal != nil || r.TID != "T1" || r.MID != "SHOP" || d.TerminalID(m) != "T1" || d.MerchantID(m) != "SHOP" {
				t.Errorf("request %+v, %v", r, refusal)
			}
		})
	}
}

// TestEcho: what belongs to one transmission is kept with the outcome where the
// dialect answers it.
func TestEcho(t *testing.T) {
	sent := withCard.but(fields{7: "0310120000", 12: "200000", 13: "0310"})
	for name, want := range map[string]string{
		"nac":   "",
		"ascii": "\x07\x0a0310120000" + "\x0c\x06200000" + "\x0d\x040310",
	} {
		d := newDialect(t, name)
		r, refusal := d.Request(received(t, d, "0200", sent))
		if refusal != nil || string(r.Echo) != want {
			t.Errorf("%s: echo %q, want %q (%v)", name, r.Echo, want, refusal)
		}
	}
}

func TestNew(t *testing.T) {
	if _, err := dialect.New("unknown", dialect.Options{Token: token}); err == nil || !strings.Contains(err.Error(), `"unknown"`) {
		t.Errorf("unknown dialect: %v", err)
	}
	if _, err := dialect.New("nac", dialect.Options{}); err == nil {
		t.Error("a dialect without tokens would keep no card apart")
	}
	other := newDialect(t, "ascii").Spec()
	d := newDialect(t, "nac", func(o *dialect.Options) { o.Spec = other })
	if d.Name() != "nac" || d.Spec() != other {
		t.Errorf("dialect %s with spec %s", d.Name(), d.Spec().Name())
	}
}
