package dialect_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/switch"
)

func unionPay(t testing.TB, change ...func(*dialect.Options)) dialect.Dialect {
	t.Helper()
	return newDialect(t, "unionpay", append([]func(*dialect.Options){func(o *dialect.Options) {
		o.ApproveUnknownReversal, o.AcquirerID = false, "48031000"
	}}, change...)...)
}

func profile(name string) func(*dialect.Options) {
	return func(o *dialect.Options) { o.Profile = name }
}

// Fields that most requests share.
var (
	terminalFields = fields{11: "000042", 41: "10000001", 42: "104110000000001"}
	cardFields     = terminalFields.but(fields{
		2: testPAN, 4: "000000001500", 14: "3012", 22: "022", 25: "00", 49: "156", 53: "0600000000000000",
	})
	unionPaySale = cardFields.but(fields{3: "000000", 60: "22000007000500"})
	// unionPayReference of a void or refund: batch 7, trace 41, on 10 March.
	unionPayReference = fields{37: "606900000042", 61: "0000070000410310"}
)

// dump is a published message.
type dump struct {
	ID    string `json:"id"`
	MTI   string `json:"mti"`
	Hex   string `json:"hex"`
	Note  string `json:"note"`
	Frame struct {
		Length int    `json:"len_prefix"`
		TPDU   string `json:"tpdu"`
		Header string `json:"app_header"`
		Bits   []int  `json:"bits"`
	} `json:"frame"`
	Dialect string `json:"dialect"`
}

// payload is the message from its type on.
func (d *dump) payload(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(d.Hex)
	if err != nil {
		t.Fatal(err)
	}
	if d.Frame.Length != 0 {
		b = b[2:]
	}
	return b[(len(d.Frame.TPDU)+len(d.Frame.Header))/2:]
}

// dumps are the published messages of UnionPay's terminals that parse.
func dumps(t testing.TB) map[string]*wire.Message {
	t.Helper()
	messages := map[string]*wire.Message{}
	for _, file := range []string{"messages.jsonl", "unionpay.jsonl"} {
		text, err := os.ReadFile("../wire/testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var d dump
			if err := json.Unmarshal(line, &d); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(d.Dialect, "CUP") {
				continue
			}
			m, err := wire.UnionPay().Parse(d.payload(t))
			if err != nil {
				continue // a private form: package wire says which ones are
			}
			messages[d.ID] = m
		}
	}
	if len(messages) < 50 {
		t.Fatalf("%d published messages", len(messages))
	}
	return messages
}

// told says in one line what a request asks for.
func told(r *switching.Request) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	b.WriteString(r.Kind.String())
	if r.STAN != 0 {
		say("trace=%d", r.STAN)
	}
	if r.BatchNo != 0 {
		say("batch=%d", r.BatchNo)
	}
	if r.HasAmount {
		say("amount=%d", r.AmountMinor)
	}
	if r.Currency != 0 {
		say("currency=%s", r.Currency.Numeric())
	}
	if !r.PAN.IsZero() {
		say("card=%s/%s", r.PAN, r.Expiry)
	}
	if r.PIN != nil {
		say("pin=%d bytes, format %s", len(r.PIN.Block), r.PIN.Format)
	}
	if o := &r.Original; o.Given() || o.Kind != 0 {
		say("of={")
		if o.Kind != 0 {
			say("%s", o.Kind)
		}
		if o.HasRRN {
			say("rrn=%012d", o.RRN)
		}
		if o.HasAuthCode {
			say("code=%s", o.AuthCode)
		}
		if o.HasSTAN {
			say("trace=%d", o.STAN)
		}
		if o.BatchNo != 0 {
			say("batch=%d", o.BatchNo)
		}
		if o.Date != "" {
			say("date=%s", o.Date)
		}
		if o.Exact {
			say("exact")
		}
		say("}")
	}
	if s := r.Stated; s != nil {
		say("stated=%d/%d,%d/%d", s.SaleCount, s.SaleMinor, s.RefundCount, s.RefundMinor)
	}
	for _, s := range r.Shown {
		say("shown={trace=%d amount=%d cards=%d %s}", s.STAN, s.AmountMinor, len(s.Tokens), s.Kind)
	}
	if r.TipMinor != 0 {
		say("tip=%d", r.TipMinor)
	}
	if r.AfterUpload {
		say("after upload")
	}
	if r.WorkingKeys != 0 {
		say("keys=%d", r.WorkingKeys)
	}
	if r.OperatorNo != "" {
		say("operator=%s", r.OperatorNo)
	}
	if r.Catalogue != 0 {
		say("catalogue=%q skip=%d", r.Catalogue, r.Skip)
	}
	if len(r.Data) > 0 && r.Kind != switching.KindScript {
		say("data=%X", r.Data)
	}
	if r.Remark != "" {
		say("remark=%q", r.Remark)
	}
	return b.String()
}

// golden compares lines with a file, or writes it with -update.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	path := "testdata/" + name
	text := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for i := 0; scanner.Scan() || i < len(lines); i++ {
		var got string
		if i < len(lines) {
			got = lines[i]
		}
		if got != scanner.Text() {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, got, scanner.Text())
		}
	}
}

const (
	pinWithPAN    = hsm.PINFormat0
	pinWithoutPAN = hsm.PINFormatNoPAN
)
