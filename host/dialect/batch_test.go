package dialect_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/host/wire"
	"meridian/switch"
)

// vectors of terminal batches, from public sources: a 0500 and its 0510 with 95,
// the trailer and its 0510.
type vector struct {
	ID  string `json:"id"`
	Hex string `json:"hex"`
}

func batchVectors(t *testing.T) map[string][]byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "batch.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	list := map[string][]byte{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		list[v.ID] = raw[7:] // without length and TPDU
	}
	return list
}

func TestPublishedSettlements(t *testing.T) {
	d := newDialect(t, "nac")
	vectors := batchVectors(t)
	for _, c := range []struct {
		request, answer string
		kind            switching.Kind
		stan            int32
		response        switching.Response
	}{
		{"m08", "m15", switching.KindSettlement, 37, switching.Response{
			Reason: switching.BatchOutOfBalance, AcceptedAt: time.Date(2018, 11, 22, 9, 45, 10, 0, time.UTC),
		}},
		{"m10", "m17", switching.KindTrailer, 42, switching.Response{
			Reason: switching.Approved, AcceptedAt: time.Date(2018, 11, 22, 9, 45, 14, 0, time.UTC),
		}},
	} {
		m, err := d.Spec().Parse(vectors[c.request])
		if err != nil {
			t.Fatal(err)
		}
		r, refusal := d.Request(m)
		if refusal != nil {
			t.Fatal(refusal)
		}
		want := switching.StatedTotals{Form: switching.TotalsNet, SaleCount: 1, SaleMinor: 500_00}
		if r.Kind != c.kind || r.STAN != c.stan || r.BatchNo != 1 || r.TID != "60060060" || r.MID != "600600600600600" ||
			r.Stated == nil || *r.Stated != want {
			t.Errorf("%s asks %+v, totals %+v", c.request, r, r.Stated)
		}
		// What a record's answer has besides is not told about a batch.
		c.response.RRN, c.response.HasBusinessDate = 632600000001, true
		got, err := d.Spec().Pack(answerTo(d, m, &c.response))
		if err != nil {
			t.Fatal(err)
		}
		published, err := d.Spec().Parse(vectors[c.answer])
		if err != nil {
			t.Fatal(err)
		}
		answer := wire.NewMessage(published.MTI())
		for _, field := range published.Fields() {
			if field != 48 { // the printed report is its host's own
				answer.Set(field, published.Get(field))
			}
		}
		want48, err := d.Spec().Pack(answer)
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(got) != hex.EncodeToString(want48) {
			t.Errorf("%s answered\n%X, published\n%X", c.request, got, want48)
		}
	}
}

func TestTotals(t *testing.T) {
	group := func(s ...string) string { return strings.Join(s, "") }
	const none = "000000000000000"
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			base := fields{3: "920000", 11: "000009", 41: "10000001", 42: "104110000000001", 60: "000007"}
			for f63, want := range map[string]*switching.StatedTotals{
				"002000000001375": {Form: switching.TotalsNet, SaleCount: 2, SaleMinor: 13_75},
				group("005000000014975", "003000000013600"): {
					Form: switching.TotalsSplit, SaleCount: 5, SaleMinor: 149_75, RefundCount: 3, RefundMinor: 136_00,
				},
				group("001000000000100", none, "002000000000200", "001000000000050", "003000000000300", "002000000000070"): {
					Form: switching.TotalsSplit, SaleCount: 6, SaleMinor: 6_00, RefundCount: 3, RefundMinor: 1_20,
				},
				group(none, none, none, none, none, none): {Form: switching.TotalsSplit},
				"00200000000137":           nil,
				"00200000000137X":          nil,
				group(none, none, none):    nil,
				"002000000001375000000000": nil,
				"":                         nil,
			} {
				m := received(t, d, "0500", base.but(fields{63: f63}))
				r, refusal := d.Request(m)
				switch {
				case want == nil && (refusal == nil || refusal.Field != 63 || refusal.Reason != switching.FormatError):
					t.Errorf("F63 %q: refusal %v, want a format error of it", f63, refusal)
				case want != nil && (refusal != nil || *r.Stated != *want || r.BatchNo != 7):
					t.Errorf("F63 %q: %+v, refusal %v", f63, r, refusal)
				}
				if refusal != nil {
					answer := answerTo(d, m, &switching.Response{Reason: refusal.Reason})
					if answer.MTI() != "0510" || answer.Get(39) != "30" {
						t.Errorf("F63 %q answered %s %s", f63, answer.MTI(), answer.Get(39))
					}
				}
			}
			// A trailer may have none, and the number of the batch is the current one's without F60.
			r, refusal := d.Request(received(t, d, "0500", base.but(fields{3: "960000", 60: ""})))
			if refusal != nil || r.Kind != switching.KindTrailer || r.Stated != nil || r.BatchNo != 0 {
				t.Errorf("trailer: %+v, refusal %v", r, refusal)
			}
			for _, f60 := range []string{"0000071", "batch1"} {
				if _, refusal := d.Request(received(t, d, "0500", base.but(fields{60: f60, 63: none}))); refusal == nil || refusal.Field != 60 {
					t.Errorf("F60 %q: refusal %v", f60, refusal)
				}
			}
			if _, refusal := d.Request(received(t, d, "0500", base.but(fields{3: "940000", 63: none}))); refusal == nil ||
				refusal.Reason != switching.FunctionNotSupported {
				t.Errorf("F3 940000: refusal %v", refusal)
			}
			if d.Authenticated("0500") || d.Authenticated("0320") {
				t.Error("messages about batches carry no MAC")
			}
		})
	}
}

func TestUploads(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			base := fields{
				2: testPAN, 3: "020000", 4: "000000001234", 11: "000050", 14: "3012", 37: "632600000007", 41: "10000001", 42: "104110000000001",
				60: "0200000042632600000007",
			}
			for name, c := range map[string]struct {
				change fields
				want   switching.Reference
				kind   switching.Kind
			}{
				"void":         {fields{}, switching.Reference{STAN: 42, HasSTAN: true, RRN: 632600000007, HasRRN: true}, switching.KindVoid},
				"more follows": {fields{3: "000001"}, switching.Reference{STAN: 42, HasSTAN: true, RRN: 632600000007, HasRRN: true}, switching.KindSale},
				"advice": {
					fields{3: "000000", 60: "0220000042            ", 37: ""},
					switching.Reference{STAN: 42, HasSTAN: true},
					switching.KindAdvice,
				},
				"without F60": {fields{60: ""}, switching.Reference{STAN: 50, HasSTAN: true, RRN: 632600000007, HasRRN: true}, switching.KindVoid},
				"other type":  {fields{3: "900000"}, switching.Reference{STAN: 42, HasSTAN: true, RRN: 632600000007, HasRRN: true}, 0},
				"no card":     {fields{2: "", 14: ""}, switching.Reference{STAN: 42, HasSTAN: true, RRN: 632600000007, HasRRN: true}, switching.KindVoid},
			} {
				for _, mti := range []string{"0320", "0321"} {
					m := received(t, d, mti, base.but(c.change))
					r, refusal := d.Request(m)
					if refusal != nil {
						t.Fatalf("%s: %v", name, refusal)
					}
					if r.Kind != switching.KindUpload || r.UploadedKind != c.kind || r.Original != c.want || r.STAN != 50 || r.AmountMinor != 12_34 {
						t.Errorf("%s: %+v", name, r)
					}
					answer := answerTo(d, m, &switching.Response{Reason: switching.Approved, RRN: 632600000099, Became: switching.KindUpload})
					if answer.MTI() != "0330" || answer.Get(39) != "00" || answer.Get(37) != m.Get(37) || answer.Get(11) != "000050" {
						t.Errorf("%s answered %s %v", name, answer.MTI(), answer.Fields())
					}
				}
			}
			for field, value := range (fields{60: "02000000", 4: "", 11: ""}) {
				if _, refusal := d.Request(received(t, d, "0320", base.but(fields{field: value}))); refusal == nil || refusal.Field != field {
					t.Errorf("F%d %q: refusal %v", field, value, refusal)
				}
			}
		})
	}
}
